/* test_limits.c - real cgroups, where this user may make them. Tests of them skip where
 * the host gives none; as root on a v1, hybrid or v2 host nothing skips but what the
 * layout lacks. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/cgroup.h"
#include "limits/lines.h"
#include "limits/limits.h"
#include "limits_scene.h"

static int has_cgroup(const struct cl_limits *limits)
{
    for (size_t i = 0; i < limits->count; i++) {
        if (cl_sys_faccessat(limits->cgroups[i].parent, limits->name, F_OK) == 0)
            return 1;
    }
    return 0;
}

/* Another hold on the directories, to look for them when LIMITS is closed. */
static struct cl_limits watch(const struct cl_limits *limits)
{
    struct cl_limits copy = *limits;

    for (size_t i = 0; i < copy.count; i++) {
        copy.cgroups[i].parent = fcntl(limits->cgroups[i].parent, F_DUPFD_CLOEXEC, 0);
        copy.cgroups[i].tasks = -1;
    }
    copy.dir = -1;
    copy.cpu_usage = -1;
    for (size_t i = 0; i < CL_ARRAY_SIZE(copy.set); i++)
        copy.set[i] = -1;
    return copy;
}

TEST(without_cgroups_all_is_unknown)
{
    struct cl_limits limits = CL_LIMITS_INIT;
    struct cl_usage usage;
    uint64_t ns;

    CHECK(cl_limits_cgroup_fd(&limits) == -1);
    CHECK(cl_limits_cpu_ns(&limits, &ns) == -ENODATA);
    cl_limits_usage(&limits, &usage);
    CHECK(usage.known == 0);
    CHECK(cl_limits_remove(&limits) == 0);
}

TEST(create_and_remove_leave_nothing)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();
    size_t before = open_descriptors();
    struct cl_limits limits = create(&plan);
    struct cl_limits copy = watch(&limits);

    CHECK(has_cgroup(&limits));
    CHECK(cl_limits_remove(&limits) == 0);
    CHECK(!has_cgroup(&copy));
    cl_limits_close(&copy);
    CHECK(open_descriptors() == before);
    CHECK(cl_limits_remove(&limits) == 0); /* twice does no harm */
}

TEST(what_nobody_wants_is_not_measured)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();
    struct cl_limits limits = CL_LIMITS_INIT;
    struct cl_usage usage;
    struct cl_error err;
    const unsigned int wanted = CL_USAGE_BIT(CL_USAGE_OOM_KILLS);

    for (int timed = 0; timed < 2; timed++, cl_plan_mark(&plan, CL_FIELD_CPU_TIME)) {
        CHECK(cl_limits_create_for(&limits, &plan, fresh_id(), wanted, &err) == 0);
        CHECK(limits.layout != CL_CGROUP_V1 || (limits.cpu_usage >= 0) == timed);
        cl_limits_usage(&limits, &usage);
        CHECK(usage.known == wanted);
        CHECK(cl_limits_remove(&limits) == 0);
    }
}

TEST(an_id_in_use_is_refused_and_kept)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();
    size_t before;
    struct cl_limits limits = create(&plan);
    struct cl_limits second = CL_LIMITS_INIT;
    struct cl_error err;

    before = open_descriptors();
    CHECK(cl_limits_create(&second, &plan, limits.name + strlen("cloister-"), &err) == -EEXIST);
    CHECK(second.count == 0 && has_cgroup(&limits) && open_descriptors() == before);
    CHECK(cl_limits_remove(&limits) == 0);
}

static uint64_t setting(const struct cl_limits *limits, const char *file)
{
    for (size_t i = 0; i < limits->count; i++) {
        CL_CLEANUP_FD int fd =
            cl_cgroup_open_file(limits->cgroups[i].parent, limits->name, file, O_RDONLY);
        uint64_t value;

        if (fd >= 0 && cl_lines_number(fd, &value) == 0)
            return value;
    }
    return UINT64_MAX;
}

TEST(limits_are_set_before_anything_runs)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();
    uint64_t ns = 1;

    plan.limits.swap_bytes = 16 << 20;
    struct cl_limits limits = create(&plan);
    CHECK(setting(&limits, "pids.max") == 9); /* and the wall's init */
    if (limits.layout == CL_CGROUP_V2) {
        CHECK(setting(&limits, "memory.max") == 32 << 20);
        CHECK(limits.count == 1 && cl_limits_cgroup_fd(&limits) >= 0);
    } else {
        CHECK(setting(&limits, "memory.limit_in_bytes") == 32 << 20);
        CHECK(setting(&limits, "memory.memsw.limit_in_bytes") == 48 << 20);
        CHECK(setting(&limits, "cpu.cfs_quota_us") == UINT64_MAX); /* not made for nothing */
        CHECK(limits.count == 3 && cl_limits_cgroup_fd(&limits) == -1);
    }
    CHECK(cl_limits_cpu_ns(&limits, &ns) == 0 && ns == 0);
    CHECK(cl_limits_remove(&limits) == 0);
}

