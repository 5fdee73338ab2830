/* test_turns.c - guests on one thread: who runs, who waits for what, and that each ends once. */
#include "turns_scene.h"

/* --- who runs ------------------------------------------------------------------------------ */

TEST(who_is_ready_runs_in_turn)
{
    set_stage();
    (void)add('A', take_three);
    (void)add('B', take_five);
    (void)add('C', go);
    (void)add('D', take_three);
    CHECK(play() == 0);
    CHECK_TEXT(stage.said, "ABCDABDABDBB");
    check_exits();
    CHECK(stage.actors[0].exit_code == 7);
    clear_stage();
}

static int yield_three(struct actor *actor, struct cl_guest_end *end)
{
    return actor->turns < 3 ? wait_for(actor, 0, 0) : leave_after(actor, 0, end);
}

TEST(who_waits_for_nothing_lets_others_run)
{
    set_stage();
    (void)add('A', yield_three);
    (void)add('B', take_five);
    CHECK(play() == 0);
    CHECK_TEXT(stage.said, "ABABABBB");
    check_exits();
    clear_stage();
}

static int end_somehow(struct actor *actor, struct cl_guest_end *end)
{
    static const int kinds[] = {CL_GUEST_END_EXITED, CL_GUEST_END_TRAPPED, CL_GUEST_END_EXCEEDED};

    if (actor->name == 'E')
        return -EINVAL;
    *end = (struct cl_guest_end){.kind = kinds[actor->name - 'A']};
    return CL_TURN_ENDED;
}

TEST(each_end_is_told)
{
    static const enum cl_answer_status statuses[] = {CL_ANSWER_EXITED, CL_ANSWER_TRAPPED,
                                                     CL_ANSWER_OUTPUT, 0};

    set_stage();
    for (int i = 0; i < 4; i++)
        (void)add("ABCE"[i], end_somehow);
    CHECK(play() == 0);
    for (int i = 0; i < 4; i++)
        CHECK(stage.actors[i].ends == 1 && stage.actors[i].status == statuses[i]);
    clear_stage();
}

TEST(idle_work_is_done_when_nobody_is_ready)
{
    set_stage();
    struct actor *sleeper = add('A', rest_long);
    sleeper->taker.until_ns = cl_clock_mono_ns() + 20 * MS;
    stage.idle_work = 50;
    CHECK(play() == 0);
    CHECK(stage.idle_work == 0 && stage.idle_calls >= 50);
    clear_stage();
}

TEST(nobody_who_runs_no_ticks)
{
    set_stage();
    struct actor *sleeper = add('A', rest_long);
    sleeper->taker.until_ns = cl_clock_mono_ns() + 400 * MS;
    CHECK(play() == 0);
    CHECK(sleeper->ends == 1 && stage.engine.ticks < 200);
    clear_stage();
}

/* --- who waits ----------------------------------------------------------------------------- */

static int write_late(struct actor *actor, struct cl_guest_end *end)
{
    if (actor->turns == 4)
        CHECK(write(actor->fd, "x", 1) == 1);
    return leave_after(actor, 6, end);
}

TEST(who_waits_for_input_runs_when_it_is_there)
{
    int fds[2] = {-1, -1};

    set_stage();
    make_pipe(fds);
    struct actor *reader = add('R', read_once);
    reader->fd = fds[0];
    add('W', write_late)->fd = fds[1];
    CHECK(play() == 0);
    check_exits();
    CHECK(reader->turns == 2 && stage.actors[1].turns == 6);
    clear_stage();
    close_pipe(fds);
}

static int rest_once(struct actor *actor, struct cl_guest_end *end)
{
    if (actor->turns == 1)
        return wait_for(actor, 0, cl_clock_mono_ns() + 30 * MS);
    CHECK(cl_clock_mono_ns() >= actor->wasi.wait.deadline_ns);
    return leave_after(actor, 0, end);
}

TEST(who_waits_for_a_moment_runs_then)
{
    set_stage();
    for (int i = 0; i < 5; i++)
        (void)add('A', rest_once);
    CHECK(play() == 0);
    check_exits();
    for (int i = 0; i < 5; i++)
        CHECK(stage.actors[i].turns == 2);
    clear_stage();
}

/* For two at once. */
static int wait_for_two(struct actor *actor, struct cl_guest_end *end)
{
    if (actor->turns > 1)
        return leave_after(actor, 0, end);
    actor->fds[0] = (struct pollfd){.fd = actor->fd, .events = POLLIN};
    actor->fds[1] = (struct pollfd){.fd = actor->other->fd, .events = POLLOUT};
    return wait_for(actor, 2, UINT64_MAX);
}

