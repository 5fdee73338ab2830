/* test_v2.c - where on cgroup v2 a sandbox's cgroup goes, on a tree of plain files that
 * passes for one: what systemd would take away again is not taken. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "limits/cgroup.h"
#include "room.h"

/* The C library's, for all of this program: every file system is a cgroup2. */
int statfs(const char *file, struct statfs *buf)
{
    (void)file;
    *buf = (struct statfs){.f_type = CGROUP2_SUPER_MAGIC};
    return 0;
}

int fstatfs(int fildes, struct statfs *buf)
{
    (void)fildes;
    return statfs("", buf);
}

static void make(const char *path, const char *controllers, const char *given)
{
    char file[256];

    (void)snprintf(file, sizeof(file), CL_CGROUP_MOUNT "%s", path);
    CHECK(mkdir(file, 0755) == 0 || errno == EEXIST);
    (void)snprintf(file, sizeof(file), CL_CGROUP_MOUNT "%s/cgroup.controllers", path);
    CHECK(room_write(file, controllers) == 0);
    (void)snprintf(file, sizeof(file), CL_CGROUP_MOUNT "%s/cgroup.subtree_control", path);
    CHECK(room_write(file, given) == 0);
    (void)snprintf(file, sizeof(file), CL_CGROUP_MOUNT "%s/cgroup.procs", path);
    CHECK(room_write(file, "1\n4711\n") == 0);
}

/* A host where the root and user.slice give memory and pids, and we are in a session. */
static void make_host(int with_systemd)
{
    CHECK(mount("tmpfs", CL_CGROUP_MOUNT, "tmpfs", 0, NULL) == 0);
    CHECK(mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0);
    make("", "cpu memory pids\n", "memory pids\n");
    make("/user.slice", "memory pids\n", "memory pids\n");
    make("/user.slice/session-1.scope", "memory pids\n", "");
    if (with_systemd)
        CHECK(mkdir("/run/systemd", 0755) == 0 && mkdir("/run/systemd/system", 0755) == 0);
}

/* Plain files make no cgroup's files in a new directory: what is made is looked at. */
static int create(const char *own_path, int with_cpus, struct cl_error *err)
{
    CL_CLEANUP_LIMITS struct cl_limits limits = CL_LIMITS_INIT;
    const struct cl_own_cgroups own = {.v2 = own_path};
    struct cl_plan plan = {.limits = {.memory_bytes = 32 << 20, .tasks = 8, .millicpus = 200}};

    cl_plan_mark(&plan, CL_FIELD_MEMORY);
    if (with_cpus)
        cl_plan_mark(&plan, CL_FIELD_CPUS);
    limits.layout = CL_CGROUP_V2;
    (void)snprintf(limits.name, sizeof(limits.name), "cloister-1");
    return cl_v2_create(&limits, &plan, &own, err);
}

static int is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A plain file keeps what a shorter text doesn't cover. */
static void check_given(const char *wanted)
{
    char text[64];

    CHECK(room_read(AT_FDCWD, CL_CGROUP_MOUNT "/cgroup.subtree_control", text, sizeof(text)) == 0);
    CHECK(strncmp(text, wanted, strlen(wanted)) == 0);
}

static void use_what_systemd_gives(void)
{
    struct cl_error err = {0};

    make_host(1);
    (void)create("/user.slice/session-1.scope", 0, &err);
    CHECK(is_dir(CL_CGROUP_MOUNT "/user.slice/cloister-1"));
    check_given("memory pids\n");
}

TEST(what_systemd_gives_is_used)
{
    room_run(use_what_systemd_gives);
}

static void refuse_what_would_go(const char *own)
{
    struct cl_error err = {0};

    make_host(1);
    CHECK(create(own, 1, &err) == -EACCES);
    CHECK_HAS(err.msg, "controllers cpu,");
    CHECK_HAS(err.msg, "--cgroup-manager systemd");
    CHECK_HAS(err.msg, "--without limits");
    CHECK(!is_dir(CL_CGROUP_MOUNT "/cloister-1"));
    check_given("memory pids\n");
}