TEST(swap_alone_needs_v2)
{
    NEED_CGROUPS();
    struct cl_plan plan = {.limits = {.swap_bytes = 16 << 20}};
    struct cl_limits limits = CL_LIMITS_INIT;
    struct cl_error err;
    int r;

    cl_plan_mark(&plan, CL_FIELD_SWAP);
    r = cl_limits_create(&limits, &plan, fresh_id(), &err);
    CHECK(r == -EINVAL || limits.layout == CL_CGROUP_V2);
    CHECK(cl_limits_remove(&limits) == 0);
}

static void hog(void)
{
    size_t size = 96 << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (size_t at = 0; at < size; at += 4096)
        memory[at] = 1;
    _exit(1);
}

/* The hog's parent survives and tells of it. */
static void hog_child(void)
{
    pid_t pid = fork();

    if (pid == 0)
        hog();
    _exit(WIFSIGNALED(end(pid)) ? 42 : 1);
}

TEST(a_memory_hog_is_killed_and_counted)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();
    struct cl_usage usage;
    struct cl_limits limits = create(&plan);
    int status = end(start(&limits, hog));

    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cl_limits_usage(&limits, &usage);
    CHECK(cl_usage_has(&usage, CL_USAGE_OOM_KILLS) && usage.oom_kills == 1);
    if (cl_usage_has(&usage, CL_USAGE_MEMORY_PEAK))
        CHECK(usage.memory_peak_bytes > 24 << 20 && usage.memory_peak_bytes <= 32 << 20);
    CHECK(cl_limits_remove(&limits) == 0);
}

TEST(a_childs_oom_kill_can_be_survived)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();
    struct cl_usage usage;
    struct cl_limits limits = create(&plan);
    int status = end(start(&limits, hog_child));

    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    cl_limits_usage(&limits, &usage);
    CHECK(usage.oom_kills == 1);
    CHECK(cl_limits_remove(&limits) == 0);
}

static void bomb(void)
{
    int made = 0;

    for (int i = 0; i < 64; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            (void)pause();
            _exit(0);
        }
        if (pid < 0)
            break;
        made++;
    }
    kill(0, SIGKILL); /* the group: all of us */
    _exit(made);
}

static void bomb_in_a_group(void)
{
    (void)setpgid(0, 0);
    bomb();
}

TEST(a_fork_bomb_is_bounded_and_counted)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();
    struct cl_usage usage;
    struct cl_limits limits = create(&plan);
    int status = end(start(&limits, bomb_in_a_group));

    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    /* Its children were killed with it and are dying while this removes. */
    cl_limits_usage(&limits, &usage);
    CHECK(cl_usage_has(&usage, CL_USAGE_TASKS_HIT) && usage.tasks_hit == 1);
    if (cl_usage_has(&usage, CL_USAGE_TASKS_PEAK))
        CHECK(usage.tasks_peak == 8);
    CHECK(cl_limits_remove(&limits) == 0);
}

static void spin(void)
{
    uint64_t until = cl_clock_boot_ns() + 600 * CL_NS_PER_MS;

    while (cl_clock_boot_ns() < until)
        ;
}

TEST(a_cpu_quota_holds_and_cpu_time_is_told)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();
    struct cl_usage usage;
    uint64_t ns = 0;

    cl_plan_mark(&plan, CL_FIELD_CPUS);
    struct cl_limits limits = create(&plan);
    int status = end(start(&limits, spin));

    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(cl_limits_cpu_ns(&limits, &ns) == 0);
    /* a fifth of 600 ms, and what a period and a tick may add */
    CHECK(ns > 50 * CL_NS_PER_MS && ns < 260 * CL_NS_PER_MS);
    cl_limits_usage(&limits, &usage);
    CHECK(cl_usage_has(&usage, CL_USAGE_CPU_USER) && cl_usage_has(&usage, CL_USAGE_CPU_SYSTEM));
    CHECK(usage.cpu_user_ns + usage.cpu_system_ns > 50 * CL_NS_PER_MS);
    CHECK(cl_limits_remove(&limits) == 0);
}

/* Where the child below tells that it has joined. */
static int joined[2] = {-1, -1};

static void wait_for_kill(void)
{
    if (joined[1] >= 0 && cl_write_all(joined[1], "", 1) < 0)
        _exit(1);
    for (;;)
        (void)pause();
}