TEST(one_of_many_is_enough)
{
    int fds[2] = {-1, -1};

    set_stage();
    make_pipe(fds);
    struct actor *waiter = add('A', wait_for_two); /* there is room to write from the beginning */
    waiter->fd = fds[0];
    waiter->other = waiter + 1;
    add('B', go)->fd = fds[1];
    CHECK(play() == 0);
    check_exits();
    CHECK(waiter->turns == 2);
    clear_stage();
    close_pipe(fds);
}

/* A file can't be watched, and neither can one descriptor twice: it is asked again. */
static int wait_for_what_cannot_be_watched(struct actor *actor, struct cl_guest_end *end)
{
    if (actor->turns > 3)
        return leave_after(actor, 0, end);
    actor->fds[0] = (struct pollfd){.fd = actor->fd, .events = POLLIN};
    actor->fds[1] = actor->fds[0];
    return wait_for(actor, actor->name == 'F' ? 1 : 2, UINT64_MAX);
}

TEST(what_can_not_be_watched_is_asked_again)
{
    int fds[2] = {-1, -1};

    set_stage();
    make_pipe(fds);
    CL_CLEANUP_FD int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    add('F', wait_for_what_cannot_be_watched)->fd = file;
    add('T', wait_for_what_cannot_be_watched)->fd = fds[0];
    const uint64_t begun_ns = cl_clock_mono_ns();
    CHECK(play() == 0);
    check_exits();
    CHECK(stage.actors[0].turns == 4 && cl_clock_mono_ns() - begun_ns >= 25 * MS);
    clear_stage();
    close_pipe(fds);
}

TEST(without_memory_it_is_asked_again)
{
    int fds[2] = {-1, -1};

    set_stage();
    make_pipe(fds);
    struct actor *waiter = add('A', wait_for_two);
    waiter->fd = fds[0];
    waiter->other = waiter;
    cl_fault_set("alloc:1");
    CHECK(play() == 0 && cl_fault_struck());
    cl_fault_set(NULL);
    check_exits();
    clear_stage();
    close_pipe(fds);
}

/* --- limits -------------------------------------------------------------------------------- */

TEST(time_ends_whoever_it_is)
{
    int fds[2] = {-1, -1};

    set_stage();
    make_pipe(fds);
    (void)add('S', spin);
    add('R', read_once)->fd = fds[0];
    (void)add('L', rest_long);
    const uint64_t until_ns = cl_clock_mono_ns() + 40 * MS;
    for (int i = 0; i < 3; i++)
        stage.actors[i].taker.until_ns = until_ns + (uint64_t)i;
    CHECK(play() == 0);
    CHECK(cl_clock_mono_ns() >= until_ns);
    for (int i = 0; i < 3; i++)
        CHECK(stage.actors[i].ends == 1 && stage.actors[i].status == CL_ANSWER_TIME);
    CHECK(stage.actors[1].turns == 1 && stage.actors[2].turns == 1);
    clear_stage();
    close_pipe(fds);
}

/* Longer than its turn: as a call on a file may be. */
static int hold_up(struct actor *actor, struct cl_guest_end *end)
{
    const uint64_t until_ns = cl_clock_mono_ns() + 30 * MS;

    while (cl_clock_mono_ns() < until_ns)
        ;
    return leave_after(actor, 1, end);
}

static int take_many(CL_UNUSED struct actor *actor, CL_UNUSED struct cl_guest_end *end)
{
    return CL_TURN_OVER;
}

TEST(time_ends_who_is_ready_before_it_runs_again)
{
    set_stage();
    struct actor *actor = add('A', take_many);
    actor->taker.until_ns = cl_clock_mono_ns() + 15 * MS;
    (void)add('H', hold_up);
    CHECK(play() == 0);
    CHECK(actor->ends == 1 && actor->status == CL_ANSWER_TIME && actor->turns <= 1);
    clear_stage();
}

TEST(processor_time_ends_who_uses_it)
{
    set_stage();
    struct actor *spinner = add('S', spin);
    spinner->taker.cpu_limit_ns = 20 * MS;
    struct actor *other = add('T', rest_once);
    other->taker.cpu_limit_ns = 20 * MS;
    CHECK(play() == 0);
    CHECK(spinner->ends == 1 && spinner->status == CL_ANSWER_CPU_TIME);
    CHECK(spinner->taker.cpu_ns >= 20 * MS && spinner->taker.cpu_ns < 40 * MS);
    CHECK(other->ends == 1 && other->status == CL_ANSWER_EXITED);
    clear_stage();
}

