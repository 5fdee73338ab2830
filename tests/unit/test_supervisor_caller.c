/* test_supervisor_caller.c - the loop over one sandbox: its caller, the control socket, a
 * pty. */
#include <pty.h>
#include <sys/socket.h>

#include "sandbox/control.h"
#include "supervisor_scene.h"

/* --- the caller ------------------------------------------------------------------ */

TEST(the_parents_death_ends_a_sandbox)
{
    set_up();
    pid_t parent = fork();
    if (parent == 0)
        _exit(0);
    scene.parent = cl_sys_pidfd_open(parent);
    CHECK(scene.parent >= 0);
    start_init(wait_for_ever);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_KILLED && scene.sent_count == 0);
    CHECK(was_killed(done(), SIGKILL));
    CHECK(waitpid(parent, NULL, 0) == parent);
}

/* The next signal comes when the one before was seen: equal ones would be one. */
static int note_and_send_next(CL_UNUSED struct cl_wall_process *process, int signal,
                              struct cl_error *err)
{
    static const int after[] = {SIGTERM, SIGINT, SIGHUP};

    if (scene.sent_count < 3)
        (void)kill(getpid(), after[scene.sent_count]);
    return note_signal(process, signal, err);
}

TEST(the_third_interrupt_kills)
{
    set_up();
    scene.wall.signal = note_and_send_next;
    start_init(wait_for_ever);
    CHECK(kill(getpid(), SIGINT) == 0);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_KILLED);
    CHECK(scene.sent_count == 2 && scene.sent[0] == SIGINT && scene.sent[1] == SIGTERM);
    CHECK(was_killed(done(), SIGKILL));
}

static int note_and_send_others(struct cl_wall_process *process, int signal, struct cl_error *err)
{
    static const int after[] = {SIGHUP, SIGUSR1, SIGHUP, SIGUSR2, SIGQUIT};

    if (scene.sent_count < 5)
        (void)kill(getpid(), after[scene.sent_count]);
    else
        end_init();
    return note_signal(process, signal, err);
}

TEST(other_signals_are_forwarded_and_not_counted)
{
    static const int expected[] = {SIGHUP, SIGHUP, SIGUSR1, SIGHUP, SIGUSR2, SIGQUIT};

    set_up();
    scene.wall.signal = note_and_send_others;
    start_init(wait_for_ever);
    /* these stay here */
    CHECK(kill(getpid(), SIGWINCH) == 0 && kill(getpid(), SIGPIPE) == 0);
    CHECK(kill(getpid(), SIGCHLD) == 0 && kill(getpid(), SIGHUP) == 0);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_NONE && scene.supervisor.interrupts == 0);
    CHECK(scene.sent_count == 6);
    for (int i = 0; i < 6; i++)
        CHECK(scene.sent[i] == expected[i]);
    CHECK(was_killed(done(), SIGTERM));
}

/* --- the control socket ---------------------------------------------------------- */

/* The clients' exit status: all answers were as expected. */
static int answers_are_right(void)
{
    struct cl_error err = {0};

    if (cl_control_signal(&scene.entry, 65, &err) != -EINVAL ||
        cl_control_signal(&scene.entry, 0, &err) != -EINVAL)
        return 0;
    if (cl_control_signal(&scene.entry, SIGUSR1, &err) != 0 ||
        cl_control_signal(&scene.entry, SIGTERM, &err) != 0)
        return 0;
    return cl_control_signal(&scene.entry, SIGKILL, &err) == 0;
}

/* Called when the supervisor listens. */
static int shrink_and_ask(CL_UNUSED const struct cl_plan *plan, CL_UNUSED struct cl_error *err)
{
    scene.client = fork();
    if (scene.client == 0)
        _exit(answers_are_right() ? 0 : 1);
    return 0;
}

TEST(requests_are_answered)
{
    int status = -1;

    set_up();
    scene.wall.shrink = shrink_and_ask;
    start_init(wait_for_ever);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_KILLED && scene.supervisor.interrupts == 0);
    CHECK(scene.sent_count == 2 && scene.sent[0] == SIGUSR1 && scene.sent[1] == SIGTERM);
    CHECK(waitpid(scene.client, &status, 0) == scene.client && status == 0);
    CHECK(was_killed(done(), SIGKILL));
}