TEST(remove_waits_for_a_dying_process)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();

    plan.limits.memory_bytes = 256 << 20;
    for (int i = 0; i < 10; i++) {
        struct cl_limits limits = create(&plan);
        pid_t pid = start(&limits, wait_for_kill);

        CHECK(cl_sys_kill(pid, SIGKILL) == 0);
        CHECK(cl_limits_remove(&limits) == 0); /* not waited for yet */
        CHECK(WIFSIGNALED(end(pid)));
    }
}

TEST(remove_tells_of_a_living_process)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();
    struct cl_error err;
    char id[CL_CGROUP_NAME_SIZE];
    char byte;

    CHECK(cl_sys_pipe2(joined, 0) == 0);
    struct cl_limits limits = create(&plan);
    pid_t pid = start(&limits, wait_for_kill);
    (void)snprintf(id, sizeof(id), "%s", limits.name + strlen("cloister-"));
    CHECK(cl_sys_read(joined[0], &byte, 1) == 1);
    cl_fd_close(&joined[0]);
    cl_fd_close(&joined[1]);
    uint64_t began = cl_clock_boot_ns();
    CHECK(cl_limits_remove(&limits) == -EBUSY);
    CHECK(cl_clock_boot_ns() - began >= CL_LIMITS_REMOVE_MS * CL_NS_PER_MS);
    CHECK(cl_sys_kill(pid, SIGKILL) == 0);
    (void)end(pid);
    CHECK(cl_limits_sweep(id, CL_SWEEP_THOROUGHLY, &err) == 0);
}

TEST(sweep_finds_what_was_left)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();
    struct cl_error err = {0};
    struct cl_limits limits = create(&plan);
    struct cl_limits copy = watch(&limits);
    const char *id = copy.name + strlen("cloister-");

    cl_limits_close(&limits);
    CHECK(has_cgroup(&copy));
    CHECK(cl_limits_sweep(id, CL_SWEEP_THOROUGHLY, &err) == 0);
    CHECK(!has_cgroup(&copy));
    CHECK(cl_limits_sweep(id, CL_SWEEP_THOROUGHLY, &err) ==
          0); /* nothing there: searched, and well */
    cl_limits_close(&copy);
}

/* A sandbox that was started from another cgroup: below one of our own making. */
TEST(sweep_finds_what_another_cgroup_left)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();
    struct cl_error err = {0};
    struct cl_limits limits = create(&plan);
    CL_CLEANUP_FD int other =
        cl_sys_openat(limits.cgroups[0].parent, ".", O_RDONLY | O_DIRECTORY, 0);
    char inner[CL_CGROUP_NAME_SIZE + 32];
    char outer[32];

    (void)snprintf(outer, sizeof(outer), "limitstest%d", (int)getpid());
    (void)snprintf(inner, sizeof(inner), "%s/cloister-stray%d", outer, (int)getpid());
    CHECK(cl_sys_mkdirat(other, outer, 0755) == 0);
    CHECK(cl_sys_mkdirat(other, inner, 0755) == 0);
    CHECK(cl_limits_sweep(strstr(inner, "stray"), CL_SWEEP_THOROUGHLY, &err) == 0);
    CHECK(cl_sys_faccessat(other, inner, F_OK) == -ENOENT);
    CHECK(cl_sys_unlinkat(other, outer, AT_REMOVEDIR) == 0);
    CHECK(cl_limits_remove(&limits) == 0);
}

/* Others make and remove cgroups all the time: the kernel's answer to who reads one that has gone
 * since it was opened, from each of the first that a search reads. */
TEST(a_search_passes_by_what_goes_meanwhile)
{
    NEED_CGROUPS();
    enum { MOST = 40 };
    struct cl_error err = {0};
    char fault[64];

    for (int at = 1; at <= MOST; at++) {
        (void)snprintf(fault, sizeof(fault), "lacks:%d#%d=%d", (int)SYS_getdents64, at, ENOENT);
        cl_fault_set(fault);
        const int r = cl_limits_sweep(fresh_id(), CL_SWEEP_THOROUGHLY, &err);
        const int struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK(r == 0 && (struck || at > 1));
    }
    CHECK_TEXT(err.msg, "");
}

/* --- hosts and users that give none ---------------------------------------- */

