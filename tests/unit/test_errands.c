/* test_errands.c - the child that copies for a run: its messages and its ends, without a sandbox.
 * What it copies: tests/integration/test_copies.py. */
#include <errno.h>
#include <poll.h>

#include "base/sys.h"
#include "sandbox/errands.h"
#include "check.h"

static const struct cl_errand one = {"/etc/hostname", "/tmp"};
static const struct cl_errand_plan both = {.in = {&one, 1}, .out = {&one, 1}};

static int count_fds(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int hear(struct cl_errands *errands, struct cl_error *err)
{
    struct pollfd polled = {.fd = errands->channel, .events = POLLIN};

    CHECK(poll(&polled, 1, 10000) == 1);
    return cl_errands_hear(errands, err);
}

TEST(nothing_to_copy_is_no_process)
{
    const struct cl_errand_plan empty = {0};
    struct cl_errands errands = CL_ERRANDS_INIT;
    struct cl_error err = {0};

    CHECK(cl_errands_make(NULL, "0123456789abcdef", &errands, &err) == 0 && errands.pid == 0);
    CHECK(cl_errands_make(&empty, "0123456789abcdef", &errands, &err) == 0 && errands.pid == 0);
    cl_errands_done(&errands);
}

TEST(what_fails_is_told_with_its_way)
{
    const int before = count_fds();
    struct cl_errands errands = CL_ERRANDS_INIT;
    struct cl_error err = {0};

    CHECK(cl_errands_make(&both, "0123456789abcdef", &errands, &err) == 0);
    CHECK(errands.pid > 0 && errands.has_in && errands.has_out);
    CHECK(cl_errands_hear(&errands, &err) == -EAGAIN);
    CHECK(cl_errands_send(&errands, CL_COPY_IN, &err) == 0);
    CHECK(hear(&errands, &err) == -ESRCH);
    CHECK_HAS(err.msg, "copy-in: ");
    CHECK(cl_errands_send(&errands, CL_COPY_OUT, &err) == 0);
    CHECK(hear(&errands, &err) == -ESRCH);
    const pid_t pid = errands.pid;
    cl_errands_done(&errands);
    CHECK(errands.pid == 0 && errands.channel == -1 && kill(pid, 0) < 0);
    CHECK(count_fds() == before);
}

TEST(a_killed_child_is_told)
{
    struct cl_errands errands = CL_ERRANDS_INIT;
    struct cl_error err = {0};

    CHECK(cl_errands_make(&both, "0123456789abcdef", &errands, &err) == 0);
    CHECK(kill(errands.pid, SIGKILL) == 0);
    CHECK(hear(&errands, &err) == -ECHILD);
    CHECK_TEXT(err.msg, "copy-in: the process that copies files was ended");
    CHECK(cl_errands_send(&errands, CL_COPY_OUT, &err) == 0); /* who is gone is heard */
    CHECK(hear(&errands, &err) == -ECHILD);
    CHECK_TEXT(err.msg, "copy-out: the process that copies files was ended");
    cl_errands_done(&errands);
}

/* It ends with who made it, whatever ends that. */
TEST(it_ends_with_its_supervisor)
{
    int ends[2];
    pid_t child = -1;

    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    (void)fflush(stdout);
    pid_t maker = fork();
    if (maker == 0) {
        struct cl_errands errands = CL_ERRANDS_INIT;
        struct cl_error err = {0};

        if (cl_errands_make(&both, "0123456789abcdef", &errands, &err) < 0 ||
            write(ends[1], &errands.pid, sizeof(errands.pid)) != (ssize_t)sizeof(errands.pid))
            _exit(1);
        (void)pause();
        _exit(0);
    }
    CHECK(read(ends[0], &child, sizeof(child)) == (ssize_t)sizeof(child) && child > 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    struct pollfd gone = {.fd = cl_sys_pidfd_open(child), .events = POLLIN};
    CHECK(gone.fd >= 0 && poll(&gone, 1, 0) == 0);
    CHECK(kill(maker, SIGKILL) == 0 && waitpid(maker, NULL, 0) == maker);
    CHECK(poll(&gone, 1, 10000) == 1);
    (void)close(gone.fd);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(nothing_to_copy_is_no_process),
        ROW(what_fails_is_told_with_its_way),
        ROW(a_killed_child_is_told),
        ROW(it_ends_with_its_supervisor),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