static int refuse_signal(struct cl_wall_process *process, int signal, struct cl_error *err)
{
    end_init();
    (void)note_signal(process, signal, err);
    return cl_refuse(err, ESRCH, "nobody is there");
}

static int shrink_and_ask_once(CL_UNUSED const struct cl_plan *plan, CL_UNUSED struct cl_error *err)
{
    scene.client = fork();
    if (scene.client == 0) {
        struct cl_error client_err = {0};

        _exit(cl_control_signal(&scene.entry, SIGHUP, &client_err) == -ESRCH ? 0 : 1);
    }
    return 0;
}

TEST(a_signal_that_can_not_be_sent_is_told_to_the_client_alone)
{
    int status = -1;

    set_up();
    scene.wall.shrink = shrink_and_ask_once;
    scene.wall.signal = refuse_signal;
    start_init(wait_for_ever);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_NONE && scene.sent_count == 1);
    CHECK(waitpid(scene.client, &status, 0) == scene.client && status == 0);
    CHECK(was_killed(done(), SIGTERM));
}

static int refuse_to_shrink(CL_UNUSED const struct cl_plan *plan, struct cl_error *err)
{
    return cl_refuse(err, EPERM, "no filter");
}

TEST(a_supervisor_that_can_not_shrink_does_not_watch)
{
    set_up();
    scene.wall.shrink = refuse_to_shrink;
    start_init(wait_for_ever);
    CHECK(run() == -EPERM);
    CHECK_TEXT(scene.err.msg, "no filter");
    (void)done();
}

/* --- a pty ----------------------------------------------------------------------- */

static int slave = -1;

static void speak_on_the_pty(void)
{
    char line[32];

    if (write(slave, "name? ", 6) != 6)
        _exit(1);
    ssize_t got = read(slave, line, sizeof(line));
    if (got <= 0 || write(slave, line, (size_t)got) != got)
        _exit(1);
}

/* With the pty there from the start, so that init can have inherited it. */
static void set_up_pty(void)
{
    set_up();
    for (int fd = 0; fd < 3; fd++) {
        cl_fd_close(&scene.supervisor.stdio[fd]);
        cl_fd_close(&scene.theirs[fd]);
    }
    scene.plan.tty = 1;
    scene.plan.interactive = 1;
    cl_fd_close(&scene.in);
    scene.in = make_file();
    CHECK(write(scene.in, "Ada\n", 4) == 4 && lseek(scene.in, 0, SEEK_SET) == 0);
}

static int master_kept = -1;

static int receive_the_kept(struct cl_wall_process *process, CL_UNUSED struct cl_error *err)
{
    char byte;

    if (recv(process->channel, &byte, 1, MSG_DONTWAIT) == 1)
        process->terminal = CL_TAKE_FD(master_kept);
    return 0;
}

static void talk(int early)
{
    int ends[2];
    struct termios raw;

    set_up_pty();
    cfmakeraw(memset(&raw, 0, sizeof(raw)));
    raw.c_lflag |= ICANON;
    CHECK(openpty(&master_kept, &slave, NULL, &raw, NULL) == 0);
    CHECK(cl_sys_socketpair(SOCK_SEQPACKET, ends) == 0);
    scene.process.channel = ends[0];
    scene.wall.receive = receive_the_kept;
    CHECK(send(ends[1], "x", 1, 0) == 1);
    if (early) /* what the caller types is there before the program asks for it */
        CHECK(write(master_kept, "Eve\n", 4) == 4);
    start_init(speak_on_the_pty);
    cl_fd_close(&slave);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_NONE && !scene.supervisor.relays[1].active);
    check_text_of(scene.out[0], early ? "name? Eve\n" : "name? Ada\n");
    cl_fd_close(&ends[1]);
    CHECK(done() == 0);
}

TEST(a_pty_carries_both_ways)
{
    talk(0);
    talk(1);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_parents_death_ends_a_sandbox),
        ROW(the_third_interrupt_kills),
        ROW(other_signals_are_forwarded_and_not_counted),
        ROW(requests_are_answered),
        ROW(a_signal_that_can_not_be_sent_is_told_to_the_client_alone),
        ROW(a_supervisor_that_can_not_shrink_does_not_watch),
        ROW(a_pty_carries_both_ways),
    };

    return run_tests(tests, CL_ARRAY_SIZE(tests));
}
