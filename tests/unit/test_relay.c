/* test_relay.c - what carries the standard streams: output, its budget, a pty. */
#include <pty.h>

#include "relay_scene.h"

enum { TWO_PAGES = 2 * PAGE, THREE_PAGES = 3 * PAGE, FOUR_PAGES = 4 * PAGE };

/* --- output ------------------------------------------------------------------------ */

TEST(output_goes_into_a_pipe)
{
    struct scene scene;
    size_t fed = 0;
    size_t eaten = 0;

    set_up(&scene, 0);
    CHECK(cl_sys_pipe2(scene.fds, 0) == 0);
    CHECK(start_output(&scene, scene.fds[1]) == 0);
    CHECK(scene.relay.out_manner == CL_MANNER_OURS);
    feed(scene.near, &fed, 5000);
    spin(&scene);
    CHECK(scene.relay.active && scene.relay.total == 5000);
    cl_fd_close(&scene.near);
    spin(&scene);
    CHECK(!scene.relay.active && scene.ends == 1 && scene.relay.failed == 0);
    CHECK(!is_open(scene.ours) && is_open(scene.fds[1]));
    CHECK((fcntl(scene.fds[1], F_GETFL) & O_NONBLOCK) == 0); /* the caller's is as it was */
    cl_fd_close(&scene.fds[1]);
    CHECK(eat(scene.fds[0], &eaten) == 1 && eaten == 5000);
    done(&scene);
    CHECK(scene.ends == 1);
}

/* The program writes; the caller reads nothing first, then a little at a time. */
static void carry_slowly(struct scene *scene)
{
    size_t fed = 0;
    size_t eaten = 0;

    uint64_t before;

    do { /* until nothing moves, and nothing spins */
        before = scene->relay.total;
        feed(scene->near, &fed, BIG);
        spin(scene);
    } while (scene->relay.total > before);
    CHECK(scene->relay.active && before > 0 && before < BIG);
    for (int i = 0; i < TURNS_MOST && eaten < BIG; i++) {
        CHECK(eat(scene->fds[0], &eaten) == 0);
        feed(scene->near, &fed, BIG);
        spin(scene);
    }
    CHECK(eaten == BIG && scene->relay.total == BIG);
    cl_fd_close(&scene->near);
    spin(scene);
    CHECK(!scene->relay.active && scene->relay.failed == 0);
}

