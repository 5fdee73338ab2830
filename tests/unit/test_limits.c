/* test_limits.c - cgroups and rlimits, with real cgroups where this user may make them.
 *
 * Tests of cgroups skip where the host gives none; run as root on a v1, hybrid or v2
 * host nothing skips but what the layout lacks. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/cgroup.h"
#include "limits/lines.h"
#include "limits/limits.h"
#include "limits/rlimits.h"

/* --- TAP ----------------------------------------------------------------- */

static int test_failed;
static const char *test_skipped;

#define TEST(name) static void name(void)
#define SKIP(why)                                                                                  \
    do {                                                                                           \
        test_skipped = (why);                                                                      \
        return;                                                                                    \
    } while (0)
#define CHECK(cond) check((cond) != 0, __LINE__, #cond)
#define CHECK_STR(got, want) check_str((got), (want), __LINE__)

static void check(int good, int line, const char *what)
{
    if (good)
        return;
    test_failed = 1;
    printf("# %s:%d: %s\n", __FILE__, line, what);
}

static void check_str(const char *got, const char *want, int line)
{
    if (strcmp(got, want) == 0)
        return;
    test_failed = 1;
    printf("# %s:%d: \"%s\" is not \"%s\"\n", __FILE__, line, got, want);
}

/* --- texts --------------------------------------------------------------- */

static int text_fd(const char *text, size_t size)
{
    int fd = cl_sys_memfd_create("text", 0);

    if (fd < 0 || cl_write_all(fd, text, size) < 0 || lseek(fd, 0, SEEK_SET) != 0)
        abort();
    return fd;
}

static int parse_size(const char *text, size_t size, struct cl_own_cgroups *own,
                      struct cl_error *err)
{
    CL_CLEANUP_FD int fd = text_fd(text, size);

    return cl_own_cgroups_parse(fd, own, err);
}

static int parse(const char *text, struct cl_own_cgroups *own)
{
    struct cl_error err = {0};
    int r = parse_size(text, strlen(text), own, &err);

    CHECK(r == 0 || err.code == -r);
    CHECK(r == 0 || err.msg[0] != '\0');
    return r;
}

TEST(own_reads_the_hybrid)
{
    struct cl_own_cgroups own;

    CHECK(parse("9:name=systemd:/\n8:pids:/a\n4:memory:/b/c\n3:cpuset:/\n2:cpuacct:/\n1:cpu:/x\n"
                "0::/u\n",
                &own) == 0);
    CHECK_STR(own.v1[CL_CONTROLLER_MEMORY].path, "/b/c");
    CHECK_STR(own.v1[CL_CONTROLLER_PIDS].path, "/a");
    CHECK_STR(own.v1[CL_CONTROLLER_CPUACCT].path, "/");
    CHECK_STR(own.v1[CL_CONTROLLER_CPU].path, "/x");
    CHECK_STR(own.v2, "/u");
    CHECK(own.v1[CL_CONTROLLER_CPU].hierarchy == 1);
}

TEST(own_reads_shared_hierarchies)
{
    struct cl_own_cgroups own;

    CHECK(parse("5:net_cls,net_prio:/q\n4:cpu,cpuacct:/user.slice\n", &own) == 0);
    CHECK_STR(own.v1[CL_CONTROLLER_CPU].path, "/user.slice");
    CHECK(own.v1[CL_CONTROLLER_CPU].path == own.v1[CL_CONTROLLER_CPUACCT].path);
    CHECK(own.v1[CL_CONTROLLER_CPU].hierarchy == own.v1[CL_CONTROLLER_CPUACCT].hierarchy);
    CHECK(own.v1[CL_CONTROLLER_MEMORY].path == NULL && own.v2 == NULL);
}

TEST(own_keeps_odd_names_whole)
{
    struct cl_own_cgroups own;

    CHECK(parse("4:memory:/a:b c/..d/e../...\n0::/:", &own) == 0);
    CHECK_STR(own.v1[CL_CONTROLLER_MEMORY].path, "/a:b c/..d/e../...");
    CHECK_STR(own.v2, "/:");
    CHECK(parse("", &own) == 0 && own.v2 == NULL);
    CHECK(parse("7:memoryx,xmemory,mem,,:/a\n", &own) == 0);
    CHECK(own.v1[CL_CONTROLLER_MEMORY].path == NULL);
}