static void refuse_in_session(void)
{
    refuse_what_would_go("/user.slice/session-1.scope");
}

static void refuse_in_root(void)
{
    refuse_what_would_go("/");
}

TEST(what_systemd_would_take_away_is_refused)
{
    room_run(refuse_in_session);
    room_run(refuse_in_root);
}

static void enable_at_the_root(void)
{
    struct cl_error err = {0};

    make_host(0);
    (void)create("/user.slice/session-1.scope", 1, &err);
    CHECK(is_dir(CL_CGROUP_MOUNT "/cloister-1"));
    check_given("+cpu");
}

TEST(without_systemd_the_root_is_asked)
{
    room_run(enable_at_the_root);
}

static void find_it_read_only(void)
{
    struct cl_error err = {0};

    make_host(1);
    CHECK(mount(NULL, CL_CGROUP_MOUNT, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
    CHECK(create("/user.slice/session-1.scope", 0, &err) == -EACCES);
    CHECK_HAS(err.msg, "ProtectControlGroups=");
    CHECK_HAS(err.msg, "--without limits");
}

TEST(a_tree_that_is_read_only_is_told)
{
    room_run(find_it_read_only);
}

/* As where a controller is taken away: the file of the limit is gone. On v1, where we may
 * make such a file and remove it. */
TEST(a_limit_that_went_is_told)
{
    CL_CLEANUP_LIMITS struct cl_limits limits = CL_LIMITS_INIT;
    char own_path[CL_CGROUP_PATH_SIZE];
    char path[CL_CGROUP_PATH_SIZE + 32];
    struct cl_own_cgroups own;
    struct cl_error err = {0};

    if (cl_own_cgroups_read(&own, &err) < 0 || own.v1[CL_CONTROLLER_PIDS].path == NULL)
        SKIP_TEST("needs the pids controller of cgroup v1");
    CHECK(cl_v1_path(own_path, CL_CONTROLLER_PIDS, &own, &err) == 0);
    (void)snprintf(path, sizeof(path), "%s/cltest-v2-%d", own_path, (int)getpid());
    if (mkdir(path, 0755) < 0)
        SKIP_TEST("needs to make cgroups");
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
    limits.set[CL_CONTROLLER_PIDS] = cl_sys_openat(dir, "pids.max", O_RDWR, 0);
    CHECK(limits.set[CL_CONTROLLER_PIDS] >= 0);
    CHECK(cl_limits_check(&limits, &err) == 0);
    CHECK(rmdir(path) == 0 && mkdir(path, 0755) == 0); /* one that comes back is another */
    CHECK(cl_limits_check(&limits, &err) == -ENODEV);
    CHECK_HAS(err.msg, "controllers pids were taken away");
    CHECK_HAS(err.msg, "--cgroup-manager systemd");
    CHECK(rmdir(path) == 0);
}

static void check_file(const char *name, const char *expected)
{
    char path[64];
    char text[64];

    (void)snprintf(path, sizeof(path), "/mnt/cloister-x/%s", name);
    CHECK(room_read(AT_FDCWD, path, text, sizeof(text)) == 0);
    CHECK_TEXT(text, expected);
}

/* The files as cgroup-v2.rst names them: nothing in them but what was written. */
static void make_cgroup(struct cl_limits *ret)
{
    static const char *const names[] = {"memory.max", "memory.swap.max", "memory.high",
                                        "memory.low", "pids.max",        "cpu.max",
                                        "memory.min", "cpu.weight",      "memory.oom.group"};
    char path[64];

    CHECK(mkdir("/mnt/cloister-x", 0755) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        (void)snprintf(path, sizeof(path), "/mnt/cloister-x/%s", names[i]);
        CHECK(room_write(path, "") == 0);
    }
    *ret = CL_LIMITS_INIT;
    (void)snprintf(ret->name, sizeof(ret->name), "cloister-x");
    ret->count = 1;
    ret->cgroups[0] = (struct cl_cgroup){.tasks = -1};
    ret->cgroups[0].parent = cl_sys_openat(AT_FDCWD, "/mnt", O_PATH | O_DIRECTORY, 0);
}

static void set_each(void)
{
    CL_CLEANUP_LIMITS struct cl_limits limits;
    struct cl_plan plan = {
        .limits = {.memory_bytes = 32 << 20, .swap_bytes = 4096, .tasks = 8, .millicpus = 200}};
    struct cl_error err = {0};

    make_cgroup(&limits);
    cl_plan_mark(&plan, CL_FIELD_MEMORY);
    cl_plan_mark(&plan, CL_FIELD_SWAP);
    cl_plan_mark(&plan, CL_FIELD_TASKS);
    cl_plan_mark(&plan, CL_FIELD_CPUS);
    CHECK(cl_v2_set(&limits, &plan, &err) == 0);
    CHECK_TEXT(err.msg, "");
    check_file("memory.max", "33554432");
    check_file("memory.swap.max", "4096");
    check_file("pids.max", "9"); /* and init */
    check_file("cpu.max", "20000 100000");
    check_file("memory.high", "");
    check_file("memory.low", "");
    check_file("memory.min", "");
    check_file("memory.oom.group", "");
    check_file("cpu.weight", "");
}

TEST(each_limit_goes_to_its_file)
{
    room_run(set_each);
}

static void set_none(void)
{
    CL_CLEANUP_LIMITS struct cl_limits limits;
    const struct cl_plan plan = {.limits = {.memory_bytes = 1, .tasks = 1, .millicpus = 1}};
    struct cl_error err = {0};

    make_cgroup(&limits);
    CHECK(cl_v2_set(&limits, &plan, &err) == 0);
    check_file("memory.max", "");
    check_file("memory.swap.max", "");
    check_file("pids.max", "");
    check_file("cpu.max", "");
}

TEST(a_limit_that_the_plan_lacks_is_not_set)
{
    room_run(set_none);
}

static void miss_each(void)
{
    static const struct {
        enum cl_field field;
        const char *file;
        const char *message;
    } rows[] = {
        {CL_FIELD_MEMORY, "memory.max",
         "set memory.max of the sandbox's cgroup: No such file or directory"},
        {CL_FIELD_TASKS, "pids.max",
         "set pids.max of the sandbox's cgroup: No such file or directory"},
        {CL_FIELD_CPUS, "cpu.max",
         "set cpu.max of the sandbox's cgroup: No such file or directory"},
    };
    char path[64];

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_LIMITS struct cl_limits limits;
        struct cl_plan plan = {.limits = {.memory_bytes = 1, .tasks = 1, .millicpus = 10}};
        struct cl_error err = {0};

        make_cgroup(&limits);
        (void)snprintf(path, sizeof(path), "/mnt/cloister-x/%s", rows[i].file);
        CHECK(unlink(path) == 0);
        cl_plan_mark(&plan, rows[i].field);
        CHECK(cl_v2_set(&limits, &plan, &err) < 0);
        CHECK_HAS(err.msg, rows[i].message);
        CHECK(rename("/mnt/cloister-x", "/mnt/gone") == 0);
        (void)snprintf(path, sizeof(path), "/mnt/gone-%zu", i);
        CHECK(rename("/mnt/gone", path) == 0);
    }
}

TEST(a_file_that_the_kernel_lacks_is_named)
{
    room_run(miss_each);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_systemd_gives_is_used),
        ROW(what_systemd_would_take_away_is_refused),
        ROW(without_systemd_the_root_is_asked),
        ROW(a_tree_that_is_read_only_is_told),
        ROW(a_limit_that_went_is_told),
        ROW(each_limit_goes_to_its_file),
        ROW(a_limit_that_the_plan_lacks_is_not_set),
        ROW(a_file_that_the_kernel_lacks_is_named),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