TEST(a_pipe_that_nobody_reads_blocks_nobody)
{
    struct scene scene;

    set_up(&scene, 0);
    CHECK(cl_sys_pipe2(scene.fds, 0) == 0);
    CHECK(fcntl(scene.fds[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK(start_output(&scene, scene.fds[1]) == 0);
    carry_slowly(&scene);
    done(&scene);
}

TEST(a_pipe_of_another_user_blocks_nobody)
{
    struct scene scene;

    set_up(&scene, 0);
    CHECK(cl_sys_pipe2(scene.fds, 0) == 0);
    int fsuid = estrange(scene.fds[1]);
    CHECK(start_output(&scene, scene.fds[1]) == 0);
    (void)setfsuid((uid_t)fsuid);
    CHECK(scene.relay.out_manner == CL_MANNER_BORROWED);
    /* the flags are the open file's: the reader's end has one of its own */
    CHECK(fcntl(scene.fds[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK((fcntl(scene.fds[1], F_GETFL) & O_NONBLOCK) == 0);
    carry_slowly(&scene);
    CHECK((fcntl(scene.fds[1], F_GETFL) & O_NONBLOCK) == 0);
    CHECK(is_open(scene.fds[1]));
    done(&scene);
}

TEST(output_ends_at_a_pipe_that_can_not_be_asked)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    struct scene scene;
    size_t fed = 0;

    set_up(&scene, 0);
    CHECK(cl_sys_pipe2(scene.fds, 0) == 0);
    int fsuid = estrange(scene.fds[1]);
    CHECK(start_output(&scene, scene.fds[1]) == 0);
    (void)setfsuid((uid_t)fsuid);
    feed(scene.near, &fed, PAGE);
    spin_unanswered(&scene);
    done(&scene);
}

TEST(two_streams_share_a_pipe_of_another_user)
{
    struct scene scene;
    struct cl_relay second = {.context = &scene, .on_end = note_end};
    int ends[2] = {-1, -1};
    size_t fed[2] = {0, 0};
    CL_CLEANUP_FD int err_fd = -1;
    char data[PAGE];

    set_up(&scene, 0);
    CHECK(cl_sys_pipe2(scene.fds, 0) == 0 && cl_sys_pipe2(ends, O_NONBLOCK) == 0);
    CHECK(fcntl(scene.fds[1], F_SETPIPE_SZ, PAGE) == PAGE);
    err_fd = fcntl(scene.fds[1], F_DUPFD_CLOEXEC, 3);
    int fsuid = estrange(scene.fds[1]);
    CHECK(start_output(&scene, scene.fds[1]) == 0);
    CHECK(cl_relay_start_output(&second, &scene.loop, ends[0], err_fd, &scene.err) == 0);
    (void)setfsuid((uid_t)fsuid);
    feed(scene.near, &fed[0], TWO_PAGES);
    feed(ends[1], &fed[1], TWO_PAGES);
    for (int i = 0; i < 4; i++) {
        spin(&scene); /* one page at most fits, for both together */
        CHECK(read(scene.fds[0], data, sizeof(data)) == PAGE);
    }
    CHECK(scene.relay.total == TWO_PAGES && second.total == TWO_PAGES);
    cl_fd_close(&ends[1]);
    cl_relay_done(&second);
    done(&scene);
}

TEST(output_goes_into_a_file)
{
    struct scene scene;
    size_t fed = 0;
    size_t eaten = 0;

    set_up(&scene, 0);
    scene.fds[1] = make_file("");
    CHECK(start_output(&scene, scene.fds[1]) == 0);
    CHECK(scene.relay.out_manner == CL_MANNER_FILE);
    feed(scene.near, &fed, 50000);
    cl_fd_close(&scene.near);
    spin(&scene);
    CHECK(!scene.relay.active && scene.relay.total == 50000);
    /* the caller's position moves with it, as when the program itself had written */
    CHECK(lseek(scene.fds[1], 0, SEEK_CUR) == 50000 && lseek(scene.fds[1], 0, SEEK_SET) == 0);
    CHECK(eat(scene.fds[1], &eaten) == 1 && eaten == 50000);
    done(&scene);
}

TEST(output_goes_into_a_socket)
{
    struct scene scene;

    set_up(&scene, 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, scene.fds) == 0);
    CHECK(fcntl(scene.fds[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK(start_output(&scene, scene.fds[1]) == 0);
    CHECK(scene.relay.out_manner == CL_MANNER_SOCKET);
    carry_slowly(&scene);
    CHECK((fcntl(scene.fds[1], F_GETFL) & O_NONBLOCK) == 0);
    done(&scene);
}

/* Carries ten bytes to OUT and to the end; returns what failed. */
static int carry_ten(int out)
{
    struct scene scene;

    set_up(&scene, 0);
    CHECK(write(scene.near, "0123456789", 10) == 10);
    cl_fd_close(&scene.near);
    CHECK(start_output(&scene, out) == 0);
    spin(&scene);
    CHECK(!scene.relay.active && scene.ends == 1 && !is_open(scene.ours));
    int failed = scene.relay.failed;
    CHECK(scene.relay.total == (failed < 0 ? 0 : 10) || failed == 0);
    done(&scene);
    return failed;
}

TEST(lost_output_is_known)
{
    CL_CLEANUP_FD int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CL_CLEANUP_FD int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CL_CLEANUP_FD int read_only = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

    CHECK(carry_ten(full) == -ENOSPC);
    CHECK(carry_ten(null) == 0);
    CHECK(carry_ten(read_only) == -EBADF);
}

TEST(a_caller_without_a_descriptor_loses_output)
{
    struct scene scene;
    int closed = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 500);

    set_up(&scene, 0);
    CHECK(close(closed) == 0);
    CHECK(write(scene.near, "x", 1) == 1);
    CHECK(start_output(&scene, closed) == 0);
    spin(&scene);
    CHECK(!scene.relay.active && scene.relay.failed == -EBADF);
    done(&scene);
}

TEST(a_reader_who_goes_away_is_no_failure)
{
    struct scene scene;

    for (int type = 0; type < 2; type++) {
        set_up(&scene, 0);
        if (type == 0)
            CHECK(cl_sys_pipe2(scene.fds, 0) == 0);
        else
            CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, scene.fds) == 0);
        CHECK(start_output(&scene, scene.fds[1]) == 0);
        cl_fd_close(&scene.fds[0]);
        spin(&scene);
        CHECK(scene.relay.active); /* known when something is written */
        CHECK(write(scene.near, "x", 1) == 1);
        spin(&scene);
        CHECK(!scene.relay.active && scene.ends == 1 && scene.relay.failed == 0);
        done(&scene);
    }
}

/* --- the budget ---------------------------------------------------------------------- */

/* SIZE bytes into a budget of LIMIT: what arrives is the budget's part. */
static void spend(size_t size, uint64_t limit, int exceeded)
{
    struct scene scene;
    size_t fed = 0;

    set_up(&scene, 0);
    CHECK(cl_sys_pipe2(scene.fds, 0) == 0);
    scene.budget.limit = limit;
    CHECK(start_output(&scene, scene.fds[1]) == 0);
    feed(scene.near, &fed, size);
    spin(&scene);
    CHECK(scene.relay.active == !exceeded && scene.ends == exceeded);
    CHECK(scene.budget.exceeded == exceeded);
    CHECK(scene.budget.used == cl_min_u64(size, limit));
    CHECK(scene.relay.total == cl_min_u64(size, limit) && scene.relay.failed == 0);
    done(&scene); /* a second time never */
    CHECK(scene.ends == exceeded);
}

TEST(a_budget_is_met_exactly)
{
    spend(99, 100, 0);
    spend(100, 100, 0);
    spend(101, 100, 1);
    spend(1, 0, 1);
    spend(0, 0, 0);
    spend(CL_RELAY_BUFFER, CL_RELAY_BUFFER, 0);
    spend(CL_RELAY_BUFFER + 1, CL_RELAY_BUFFER, 1);
    spend(60000, 40000, 1);
}

TEST(two_streams_share_a_budget)
{
    struct scene scene;
    struct cl_relay second = {.context = &scene, .on_end = note_end};
    CL_CLEANUP_FD int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int ends[2];

    set_up(&scene, 0);
    scene.budget.limit = 10;
    CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    CHECK(start_output(&scene, null) == 0);
    second.budget = &scene.budget;
    CHECK(cl_relay_start_output(&second, &scene.loop, ends[0], null, &scene.err) == 0);
    CHECK(write(scene.near, "123456", 6) == 6);
    spin(&scene);
    CHECK(!scene.budget.exceeded && scene.budget.used == 6);
    CHECK(write(ends[1], "123456", 6) == 6);
    spin(&scene);
    CHECK(scene.budget.exceeded && scene.budget.used == 10);
    CHECK(scene.relay.total == 6 && second.total == 4 && !second.active);
    CHECK(write(scene.near, "1", 1) == 1);
    spin(&scene);
    CHECK(scene.relay.total == 6 && !scene.relay.active);
    cl_fd_close(&ends[1]);
    cl_relay_done(&second);
    done(&scene);
}

TEST(the_budgets_last_bytes_wait_for_a_reader)
{
    struct scene scene;
    size_t fed = 0;
    size_t eaten = 0;

    set_up(&scene, 0);
    CHECK(cl_sys_pipe2(scene.fds, 0) == 0);
    CHECK(fcntl(scene.fds[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK(fcntl(scene.fds[1], F_SETPIPE_SZ, PAGE) == PAGE);
    scene.budget.limit = THREE_PAGES;
    CHECK(start_output(&scene, scene.fds[1]) == 0);
    feed(scene.near, &fed, FOUR_PAGES);
    spin(&scene);
    CHECK(scene.budget.exceeded && scene.relay.active && scene.ends == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(eat(scene.fds[0], &eaten) == 0);
        spin(&scene);
    }
    CHECK(eaten == THREE_PAGES && !scene.relay.active && scene.ends == 1);
    done(&scene);
}

TEST(a_budget_ends_at_the_last_turn_too)
{
    enum { TURNS = 16, SIZE = TURNS * CL_RELAY_BUFFER }; /* relay.c's, before others have theirs */
    struct scene scene;
    CL_CLEANUP_FD int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    size_t fed = 0;

    set_up(&scene, 0);
    CHECK(fcntl(scene.near, F_SETPIPE_SZ, 1 << 20) == 1 << 20);
    scene.budget.limit = SIZE - 1;
    feed(scene.near, &fed, SIZE);
    CHECK(start_output(&scene, null) == 0);
    spin(&scene);
    CHECK(scene.budget.exceeded && !scene.relay.active && scene.ends == 1);
    done(&scene);
}

/* --- a pty ------------------------------------------------------------------------------ */

static int read_closed_pty(int in_is_pty)
{
    struct scene scene;
    struct termios raw;
    int slave;
    char data[16] = "";

    set_up(&scene, 0);
    cl_fd_close(&scene.ours);
    cfmakeraw(memset(&raw, 0, sizeof(raw)));
    CHECK(openpty(&scene.ours, &slave, NULL, &raw, NULL) == 0);
    CHECK(fcntl(scene.ours, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
    CHECK(pipe2(scene.fds, O_CLOEXEC | O_NONBLOCK) == 0);
    scene.relay.in_is_pty = in_is_pty;
    CHECK(start_output(&scene, scene.fds[1]) == 0);
    CHECK(write(slave, "last words", 10) == 10);
    cl_fd_close(&slave);
    spin(&scene);
    CHECK(!scene.relay.active && scene.ends == 1);
    CHECK(read(scene.fds[0], data, sizeof(data)) == 10);
    CHECK_TEXT(data, "last words");
    int failed = scene.relay.failed;
    done(&scene);
    return failed;
}

TEST(a_pty_ends_with_an_error_that_is_none)
{
    CHECK(read_closed_pty(1) == 0);
    CHECK(read_closed_pty(0) == -EIO);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(output_goes_into_a_pipe),
        ROW(a_pipe_that_nobody_reads_blocks_nobody),
        ROW(a_pipe_of_another_user_blocks_nobody),
        ROW(output_ends_at_a_pipe_that_can_not_be_asked),
        ROW(two_streams_share_a_pipe_of_another_user),
        ROW(output_goes_into_a_file),
        ROW(output_goes_into_a_socket),
        ROW(lost_output_is_known),
        ROW(a_caller_without_a_descriptor_loses_output),
        ROW(a_reader_who_goes_away_is_no_failure),
        ROW(a_budget_is_met_exactly),
        ROW(two_streams_share_a_budget),
        ROW(the_budgets_last_bytes_wait_for_a_reader),
        ROW(a_budget_ends_at_the_last_turn_too),
        ROW(a_pty_ends_with_an_error_that_is_none),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* a supervisor has it blocked */
    (void)alarm(ALARM_S);
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
