/* test_group_processes.c - the processes of an OCI container's cgroup: listed, frozen, killed, and
 * counted when memory ran out, on real hierarchies. */
#include <sys/mman.h>

#include "base/clock.h"
#include "group_scene.h"

static int told[2] = {-1, -1};

static void tell(void)
{
    if (cl_sys_write(told[1], "", 1) != 1)
        _exit(1);
}

static void tell_and_pause(void)
{
    tell();
    group_pause();
}

/* COUNT words have come. */
static void hear(int count)
{
    char byte;

    for (int i = 0; i < count; i++)
        CHECK(cl_sys_read(told[0], &byte, 1) == 1);
}

static void make(struct group_spec *spec, struct cl_group *group)
{
    group_spec_init(spec, "");
    group_make(spec, group);
    if (told[0] < 0)
        CHECK(pipe2(told, O_CLOEXEC) == 0);
}

/* --- listing ---------------------------------------------------------------------- */

struct found {
    pid_t pids[16];
    int count;
    int stop_at;
};

static int note(void *context, pid_t pid)
{
    struct found *found = context;

    if (found->count < 16)
        found->pids[found->count] = pid;
    found->count++;
    return found->count == found->stop_at ? -ECANCELED : 0;
}

static int has(const struct found *found, pid_t pid)
{
    for (int i = 0; i < found->count && i < 16; i++) {
        if (found->pids[i] == pid)
            return 1;
    }
    return 0;
}

/* The hierarchy that is listed. */
static const struct cl_group_dir *listed(const struct cl_group *group)
{
    const struct cl_group_dir *dir = cl_group_find(group, "pids");

    return dir != NULL ? dir : &group->dirs[0];
}

/* One that PID is in, below the group's own. */
static void move_down(const struct cl_group *group, pid_t pid)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", (int)pid);
    CHECK(mkdirat(listed(group)->dir, "a", 0755) == 0);
    CHECK(mkdirat(listed(group)->dir, "a/b", 0755) == 0);
    CHECK(cl_write_file(listed(group)->dir, "a/b/cgroup.procs", text) == 0);
}

static void list_all(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_error err = {0};
    struct found found = {0};

    make(&spec, &group);
    CHECK(cl_group_pids(&group, note, &found, &err) == 0 && found.count == 0);
    const pid_t first = group_start(&group, tell_and_pause);
    const pid_t second = group_start(&group, tell_and_pause);
    hear(2);
    move_down(&group, second);
    CHECK(cl_group_pids(&group, note, &found, &err) == 0);
    CHECK(found.count == 2 && has(&found, first) && has(&found, second));
    found = (struct found){.stop_at = 1};
    CHECK(cl_group_pids(&group, note, &found, &err) == -ECANCELED && found.count == 1);
    CHECK(cl_group_kill(&group, SIGKILL, &err) == 0);
    CHECK(group_wait(first) == SIGKILL && group_wait(second) == SIGKILL);
    group_remove(&group);
}

TEST(all_processes_are_listed)
{
    group_in_view(VIEW_HOST, list_all);
    group_in_view(VIEW_V1, list_all);
    group_in_view(VIEW_V2, list_all);
}

/* --- freezing ---------------------------------------------------------------------- */

static void tell_and_spin(void)
{
    tell();
    for (;;)
        (void)getppid();
}

/* What the scheduler has counted of it: the same as long as it doesn't run. */
static void read_counts(pid_t pid, char ret[128])
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    const ssize_t got = cl_sys_read(fd, ret, 127);
    CHECK(got > 0);
    ret[got < 0 ? 0 : got] = '\0';
}

static int has_run_since(pid_t pid, const char *before)
{
    char now[128];

    read_counts(pid, now);
    return strcmp(now, before) != 0;
}

