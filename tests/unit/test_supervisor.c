/* test_supervisor.c - the loop over one sandbox: its end, its time, its output. */
#include <poll.h>

#include "supervisor_scene.h"

/* --- the end --------------------------------------------------------------------- */

static void greet(void)
{
    char line[16] = "";

    if (read(scene.theirs[0], line, sizeof(line)) != 0 || write(scene.theirs[1], "out\n", 4) != 4 ||
        write(scene.theirs[2], "error\n", 6) != 6)
        _exit(1);
    _exit(7);
}

TEST(a_sandbox_ends_by_itself)
{
    set_up();
    start_init(greet);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_NONE && scene.supervisor.ended);
    CHECK(scene.process.pid == 0 && scene.sent_count == 0);
    CHECK(scene.supervisor.relays[1].total == 4 && scene.supervisor.relays[2].total == 6);
    check_text_of(scene.out[0], "out\n");
    check_text_of(scene.out[1], "error\n");
    int status = done();
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void copy_input(void)
{
    char data[16];
    ssize_t got;

    while ((got = read(scene.theirs[0], data, sizeof(data))) > 0) {
        if (write(scene.theirs[1], data, (size_t)got) != got)
            _exit(1);
    }
}

TEST(input_is_carried)
{
    set_up();
    cl_fd_close(&scene.in);
    scene.in = make_file();
    CHECK(write(scene.in, "the caller's words", 18) == 18 && lseek(scene.in, 0, SEEK_SET) == 0);
    start_init(copy_input);
    CHECK(run() == 0);
    check_text_of(scene.out[0], "the caller's words");
    CHECK(done() == 0);
}

/* --- time ------------------------------------------------------------------------ */

TEST(time_ends_with_a_grace_and_a_kill)
{
    set_up();
    set_time(10, 20);
    start_init(wait_for_ever);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_TIME);
    CHECK(scene.sent_count == 1 && scene.sent[0] == SIGTERM);
    CHECK(scene.took_ns >= 30ULL * MS);
    CHECK(was_killed(done(), SIGKILL));
}

TEST(a_program_may_end_in_its_grace)
{
    set_up();
    set_time(5, LONG_MS);
    scene.wall.signal = note_and_end;
    start_init(wait_for_ever);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_TIME);
    CHECK(scene.sent_count == 1 && scene.sent[0] == SIGTERM);
    CHECK(scene.took_ns < (uint64_t)LONG_MS * MS);
    CHECK(was_killed(done(), SIGTERM));
}

TEST(the_stop_signal_comes_first)
{
    set_up();
    set_time(5, LONG_MS);
    scene.plan.stop_signal = SIGUSR1;
    cl_plan_mark(&scene.plan, CL_FIELD_STOP_SIGNAL);
    scene.wall.signal = note_and_end;
    start_init(wait_for_ever);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_TIME);
    CHECK(scene.sent_count == 1 && scene.sent[0] == SIGUSR1);
    (void)done();
}

TEST(without_grace_nobody_is_asked)
{
    set_up();
    set_time(1, 0);
    start_init(wait_for_ever);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_TIME && scene.sent_count == 0);
    CHECK(was_killed(done(), SIGKILL));
}

TEST(a_time_limit_that_is_not_reached_is_none)
{
    set_up();
    set_time(LONG_MS, 0);
    start_init(greet);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_NONE);
    CHECK(WEXITSTATUS(done()) == 7);
}

/* An accounting file in place of a cgroup's. */
static void set_cpu_time(uint64_t limit_ms, const char *used)
{
    scene.limits.layout = CL_CGROUP_V1;
    scene.limits.cpu_usage = make_file();
    CHECK(write(scene.limits.cpu_usage, used, strlen(used)) == (ssize_t)strlen(used));
    scene.plan.limits.cpu_time_ns = limit_ms * MS;
    cl_plan_mark(&scene.plan, CL_FIELD_CPU_TIME);
}

TEST(cpu_time_ends_a_sandbox)
{
    set_up();
    set_cpu_time(10, "10000000\n");
    start_init(wait_for_ever);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_CPU_TIME && scene.sent_count == 0);
    CHECK(was_killed(done(), SIGKILL));
    cl_fd_close(&scene.limits.cpu_usage);
}

TEST(unused_cpu_time_is_looked_at_again)
{
    set_up();
    set_cpu_time(10, "9999999\n"); /* one short of it, for ever */
    set_time(50, 0);
    start_init(wait_for_ever);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_TIME);
    CHECK(was_killed(done(), SIGKILL));
    cl_fd_close(&scene.limits.cpu_usage);
}

TEST(unreadable_cpu_time_is_an_error)
{
    set_up();
    set_cpu_time(1, "many\n");
    start_init(wait_for_ever);
    CHECK(run() < 0);
    CHECK_HAS(scene.err.msg, "read the sandbox's CPU time");
    (void)done();
    cl_fd_close(&scene.limits.cpu_usage);
}

/* --- output ---------------------------------------------------------------------- */

static void write_hundred(void)
{
    char data[100];

    memset(data, 'x', sizeof(data));
    if (write(scene.theirs[1], data, sizeof(data)) != (ssize_t)sizeof(data))
        _exit(1);
    wait_for_ever();
}