TEST(own_refuses_what_breaks_the_form)
{
    static const char *const bad[] = {
        "x", "\n", "::", ":memory:/a", "4:memory", "4:memory:", "4:memory:a", "-4:memory:/a",
        " 4:memory:/a", "4 :memory:/a", "99999999999:memory:/a", "4294967296:memory:/a",
        "18446744073709551616:memory:/a", "0:memory:/a", "0::a", "0::", "0::/a\n0::/b\n",
        "4:memory:/a\n5:memory:/b\n", "4:memory:/a\n4:pids:/b\n", "4:memory:/a\nrubbish\n",
    };
    struct cl_own_cgroups own;

    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++)
        CHECK(parse(bad[i], &own) == -EBADMSG);
    CHECK(parse("4:memory:/..\n", &own) == -EXDEV);
    CHECK(parse("0::/../../x\n", &own) == -EXDEV);
    CHECK(parse("0::/x/..\n", &own) == -EXDEV);
}

TEST(own_refuses_what_is_too_long_or_holds_nul)
{
    static char text[20000];
    struct cl_own_cgroups own;
    struct cl_error err;

    memset(text, 'a', sizeof(text));
    memcpy(text, "0::/", 4);
    CHECK(parse_size(text, sizeof(text), &own, &err) == -ENAMETOOLONG);
    CHECK(parse_size(text, CL_LINES_WINDOW + 1, &own, &err) == -ENAMETOOLONG);
    CHECK(parse_size(text, CL_LINES_WINDOW, &own, &err) == -ENAMETOOLONG); /* fits no pool */
    CHECK(parse_size(text, 2000, &own, &err) == 0 && strlen(own.v2) == 1997);
    text[100] = '\0';
    CHECK(parse_size(text, 200, &own, &err) == -EBADMSG);
}

/* Every beginning of a good text, and every byte of it changed, gives an answer. */
TEST(own_survives_any_bytes)
{
    static const char good[] = "9:name=systemd:/\n4:cpu,cpuacct:/a b\n3:memory:/c\n0::/d\n";
    struct cl_own_cgroups own;
    struct cl_error err;
    char text[sizeof(good)];

    for (size_t size = 0; size < sizeof(good); size++)
        CHECK(parse_size(good, size, &own, &err) <= 0);
    for (size_t at = 0; at + 1 < sizeof(good); at++) {
        for (int byte = 0; byte < 256; byte += 5) {
            memcpy(text, good, sizeof(good));
            text[at] = (char)byte;
            CHECK(parse_size(text, sizeof(good) - 1, &own, &err) <= 0);
        }
    }
}

static int find(const char *text, const char *key, uint64_t *ret)
{
    CL_CLEANUP_FD int fd = text_fd(text, strlen(text));
    struct cl_keyed keyed = {.key = key};
    int r = cl_lines_find(fd, &keyed, 1);

    *ret = keyed.value;
    return r;
}

TEST(keyed_files)
{
    uint64_t value = 0;

    CHECK(find("low 0\noom 3\noom_kill 2\n", "oom_kill", &value) == 1 && value == 2);
    CHECK(find("oom_kill 2", "oom_kill", &value) == 1 && value == 2);
    CHECK(find("oom_kill 18446744073709551615\n", "oom_kill", &value) == 1 && value == UINT64_MAX);
    CHECK(find("oom_kill 18446744073709551616\n", "oom_kill", &value) == 0);
    CHECK(find("oom_kill_disable 1\nxoom_kill 1\n", "oom_kill", &value) == 0);
    CHECK(find("oom_kill\noom_kill \noom_kill -1\noom_kill 1x\noom_kill  1\n", "oom_kill",
               &value) == 0);
    CHECK(find("oom_kill x\noom_kill 7\noom_kill 8\n", "oom_kill", &value) == 1 && value == 7);
    CHECK(find("", "oom_kill", &value) == 0);
}