static int go_beyond(struct actor *actor, struct cl_guest_end *end)
{
    actor->taker.until_ns = 1;
    return leave_after(actor, 1, end);
}

/* What it did counts, not that it went beyond its limit with it. */
TEST(who_has_ended_has_ended_before_its_limit)
{
    set_stage();
    add('A', go_beyond)->taker.cpu_limit_ns = 0;
    CHECK(play() == 0);
    check_exits();
    clear_stage();
}

/* --- from outside -------------------------------------------------------------------------- */

static int pause_other(struct actor *actor, struct cl_guest_end *end)
{
    if (actor->turns == 1) {
        cl_turns_pause(&actor->other->taker, 1);
        cl_turns_pause(&actor->other->taker, 1);
        CHECK(actor->other->taker.state == CL_TAKER_HELD);
    }
    if (actor->turns == 5) {
        cl_turns_pause(&actor->other->taker, 0);
        CHECK(actor->other->taker.state == CL_TAKER_READY);
        cl_turns_pause(&actor->other->taker, 0);
    }
    return leave_after(actor, 5, end);
}

TEST(who_is_paused_does_not_run)
{
    set_stage();
    struct actor *pauser = add('P', pause_other);
    pauser->other = add('A', take_three);
    CHECK(play() == 0);
    CHECK_TEXT(stage.said, "PPPPPAAA");
    check_exits();
    clear_stage();
}

/* Its input comes meanwhile, and is there when it goes on. */
static int pause_reader(struct actor *actor, struct cl_guest_end *end)
{
    struct cl_taker *reader = &actor->other->taker;

    switch (actor->turns) {
    case 2:
        CHECK(reader->state == CL_TAKER_PARKED);
        cl_turns_pause(reader, 1);
        CHECK(reader->state == CL_TAKER_PARKED);
        CHECK(write(actor->fd, "x", 1) == 1);
        return CL_TURN_OVER;
    case 3: /* from now on events are looked at */
        return wait_for(actor, 0, cl_clock_mono_ns() + 20 * MS);
    case 4:
        CHECK(reader->state == CL_TAKER_HELD && actor->other->turns == 1);
        cl_turns_pause(reader, 0);
        return CL_TURN_OVER;
    default:
        return leave_after(actor, 5, end);
    }
}

TEST(who_is_paused_while_it_waits_goes_on_later)
{
    int fds[2] = {-1, -1};

    set_stage();
    make_pipe(fds);
    struct actor *reader = add('R', read_once);
    reader->fd = fds[0];
    struct actor *pauser = add('P', pause_reader);
    pauser->fd = fds[1];
    pauser->other = reader;
    CHECK(play() == 0);
    check_exits();
    CHECK(reader->turns == 2);
    clear_stage();
    close_pipe(fds);
}

/* Goes on before anything has come: it waits as it did. */
static int pause_in_vain(struct actor *actor, struct cl_guest_end *end)
{
    struct cl_taker *reader = &actor->other->taker;

    cl_turns_pause(reader, actor->turns % 2);
    CHECK(reader->state == CL_TAKER_PARKED);
    if (actor->turns == 4)
        CHECK(write(actor->fd, "x", 1) == 1);
    return leave_after(actor, 4, end);
}

TEST(a_pause_in_which_nothing_came_is_none)
{
    int fds[2] = {-1, -1};

    set_stage();
    make_pipe(fds);
    struct actor *reader = add('R', read_once);
    reader->fd = fds[0];
    struct actor *pauser = add('P', pause_in_vain);
    pauser->fd = fds[1];
    pauser->other = reader;
    CHECK(play() == 0);
    check_exits();
    CHECK(reader->turns == 2);
    clear_stage();
    close_pipe(fds);
}

static int pause_for_good(struct actor *actor, struct cl_guest_end *end)
{
    cl_turns_pause(&actor->other->taker, 1);
    return leave_after(actor, 1, end);
}

TEST(time_goes_on_in_a_pause)
{
    set_stage();
    struct actor *pauser = add('P', pause_for_good);
    pauser->other = add('S', spin);
    pauser->other->taker.until_ns = cl_clock_mono_ns() + 30 * MS;
    CHECK(play() == 0);
    CHECK(pauser->other->ends == 1 && pauser->other->status == CL_ANSWER_TIME);
    CHECK(pauser->other->turns == 0 && pauser->other->taker.cpu_ns == 0);
    clear_stage();
}

