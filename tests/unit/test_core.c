/* test_core.c - core dumps: what the host's core_pattern and our hard limit leave to refuse. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "limits/core.h"
#include "room.h"

enum { SOME = 1 << 20 };

/* In a process of its own, as the limit does not come back. */
static void check_host(const char *pattern, rlim_t hard, int wanted, const char *message)
{
    int status = -1;

    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit limit = {.rlim_cur = hard, .rlim_max = hard};
        const struct rlimit wished = {hard < CL_CORE_OFF ? hard : CL_CORE_OFF,
                                      hard < CL_CORE_OFF ? hard : CL_CORE_OFF};
        struct cl_error err = {0};
        struct rlimit now;

        CHECK(room_write("/mnt/pattern", pattern) == 0);
        CHECK(setrlimit(RLIMIT_CORE, &limit) == 0);
        CHECK(cl_core_turn_off(&err) == wanted);
        CHECK_HAS(err.msg, message);
        CHECK(getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_cur == wished.rlim_cur &&
              now.rlim_max == wished.rlim_max);
        _exit(check_failures > 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void make_pattern(void)
{
    CHECK(room_write("/mnt/pattern", "") == 0);
    CHECK(mount("/mnt/pattern", "/proc/sys/kernel/core_pattern", NULL, MS_BIND, NULL) == 0);
}

static void check_patterns(void)
{
    make_pattern();
    check_host("core.%p\n", SOME, 0, "");
    check_host("", SOME, 0, "");
    check_host("|/usr/bin/handler\n", SOME, 0, "");
    check_host("|/usr/bin/handler\n", CL_CORE_OFF, 0, "");
    check_host("@/run/socket\n", SOME, -EPERM, "to a socket");
}

TEST(a_crash_that_reaches_the_host_is_refused)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_CORE, &limit) == 0);
    if (limit.rlim_max < SOME)
        SKIP_TEST("the hard limit on core dumps is lower here");
    room_run(check_patterns);
}

static void check_patterns_without_cores(void)
{
    make_pattern();
    check_host("core.%p\n", 0, 0, "");
    check_host("|/usr/bin/handler\n", 0, -EPERM, "the hard limit on core dumps is 0");
    check_host("@/run/socket\n", 0, -EPERM, "to a socket");
}

TEST(a_limit_that_can_not_be_raised_is_refused_for_a_program_alone)
{
    room_run(check_patterns_without_cores);
}

static void check_unknown(void)
{
    struct cl_error err = {0};

    CHECK(mount("tmpfs", "/proc/sys/kernel", "tmpfs", 0, NULL) == 0);
    CHECK(cl_core_turn_off(&err) == -ENOENT);
    CHECK_HAS(err.msg, "core_pattern: No such file or directory");
    CHECK_HAS(err.msg, "--without core-limit");
}

TEST(a_pattern_that_is_not_known_is_refused)
{
    room_run(check_unknown);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_crash_that_reaches_the_host_is_refused),
        ROW(a_limit_that_can_not_be_raised_is_refused_for_a_program_alone),
        ROW(a_pattern_that_is_not_known_is_refused),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