static int sum(const char *text, uint64_t *ret)
{
    CL_CLEANUP_FD int fd = text_fd(text, strlen(text));

    return cl_lines_sum(fd, "rbytes", ret);
}

TEST(nested_keyed_files)
{
    uint64_t value = 0;

    CHECK(sum("8:0 rbytes=5 wbytes=6 rios=1\n8:16 wbytes=1 rbytes=7\n", &value) == 0);
    CHECK(value == 12);
    CHECK(sum("8:0 wbytes=5 drbytes=9 rbytesx=1\n8:1\n\n   \n", &value) == -ENODATA);
    CHECK(sum("8:0 rbytes=\n", &value) == -EBADMSG);
    CHECK(sum("8:0 rbytes=-1\n", &value) == -EBADMSG);
    CHECK(sum("8:0 rbytes=99999999999999999999999999\n", &value) == -ERANGE);
    CHECK(sum("8:0 rbytes=18446744073709551616\n", &value) == -ERANGE);
    CHECK(sum("8:0 rbytes=18446744073709551615\n8:1 rbytes=1\n", &value) == -ERANGE);
}

static int number(const char *text, uint64_t *ret)
{
    CL_CLEANUP_FD int fd = text_fd(text, strlen(text));

    return cl_lines_number(fd, ret);
}

TEST(number_files)
{
    uint64_t value = 0;

    CHECK(number("42\n", &value) == 0 && value == 42);
    CHECK(number("18446744073709551615", &value) == 0 && value == UINT64_MAX);
    CHECK(number("max\n", &value) == -ENODATA);
    CHECK(number("", &value) == -EBADMSG);
    CHECK(number("\n", &value) == -EBADMSG);
    CHECK(number("1 2\n", &value) == -EBADMSG);
    CHECK(number("11111111111111111111111111111111111111111111\n", &value) == -EBADMSG);
    CHECK(cl_lines_number(-1, &value) == -EBADF);
}

TEST(names_are_checked)
{
    static const char *const bad[] = {
        "", "..", "a/b", "A", "a b", "a\n", "\xc3\xa4", "012345678901234567890123456789012",
    };
    char name[CL_CGROUP_NAME_SIZE];
    struct cl_error err;

    CHECK(cl_cgroup_name(name, "0123456789abcdef", &err) == 0);
    CHECK_STR(name, "cloister-0123456789abcdef");
    CHECK(cl_cgroup_name(name, "01234567890123456789012345678901", &err) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        CHECK(cl_cgroup_name(name, bad[i], &err) == -EINVAL);
        CHECK(cl_limits_sweep(bad[i], &err) == -EINVAL);
    }
}

/* --- cgroups ------------------------------------------------------------- */

static const struct cl_limits none = {.dir = -1, .cpu_usage = -1};

/* 32 MiB, no swap, 8 tasks. */
static struct cl_plan small_plan(void)
{
    struct cl_plan plan = {.limits = {.memory_bytes = 32 << 20, .tasks = 8, .millicpus = 200}};

    cl_plan_mark(&plan, CL_FIELD_MEMORY);
    cl_plan_mark(&plan, CL_FIELD_SWAP);
    cl_plan_mark(&plan, CL_FIELD_TASKS);
    return plan;
}

static const char *fresh_id(void)
{
    static char id[CL_LIMITS_ID_SIZE];
    static int count;

    (void)snprintf(id, sizeof(id), "test%dx%d", (int)getpid(), count++);
    return id;
}

/* NULL where cgroups can be made, else why not. */
static const char *lacking(void)
{
    static struct cl_limits_probe probe;

    if (probe.where[0] == '\0')
        cl_limits_probe(&probe);
    return probe.usable == 0 ? probe.why : NULL;
}

/* Runs BODY in the limits, as the supervisor and its child do. */
static pid_t start(const struct cl_limits *limits, void (*body)(void))
{
    int into = cl_limits_cgroup_fd(limits);
    struct cl_clone_args args = {
        .exit_signal = SIGCHLD,
        .flags = into >= 0 ? CL_CLONE_INTO_CGROUP : 0,
        .cgroup = into >= 0 ? (uint64_t)into : 0,
    };
    struct cl_error err;
    pid_t pid = cl_sys_clone3(&args);

    if (pid == 0) {
        if (cl_limits_join_self(limits, &err) < 0)
            _exit(99);
        body();
        _exit(0);
    }
    return pid;
}