TEST(too_much_output_ends_a_sandbox)
{
    set_up();
    scene.plan.limits.output_bytes = 10;
    cl_plan_mark(&scene.plan, CL_FIELD_OUTPUT);
    start_init(write_hundred);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_OUTPUT);
    CHECK(scene.supervisor.relays[1].total == 10);
    check_text_of(scene.out[0], "xxxxxxxxxx");
    CHECK(was_killed(done(), SIGKILL));
}

TEST(as_much_output_as_allowed_ends_nothing)
{
    set_up();
    scene.plan.limits.output_bytes = 10; /* "out\n" and "error\n" */
    cl_plan_mark(&scene.plan, CL_FIELD_OUTPUT);
    start_init(greet);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_NONE);
    CHECK(WEXITSTATUS(done()) == 7);
}

TEST(lost_output_is_no_success)
{
    for (int i = 0; i < 2; i++) {
        set_up();
        cl_fd_close(&scene.out[i]);
        scene.out[i] = cl_sys_openat(AT_FDCWD, "/dev/full", O_WRONLY, 0);
        start_init(greet);
        CHECK(run() == -ENOSPC);
        CHECK_HAS(scene.err.msg, i == 0 ? "standard output" : "standard error");
        CHECK(scene.supervisor.end == CL_END_NONE);
        CHECK(WEXITSTATUS(done()) == 7);
    }
}

static void write_much_and_end(void)
{
    char data[4096];

    memset(data, 'x', sizeof(data));
    CHECK(fcntl(scene.theirs[1], F_SETFL, O_NONBLOCK) == 0);
    for (int i = 0; i < 4; i++)
        (void)write(scene.theirs[1], data, sizeof(data));
}

static void write_much_and_stay(void)
{
    write_much_and_end();
    if (write(scene.theirs[2], "done", 4) != 4)
        _exit(1);
    wait_for_ever();
}

/* Our standard output becomes a pipe of one page that nobody reads, whose end is RET. */
static int block_output(void)
{
    int ends[2];

    CHECK(cl_sys_pipe2(ends, 0) == 0 && fcntl(ends[1], F_SETPIPE_SZ, 4096) == 4096);
    cl_fd_close(&scene.out[0]);
    scene.out[0] = ends[1];
    return ends[0];
}

TEST(unread_output_lasts_no_longer_than_the_time_limit)
{
    siginfo_t info;

    set_up();
    CL_UNUSED CL_CLEANUP_FD int reader = block_output();
    set_time(40, LONG_MS);
    start_init(write_much_and_end);
    CHECK(waitid(P_PID, (id_t)scene.process.pid, &info, WEXITED | WNOWAIT) == 0);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_TIME && scene.sent_count == 0);
    CHECK(scene.supervisor.relays[1].active && scene.supervisor.relays[1].total == 4096);
    CHECK(scene.took_ns >= 40ULL * MS);
    CHECK(done() == 0);
}

TEST(unread_output_of_what_we_ended_is_waited_for_a_moment)
{
    set_up();
    CL_UNUSED CL_CLEANUP_FD int reader = block_output();
    set_time(1, 0);
    start_init(write_much_and_stay);
    struct pollfd written = {.fd = scene.supervisor.stdio[2], .events = POLLIN};
    CHECK(poll(&written, 1, -1) == 1);
    CHECK(run() == 0);
    CHECK(scene.supervisor.end == CL_END_TIME && scene.supervisor.relays[1].active);
    CHECK(scene.took_ns >= (uint64_t)REST_MS * MS);
    CHECK(was_killed(done(), SIGKILL));
}

/* Called when init has been reaped. */
static int receive_and_interrupt(CL_UNUSED struct cl_wall_process *process,
                                 CL_UNUSED struct cl_error *err)
{
    return kill(getpid(), SIGINT);
}

TEST(a_signal_after_the_end_gives_unread_output_up)
{
    set_up();
    CL_UNUSED CL_CLEANUP_FD int reader = block_output();
    scene.wall.receive = receive_and_interrupt;
    start_init(write_much_and_end);
    CHECK(run() == 0); /* there is no time limit */
    CHECK(scene.supervisor.end == CL_END_KILLED && scene.supervisor.relays[1].active);
    CHECK(done() == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_sandbox_ends_by_itself),
        ROW(input_is_carried),
        ROW(time_ends_with_a_grace_and_a_kill),
        ROW(a_program_may_end_in_its_grace),
        ROW(the_stop_signal_comes_first),
        ROW(without_grace_nobody_is_asked),
        ROW(a_time_limit_that_is_not_reached_is_none),
        ROW(cpu_time_ends_a_sandbox),
        ROW(unused_cpu_time_is_looked_at_again),
        ROW(unreadable_cpu_time_is_an_error),
        ROW(too_much_output_ends_a_sandbox),
        ROW(as_much_output_as_allowed_ends_nothing),
        ROW(lost_output_is_no_success),
        ROW(unread_output_lasts_no_longer_than_the_time_limit),
        ROW(unread_output_of_what_we_ended_is_waited_for_a_moment),
        ROW(a_signal_after_the_end_gives_unread_output_up),
    };

    return run_tests(tests, CL_ARRAY_SIZE(tests));
}