/* Takes out the others, each in a state of its own: ready, waiting for input, for a moment, held.
 */
static int take_out_others(struct actor *actor, struct cl_guest_end *end)
{
    static const int states[] = {CL_TAKER_READY, CL_TAKER_PARKED, CL_TAKER_PARKED, CL_TAKER_HELD};

    if (actor->turns == 1)
        cl_turns_pause(&actor[4].taker, 1);
    if (actor->turns < 3)
        return CL_TURN_OVER;
    for (int i = 1; i <= 4; i++) {
        CHECK((int)actor[i].taker.state == states[i - 1]);
        cl_turns_leave(&actor[i].taker);
        CHECK(actor[i].taker.state == CL_TAKER_OUT);
        cl_turns_leave(&actor[i].taker); /* again is fine */
        stage.left--;
    }
    check_empty();
    return leave_after(actor, 0, end);
}

TEST(one_leaves_whatever_it_does)
{
    int fds[2] = {-1, -1};

    set_stage();
    make_pipe(fds);
    (void)add('X', take_out_others);
    (void)add('A', take_many);
    add('B', read_once)->fd = fds[0];
    (void)add('C', rest_long);
    add('D', take_many)->taker.until_ns = cl_clock_mono_ns() + 3600 * CL_NS_PER_S;
    CHECK(play() == 0);
    CHECK(stage.actors[0].ends == 1);
    for (int i = 1; i <= 4; i++)
        CHECK(stage.actors[i].ends == 0);
    clear_stage();
    close_pipe(fds);
}

/* --- faults -------------------------------------------------------------------------------- */

static void strike(const char *kind, int n)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%s:%d", kind, n);
    cl_fault_set(text);
}

static int fail_init(const char *kind, int n)
{
    struct cl_turns turns;
    struct cl_error err = {0};
    const int before = check_count_fds();

    strike(kind, n);
    const int r = cl_turns_init(&turns, &stage.engine, MOST, &err);
    const int struck = cl_fault_struck();
    cl_fault_set(NULL);
    CHECK((r < 0) == struck && (r == 0 || r == -err.code));
    cl_turns_done(&turns);
    CHECK(check_count_fds() == before);
    return struck;
}

TEST(a_beginning_may_fail)
{
    CHECK(fail_init("alloc", 1) && !fail_init("alloc", 2));
    CHECK(fail_init("syscall", 1) && !fail_init("syscall", 2));
}

/* A pipe, a moment and one who lets others run. */
static int fail_play(int n)
{
    int fds[2] = {-1, -1};

    set_stage();
    make_pipe(fds);
    add('R', read_once)->fd = fds[0];
    add('W', write_late)->fd = fds[1];
    (void)add('T', rest_once);
    strike("syscall", n);
    const int r = play();
    const int struck = cl_fault_struck();
    cl_fault_set(NULL);
    CHECK(r == 0 || (struck && r == -EIO && stage.err.code == EIO));
    if (r == 0)
        check_exits();
    for (size_t i = 0; i < stage.count; i++) {
        CHECK(stage.actors[i].ends <= 1);
        cl_turns_leave(&stage.actors[i].taker);
    }
    check_empty();
    clear_stage();
    close_pipe(fds);
    return struck;
}

TEST(each_call_may_fail)
{
    int n = 1;

    while (n < 500 && fail_play(n))
        n++;
    CHECK(n > 10 && n < 500);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(who_is_ready_runs_in_turn),
        ROW(who_waits_for_nothing_lets_others_run),
        ROW(each_end_is_told),
        ROW(idle_work_is_done_when_nobody_is_ready),
        ROW(nobody_who_runs_no_ticks),
        ROW(who_waits_for_input_runs_when_it_is_there),
        ROW(who_waits_for_a_moment_runs_then),
        ROW(one_of_many_is_enough),
        ROW(what_can_not_be_watched_is_asked_again),
        ROW(without_memory_it_is_asked_again),
        ROW(time_ends_whoever_it_is),
        ROW(time_ends_who_is_ready_before_it_runs_again),
        ROW(processor_time_ends_who_uses_it),
        ROW(who_has_ended_has_ended_before_its_limit),
        ROW(who_is_paused_does_not_run),
        ROW(who_is_paused_while_it_waits_goes_on_later),
        ROW(a_pause_in_which_nothing_came_is_none),
        ROW(time_goes_on_in_a_pause),
        ROW(one_leaves_whatever_it_does),
        ROW(a_beginning_may_fail),
        ROW(each_call_may_fail),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
