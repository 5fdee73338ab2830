/* test_beside.c - a helper in our memory and with our descriptors. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/beside.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "check.h"

struct errand {
    int fd;
    pid_t pid;
    uint64_t blocked;
};

static int open_something(void *context)
{
    struct errand *errand = context;

    errand->fd = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0);
    errand->pid = getpid();
    return cl_sys_rt_sigprocmask(SIG_SETMASK, NULL, &errand->blocked) < 0;
}

static uint64_t blocked_now(void)
{
    uint64_t blocked = 0;

    CHECK(cl_sys_rt_sigprocmask(SIG_SETMASK, NULL, &blocked) == 0);
    return blocked;
}

TEST(what_it_finds_is_ours)
{
    struct errand errand = {.fd = -1};
    struct cl_error err = {0};
    const uint64_t before = blocked_now();

    CHECK(cl_beside_run("the helper", 0, open_something, &errand, &err) == 0);
    CHECK(errand.fd >= 0 && cl_sys_fcntl(errand.fd, F_GETFD, 0) >= 0);
    CHECK(errand.pid != getpid() && cl_sys_wait4(-1, NULL, __WALL, NULL) == -ECHILD);
    CHECK((errand.blocked & 1ULL << (SIGTSTP - 1)) != 0 && blocked_now() == before);
    cl_fd_close(&errand.fd);
}

static int fail(void *context)
{
    *(int *)context = 4711;
    return 1;
}

TEST(its_failure_is_told_by_it)
{
    int told = 0;
    struct cl_error err = {0};

    CHECK(cl_beside_run("the helper", 0, fail, &told, &err) == 1);
    CHECK(told == 4711 && err.code == 0);
}

static int die(CL_UNUSED void *context)
{
    return kill(getpid(), SIGKILL);
}

TEST(its_death_is_told_by_us)
{
    struct cl_error err = {0};

    CHECK(cl_beside_run("the helper", 0, die, NULL, &err) == -EIO);
    CHECK_TEXT(err.msg, "the helper was ended from outside (wait status 9)");
}

TEST(each_call_that_starts_it_is_failed_and_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const struct {
        long call;
        const char *message;
    } rows[] = {
        {SYS_rt_sigprocmask, "block signals"},
        {SYS_clone, "clone the helper"},
        {SYS_wait4, "wait for the helper"},
    };
    const uint64_t before = blocked_now();

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct errand errand = {.fd = -1};
        struct cl_error err = {0};
        char text[48];

        (void)snprintf(text, sizeof(text), "lacks:%ld=%d", rows[i].call, EIO);
        cl_fault_set(text);
        CHECK(cl_beside_run("the helper", 0, open_something, &errand, &err) == -EIO);
        cl_fault_set(NULL);
        (void)snprintf(text, sizeof(text), "%s: %s", rows[i].message, strerror(EIO));
        CHECK_TEXT(err.msg, text);
        CHECK(blocked_now() == before);
        cl_fd_close(&errand.fd);
        while (cl_sys_wait4(-1, NULL, __WALL, NULL) > 0)
            ;
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_it_finds_is_ours),
        ROW(its_failure_is_told_by_it),
        ROW(its_death_is_told_by_us),
        ROW(each_call_that_starts_it_is_failed_and_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