/* The code and message of create in a child that BODY prepared; 0: created. */
static int create_elsewhere(void (*prepare)(void), char *message)
{
    int pipe_fds[2];
    struct cl_error err = {0};

    if (cl_sys_pipe2(pipe_fds, 0) < 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        struct cl_limits limits = CL_LIMITS_INIT;
        struct cl_plan plan = small_plan();
        struct cl_error unused;

        prepare();
        if (cl_limits_create(&limits, &plan, fresh_id(), &err) == 0)
            err.code = cl_limits_remove(&limits);
        (void)cl_limits_sweep(fresh_id(), CL_SWEEP_THOROUGHLY, &unused); /* must not crash */
        (void)cl_write_all(pipe_fds[1], &err, sizeof(err));
        _exit(0);
    }
    (void)close(pipe_fds[1]);
    if (cl_sys_read(pipe_fds[0], &err, sizeof(err)) != (ssize_t)sizeof(err))
        err.code = 9999;
    (void)close(pipe_fds[0]);
    (void)end(pid);
    (void)snprintf(message, CL_ERROR_MSG_SIZE, "%s", err.msg);
    return err.code;
}

static void become_nobody(void)
{
    if (cl_sys_setresgid(65534) < 0 || cl_sys_setresuid(65534) < 0)
        _exit(1);
}

TEST(an_ordinary_user_is_told_what_is_missing)
{
    if (geteuid() != 0)
        SKIP_TEST("needs root, to become nobody");
    NEED_CGROUPS();
    char message[CL_ERROR_MSG_SIZE];

    CHECK(create_elsewhere(become_nobody, message) == EACCES);
    CHECK_HAS(message, "--without limits");
    CHECK_HAS(message, "this user");
}

static void private_mounts(void)
{
    if (cl_sys_unshare(CLONE_NEWNS) < 0 ||
        cl_sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        _exit(1);
}

static void unmount_cgroups(void)
{
    private_mounts();
    if (cl_sys_mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) < 0)
        _exit(1);
}

static void unmount_sys(void)
{
    private_mounts();
    if (cl_sys_mount("none", "/sys", "tmpfs", 0, NULL) < 0)
        _exit(1);
}

static void v2_of_few_controllers(void)
{
    private_mounts();
    if (cl_sys_mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0)
        _exit(1);
}

TEST(hosts_without_cgroups_are_told_so)
{
    if (geteuid() != 0)
        SKIP_TEST("needs root, for a mount namespace");
    char message[CL_ERROR_MSG_SIZE];

    CHECK(create_elsewhere(unmount_sys, message) == ENOTSUP);
    CHECK_HAS(message, "--without limits");
    CHECK(create_elsewhere(unmount_cgroups, message) == ENOTSUP);
    CHECK_HAS(message, "--without limits");
}

TEST(a_v2_that_lacks_controllers_is_told_so)
{
    struct cl_limits_probe probe;

    if (geteuid() != 0)
        SKIP_TEST("needs root, for a mount namespace");
    cl_limits_probe(&probe);
    if (probe.layout == CL_CGROUP_V2)
        SKIP_TEST("this host's cgroup v2 has the controllers");
    char message[CL_ERROR_MSG_SIZE];

    CHECK(create_elsewhere(v2_of_few_controllers, message) == ENOTSUP);
    CHECK_HAS(message, "memory pids");
    CHECK_HAS(message, "--without limits");
}

TEST(probe_tells_this_host)
{
    struct cl_limits_probe probe;
    size_t before = open_descriptors();

    cl_limits_probe(&probe);
    printf("# %s, own cgroup %s, present %#x, usable %#x%s%s\n",
           cl_cgroup_layout_name(probe.layout), probe.where, probe.present, probe.usable,
           probe.why[0] != '\0' ? ": " : "", probe.why);
    CHECK((probe.usable & ~probe.present) == 0);
    CHECK((probe.usable == (1U << CL_CONTROLLER_COUNT) - 1) == (probe.why[0] == '\0'));
    CHECK(open_descriptors() == before);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(without_cgroups_all_is_unknown),
        ROW(create_and_remove_leave_nothing),
        ROW(what_nobody_wants_is_not_measured),
        ROW(an_id_in_use_is_refused_and_kept),
        ROW(limits_are_set_before_anything_runs),
        ROW(swap_alone_needs_v2),
        ROW(a_memory_hog_is_killed_and_counted),
        ROW(a_childs_oom_kill_can_be_survived),
        ROW(a_fork_bomb_is_bounded_and_counted),
        ROW(a_cpu_quota_holds_and_cpu_time_is_told),
        ROW(remove_waits_for_a_dying_process),
        ROW(remove_tells_of_a_living_process),
        ROW(sweep_finds_what_was_left),
        ROW(sweep_finds_what_another_cgroup_left),
        ROW(a_search_passes_by_what_goes_meanwhile),
        ROW(an_ordinary_user_is_told_what_is_missing),
        ROW(hosts_without_cgroups_are_told_so),
        ROW(a_v2_that_lacks_controllers_is_told_so),
        ROW(probe_tells_this_host),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
