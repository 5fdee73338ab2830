/* test_freezer.c - real processes in a real cgroup of version 2, wherever one is mounted. */
#include "limits/freezer.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "limits/cgroup.h"
#include "limits_scene.h"

/* A cgroup as a sandbox has one; its parent is -1 where this user can't make it. */
static struct cl_limits make_cgroup(void)
{
    static const char *const mounts[] = {CL_CGROUP_MOUNT "/unified", CL_CGROUP_MOUNT};
    struct cl_limits limits = CL_LIMITS_INIT;
    struct cl_error unused;

    (void)snprintf(limits.name, sizeof(limits.name), "cloister-%s", fresh_id());
    limits.layout = CL_CGROUP_V2;
    for (size_t i = 0; i < CL_ARRAY_SIZE(mounts); i++) {
        CL_CLEANUP_FD int parent = cl_cgroup_open(mounts[i], CGROUP2_SUPER_MAGIC, &unused);

        if (parent < 0 || cl_sys_mkdirat(parent, limits.name, 0755) < 0)
            continue;
        limits.count = 1;
        limits.dir = cl_sys_openat(parent, limits.name, O_PATH | O_DIRECTORY, 0);
        limits.cgroups[0] =
            (struct cl_cgroup){.parent = CL_TAKE_FD(parent), .tasks = -1, .made = 1};
        break;
    }
    return limits;
}

static void spin(void)
{
    for (;;)
        (void)getppid();
}

/* What the scheduler has counted of it: the same as long as it doesn't run. */
static void read_counts(pid_t pid, char ret[128])
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    ssize_t got = cl_sys_read(fd, ret, 127);
    CHECK(got > 0);
    ret[got < 0 ? 0 : got] = '\0';
}

static int has_run_since(pid_t pid, const char *before)
{
    char now[128];

    read_counts(pid, now);
    return strcmp(now, before) != 0;
}

static uint64_t in_ms(uint64_t ms)
{
    return cl_clock_boot_ns() + ms * CL_NS_PER_MS;
}

TEST(what_is_frozen_stands_still_and_can_be_killed)
{
    struct cl_limits limits = make_cgroup();
    if (limits.count == 0)
        SKIP_TEST("no cgroup2 in which this user can make one");
    pid_t pid = start(&limits, spin);
    char before[128];

    CHECK(pid > 0);
    CHECK(cl_freezer_wait(limits.dir, in_ms(1)) == 0); /* nobody has asked */
    CHECK(cl_limits_freeze(&limits, 1) == 0);
    CHECK(cl_freezer_wait(limits.dir, in_ms(10000)) == 1);
    read_counts(pid, before);
    (void)cl_sys_poll(NULL, 0, 50);
    CHECK(!has_run_since(pid, before));
    CHECK(cl_limits_freeze(&limits, 0) == 0);
    for (int i = 0; i < 10000 && !has_run_since(pid, before); i++)
        (void)cl_sys_poll(NULL, 0, 1);
    CHECK(has_run_since(pid, before));
    CHECK(cl_limits_freeze(&limits, 1) == 0);
    CHECK(cl_freezer_wait(limits.dir, in_ms(10000)) == 1);
    CHECK(kill(pid, SIGKILL) == 0);
    int status = end(pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CL_CLEANUP_FD int dir = cl_sys_dup3(limits.dir, 900, O_CLOEXEC);
    CHECK(cl_limits_remove(&limits) == 0);
    CHECK(cl_freezer_wait(dir, in_ms(10000)) == -ENOENT); /* removed: it doesn't wait */
}

TEST(elsewhere_there_is_none)
{
    struct cl_limits limits = CL_LIMITS_INIT;

    CHECK(cl_limits_freeze(&limits, 1) == -ENOTSUP);
    limits.layout = CL_CGROUP_V1;
    limits.count = 1;
    CHECK(cl_limits_freeze(&limits, 1) == -ENOTSUP);
    CHECK(cl_freezer_open("0123456789abcdef", getpid()) < 0);
    CHECK(cl_freezer_open("no id", getpid()) == -ENOTSUP);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_is_frozen_stands_still_and_can_be_killed),
        ROW(elsewhere_there_is_none),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