static int end(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int has_cgroup(const struct cl_limits *limits)
{
    for (size_t i = 0; i < limits->count; i++) {
        if (cl_sys_faccessat(limits->cgroups[i].parent, limits->name, F_OK) == 0)
            return 1;
    }
    return 0;
}

static size_t open_descriptors(void)
{
    size_t count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

#define NEED_CGROUPS()                                                                             \
    do {                                                                                           \
        if (lacking() != NULL)                                                                     \
            SKIP(lacking());                                                                       \
    } while (0)

static struct cl_limits create(const struct cl_plan *plan)
{
    struct cl_limits limits = CL_LIMITS_INIT;
    struct cl_error err = {0};

    CHECK(cl_limits_create(&limits, plan, fresh_id(), &err) == 0);
    CHECK_STR(err.msg, "");
    return limits;
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
    return copy;
}

TEST(without_cgroups_all_is_unknown)
{
    struct cl_limits limits = none;
    struct cl_usage usage;
    struct cl_error err;
    uint64_t ns;

    CHECK(cl_limits_join_self(&limits, &err) == 0);
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

static void wait_for_kill(void)
{
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
    char id[CL_LIMITS_ID_SIZE];
    struct cl_limits limits = create(&plan);
    pid_t pid = start(&limits, wait_for_kill);
    uint64_t began = cl_clock_boot_ns();

    (void)snprintf(id, sizeof(id), "%s", limits.name + strlen("cloister-"));
    /* v1: the child may still have to join. */
    for (int i = 0; i < 2000 && limits.layout != CL_CGROUP_V2; i++) {
        CL_CLEANUP_FD int fd = cl_cgroup_open_file(limits.cgroups[limits.count - 1].parent,
                                                   limits.name, "cgroup.procs", O_RDONLY);
        char text[16];

        if (cl_sys_read(fd, text, sizeof(text)) > 0)
            break;
        (void)usleep(1000);
    }
    CHECK(cl_limits_remove(&limits) == -EBUSY);
    CHECK(cl_clock_boot_ns() - began >= CL_LIMITS_REMOVE_MS * CL_NS_PER_MS);
    CHECK(cl_sys_kill(pid, SIGKILL) == 0);
    (void)end(pid);
    CHECK(cl_limits_sweep(id, &err) == 0);
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
    CHECK(cl_limits_sweep(id, &err) == 0);
    CHECK(!has_cgroup(&copy));
    CHECK(cl_limits_sweep(id, &err) == 0); /* nothing there: searched, and well */
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
    CHECK(cl_limits_sweep(strstr(inner, "stray"), &err) == 0);
    CHECK(cl_sys_faccessat(other, inner, F_OK) == -ENOENT);
    CHECK(cl_sys_unlinkat(other, outer, AT_REMOVEDIR) == 0);
    CHECK(cl_limits_remove(&limits) == 0);
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
        (void)cl_limits_sweep(fresh_id(), &unused); /* must not crash */
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
        SKIP("needs root, to become nobody");
    NEED_CGROUPS();
    char message[CL_ERROR_MSG_SIZE];

    CHECK(create_elsewhere(become_nobody, message) == EACCES);
    CHECK(strstr(message, "--without limits") != NULL);
    CHECK(strstr(message, "this user") != NULL);
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
        SKIP("needs root, for a mount namespace");
    char message[CL_ERROR_MSG_SIZE];

    CHECK(create_elsewhere(unmount_sys, message) == ENOTSUP);
    CHECK(strstr(message, "--without limits") != NULL);
    CHECK(create_elsewhere(unmount_cgroups, message) == ENOTSUP);
    CHECK(strstr(message, "--without limits") != NULL);
}

TEST(a_v2_that_lacks_controllers_is_told_so)
{
    struct cl_limits_probe probe;

    if (geteuid() != 0)
        SKIP("needs root, for a mount namespace");
    cl_limits_probe(&probe);
    if (probe.layout == CL_CGROUP_V2)
        SKIP("this host's cgroup v2 has the controllers");
    char message[CL_ERROR_MSG_SIZE];

    CHECK(create_elsewhere(v2_of_few_controllers, message) == ENOTSUP);
    CHECK(strstr(message, "memory pids") != NULL);
    CHECK(strstr(message, "--without limits") != NULL);
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

/* --- rlimits ------------------------------------------------------------- */

TEST(ulimit_texts)
{
    static const char *const bad[] = {
        "", "=", "nofile", "nofile=", "=1", "NOFILE=1", "nofil=1", "nofile =1", "nofile=x",
        "nofile=1:", "nofile=:1", "nofile=1:2:3", "nofile=2:1", "nofile=-2", "nofile=1k",
        "nofile=unlimited:1", "core=4096", "core=unlimited", "fsize=1q", "nofile=1 ",
        "nofile=99999999999999999999999999999999999999",
    };
    struct cl_plan_rlimit limit;
    struct cl_error err;

    CHECK(cl_rlimit_parse("nofile=10:20", &limit, &err) == 0);
    CHECK(limit.resource == RLIMIT_NOFILE && limit.soft == 10 && limit.hard == 20);
    CHECK(cl_rlimit_parse("fsize=1m", &limit, &err) == 0);
    CHECK(limit.soft == 1 << 20 && limit.hard == 1 << 20);
    CHECK(cl_rlimit_parse("stack=8MiB:unlimited", &limit, &err) == 0);
    CHECK(limit.hard == CL_RLIM_INFINITY);
    CHECK(cl_rlimit_parse("memlock=-1", &limit, &err) == 0 && limit.soft == CL_RLIM_INFINITY);
    CHECK(cl_rlimit_parse("core=0", &limit, &err) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        CHECK(cl_rlimit_parse(bad[i], &limit, &err) == -EINVAL);
        CHECK(err.code == EINVAL && err.msg[0] != '\0');
    }
    for (uint32_t i = 0; i < 16; i++)
        CHECK(cl_rlimit_name(i) != NULL);
    CHECK(cl_rlimit_name(16) == NULL);
}

struct applied {
    int result;
    char message[CL_ERROR_MSG_SIZE];
    struct cl_rlimit64 limits[16];
};

/* Applies PLAN in a child of an ordinary user with a hard nofile limit of 500. */
static struct applied apply(const struct cl_plan *plan, int without_cgroup)
{
    struct applied applied = {.result = 9999};
    struct cl_rlimit64 files = {.cur = 500, .max = 500};
    int pipe_fds[2];

    if (cl_sys_pipe2(pipe_fds, 0) < 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        struct cl_error err = {0};

        if (geteuid() == 0)
            become_nobody();
        (void)cl_sys_prlimit(0, RLIMIT_NOFILE, &files, NULL);
        applied.result = cl_rlimits_apply(plan, without_cgroup, &err);
        memcpy(applied.message, err.msg, sizeof(err.msg));
        for (int i = 0; i < 16; i++)
            (void)cl_sys_prlimit(0, i, NULL, &applied.limits[i]);
        (void)cl_write_all(pipe_fds[1], &applied, sizeof(applied));
        _exit(0);
    }
    (void)close(pipe_fds[1]);
    (void)cl_sys_read(pipe_fds[0], &applied, sizeof(applied));
    (void)close(pipe_fds[0]);
    (void)end(pid);
    return applied;
}

TEST(rlimits_of_a_plan)
{
    struct cl_plan plan = small_plan();
    struct applied applied;

    plan.limits.open_files = 100;
    plan.limits.file_size_bytes = 12345678;
    plan.limits.cpu_time_ns = 1500000000;
    cl_plan_mark(&plan, CL_FIELD_OPEN_FILES);
    cl_plan_mark(&plan, CL_FIELD_FILE_SIZE);
    cl_plan_mark(&plan, CL_FIELD_CPU_TIME);
    applied = apply(&plan, 0);
    CHECK(applied.result == 0);
    CHECK_STR(applied.message, "");
    CHECK(applied.limits[RLIMIT_NOFILE].cur == 100 && applied.limits[RLIMIT_NOFILE].max == 100);
    CHECK(applied.limits[RLIMIT_FSIZE].max == 12345678);
    CHECK(applied.limits[RLIMIT_CORE].max <= 1);
    CHECK(applied.limits[RLIMIT_CPU].max == CL_RLIM_INFINITY);
    applied = apply(&plan, 1);
    CHECK(applied.result == 0);
    CHECK(applied.limits[RLIMIT_CPU].cur == 2 && applied.limits[RLIMIT_CPU].max == 2);
    CHECK(applied.limits[RLIMIT_DATA].max == 32 << 20);
    CHECK(applied.limits[RLIMIT_NPROC].max == 9);
}

TEST(rlimits_asked_for_by_name)
{
    struct cl_plan plan = small_plan();
    struct cl_plan_rlimit items[] = {
        {RLIMIT_NOFILE, 50, 60}, {RLIMIT_NPROC, 5, 100}, {RLIMIT_CORE, 0, 0}};
    struct applied applied;

    plan.limits.open_files = 400;
    cl_plan_mark(&plan, CL_FIELD_OPEN_FILES);
    plan.rlimits.items = items;
    plan.rlimits.count = CL_ARRAY_SIZE(items);
    applied = apply(&plan, 1);
    CHECK(applied.result == 0);
    CHECK(applied.limits[RLIMIT_NOFILE].cur == 50 && applied.limits[RLIMIT_NOFILE].max == 60);
    CHECK(applied.limits[RLIMIT_NPROC].cur == 5 && applied.limits[RLIMIT_NPROC].max == 9);
    items[0].resource = 16;
    CHECK(apply(&plan, 0).result == -EINVAL);
}

TEST(rlimits_never_rise_above_the_hard_limit)
{
    struct cl_plan plan = small_plan();
    struct applied applied;

    plan.limits.open_files = 501;
    plan.limits.tasks = 4194304; /* stands in for a cgroup: a lower hard limit is kept */
    cl_plan_mark(&plan, CL_FIELD_OPEN_FILES);
    applied = apply(&plan, 1);
    CHECK(applied.result == -EPERM);
    CHECK(strstr(applied.message, "limits.open_files") != NULL);
    CHECK(strstr(applied.message, "500") != NULL);
    plan.limits.open_files = 500;
    CHECK(apply(&plan, 1).result == 0);
}

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
#define ROW(name) {#name, name}
    ROW(own_reads_the_hybrid),
    ROW(own_reads_shared_hierarchies),
    ROW(own_keeps_odd_names_whole),
    ROW(own_refuses_what_breaks_the_form),
    ROW(own_refuses_what_is_too_long_or_holds_nul),
    ROW(own_survives_any_bytes),
    ROW(keyed_files),
    ROW(nested_keyed_files),
    ROW(number_files),
    ROW(names_are_checked),
    ROW(without_cgroups_all_is_unknown),
    ROW(create_and_remove_leave_nothing),
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
    ROW(an_ordinary_user_is_told_what_is_missing),
    ROW(hosts_without_cgroups_are_told_so),
    ROW(a_v2_that_lacks_controllers_is_told_so),
    ROW(probe_tells_this_host),
    ROW(ulimit_texts),
    ROW(rlimits_of_a_plan),
    ROW(rlimits_asked_for_by_name),
    ROW(rlimits_never_rise_above_the_hard_limit),
#undef ROW
};

int main(void)
{
    int failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%zu\n", CL_ARRAY_SIZE(tests));
    for (size_t i = 0; i < CL_ARRAY_SIZE(tests); i++) {
        test_failed = 0;
        test_skipped = NULL;
        tests[i].run();
        printf("%sok %zu - %s%s%s\n", test_failed ? "not " : "", i + 1, tests[i].name,
               test_skipped != NULL ? " # SKIP " : "", test_skipped != NULL ? test_skipped : "");
        failed |= test_failed;
    }
    return failed;
}