static void freeze_and_thaw(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_error err = {0};
    char before[128];

    make(&spec, &group);
    const pid_t pid = group_start(&group, tell_and_spin);
    hear(1);
    CHECK(!cl_group_is_frozen(&group));
    CHECK(cl_group_freeze(&group, 1, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(cl_group_is_frozen(&group));
    read_counts(pid, before);
    (void)cl_sys_poll(NULL, 0, 50);
    CHECK(!has_run_since(pid, before));
    CHECK(cl_group_freeze(&group, 1, &err) == 0); /* twice does no harm */
    CHECK(cl_group_freeze(&group, 0, &err) == 0);
    CHECK(!cl_group_is_frozen(&group));
    for (int i = 0; i < 10000 && !has_run_since(pid, before); i++)
        (void)cl_sys_poll(NULL, 0, 1);
    CHECK(has_run_since(pid, before));
    CHECK(cl_group_freeze(&group, 1, &err) == 0);
    CHECK(cl_group_kill(&group, SIGKILL, &err) == 0); /* frozen as it is */
    CHECK(group_wait(pid) == SIGKILL);
    group_remove(&group);
}

TEST(a_group_is_frozen_thawed_and_killed_frozen)
{
    group_in_view(VIEW_HOST, freeze_and_thaw);
    group_in_view(VIEW_V1, freeze_and_thaw);
    group_in_view(VIEW_V2, freeze_and_thaw);
}

/* Whatever fails, who could not be frozen runs. */
static void fail_freezing(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    int struck = 1;

    make(&spec, &group);
    const pid_t pid = group_start(&group, tell_and_pause);
    hear(1);
    for (int n = 1; struck && n < 100; n++) {
        struct cl_error err = {0};
        char fault[32];

        (void)snprintf(fault, sizeof(fault), "syscall:%d", n);
        cl_fault_set(fault);
        const int r = cl_group_freeze(&group, 1, &err);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK((r < 0) == (err.msg[0] != '\0'));
        CHECK(cl_group_is_frozen(&group) == (r == 0));
        CHECK(cl_group_freeze(&group, 0, &err) == 0);
    }
    CHECK(!struck);
    struct cl_error err = {0};
    CHECK(cl_group_kill(&group, SIGKILL, &err) == 0 && group_wait(pid) == SIGKILL);
    group_remove(&group);
}

TEST(who_can_not_be_frozen_goes_on)
{
    group_in_view(VIEW_HOST, fail_freezing);
    group_in_view(VIEW_V2, fail_freezing);
}

TEST(what_has_no_cgroup_has_no_freezer)
{
    const struct cl_group group = {.place = {.manager = CL_GROUP_NONE}};
    struct cl_error err = {0};
    struct found found = {0};

    CHECK(cl_group_freeze(&group, 1, &err) == -ENOTSUP);
    CHECK(!cl_group_is_frozen(&group));
    CHECK(cl_group_kill(&group, SIGTERM, &err) == -ENOTSUP);
    CHECK(cl_group_pids(&group, note, &found, &err) == -ENOTSUP);
    CHECK(cl_group_oom_kills(&group) == 0);
}

/* --- killing ----------------------------------------------------------------------- */

static void on_term(int signal)
{
    (void)signal;
    _exit(42);
}

static void wait_for_term(void)
{
    (void)signal(SIGTERM, on_term);
    tell();
    group_pause();
}

static void send_one(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_error err = {0};

    make(&spec, &group);
    const pid_t first = group_start(&group, wait_for_term);
    const pid_t second = group_start(&group, wait_for_term);
    hear(2);
    CHECK(cl_group_kill(&group, SIGTERM, &err) == 0);
    CHECK(group_wait(first) == 42 << 8 && group_wait(second) == 42 << 8);
    CHECK(cl_group_kill(&group, SIGTERM, &err) == 0); /* nobody there */
    CHECK(cl_group_kill(&group, SIGKILL, &err) == 0);
    group_remove(&group);
}

TEST(a_signal_reaches_all)
{
    group_in_view(VIEW_HOST, send_one);
    group_in_view(VIEW_V2, send_one);
}

/* Each has a child, and ends: no list is ever true for long. */
static void run_away(void)
{
    tell();
    for (;;) {
        const pid_t pid = fork();

        if (pid > 0)
            _exit(0);
    }
}

static void kill_runaways(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_error err = {0};

    for (int i = 0; i < 5; i++) {
        make(&spec, &group);
        const pid_t pid = group_start(&group, run_away);
        hear(1);
        CHECK(group_wait(pid) == 0); /* it has a child */
        CHECK(cl_group_kill(&group, SIGKILL, &err) == 0);
        CHECK_TEXT(err.msg, "");
        group_remove(&group); /* else the kernel refuses */
    }
}

TEST(what_is_born_meanwhile_is_killed_too)
{
    group_in_view(VIEW_HOST, kill_runaways);
    group_in_view(VIEW_V1, kill_runaways);
    group_in_view(VIEW_V2, kill_runaways);
}

static void fail_killing(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    int struck = 1;

    for (int n = 1; struck && n < 200; n++) {
        struct cl_error err = {0};
        char fault[32];

        make(&spec, &group);
        const pid_t pid = group_start(&group, tell_and_pause);
        hear(1);
        (void)snprintf(fault, sizeof(fault), "syscall:%d", n);
        cl_fault_set(fault);
        const int r = cl_group_kill(&group, SIGKILL, &err);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK((r < 0) == (err.msg[0] != '\0'));
        err = (struct cl_error){0};
        if (r < 0)
            CHECK(cl_group_kill(&group, SIGKILL, &err) == 0);
        CHECK(group_wait(pid) == SIGKILL);
        group_remove(&group);
    }
    CHECK(!struck);
}

TEST(what_can_not_be_killed_is_told)
{
    group_in_view(VIEW_HOST, fail_killing);
    group_in_view(VIEW_V2, fail_killing);
}

/* --- memory ------------------------------------------------------------------------ */

static void hog(void)
{
    const size_t size = 96 << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (size_t at = 0; at < size; at += 4096)
        memory[at] = 1;
    _exit(1);
}

static void count_kills(void)
{
    struct group_spec spec;
    struct cl_group group = {0};

    group_spec_init(&spec, "");
    group_add(&spec, CL_RESOURCE_MEMORY_LIMIT, 32 << 20);
    group_make(&spec, &group);
    CHECK(cl_group_oom_kills(&group) == 0);
    CHECK(group_wait(group_start(&group, hog)) == SIGKILL);
    CHECK(cl_group_oom_kills(&group) == 1);
    group_remove(&group);
}

TEST(who_was_killed_for_memory_is_counted)
{
    struct cl_error err;
    struct cl_own_cgroups own;

    if (cl_own_cgroups_read(&own, &err) < 0 || own.v1[CL_CONTROLLER_MEMORY].path == NULL)
        SKIP_TEST("needs the memory controller of cgroup v1");
    group_in_view(VIEW_HOST, count_kills);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(all_processes_are_listed),       ROW(a_group_is_frozen_thawed_and_killed_frozen),
        ROW(who_can_not_be_frozen_goes_on),  ROW(what_has_no_cgroup_has_no_freezer),
        ROW(a_signal_reaches_all),           ROW(what_is_born_meanwhile_is_killed_too),
        ROW(what_can_not_be_killed_is_told), ROW(who_was_killed_for_memory_is_counted),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
