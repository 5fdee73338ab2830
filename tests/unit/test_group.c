/* test_group.c - the cgroups of OCI containers: where they are, made, joined and removed on this
 * host's hierarchies, on v1's alone and on v2 alone. */
#include "group_scene.h"

#include "limits/limits.h"

/* --- places --------------------------------------------------------------------- */

static int place(const char *path, enum cl_group_manager manager, struct cl_group_place *ret,
                 struct cl_error *err)
{
    struct cl_spec spec = {.cgroups_path = path};

    cl_spec_mark(&spec, CL_SPEC_CGROUPS_PATH);
    return cl_group_place(&spec, "0123", manager, ret, err);
}

#define NEED_HIERARCHIES()                                                                         \
    do {                                                                                           \
        struct cl_error need_err;                                                                  \
        if (cl_cgroup_layout(0, &need_err) < 0)                                                    \
            SKIP_TEST("this host has no cgroups");                                                 \
    } while (0)

TEST(paths_are_taken_as_they_are_meant)
{
    NEED_HIERARCHIES();
    static const struct {
        const char *text;
        const char *path;
    } rows[] = {
        {"/docker/0123", "/docker/0123"},
        {"//docker///x//", "/docker/x"},
        {"/./a/./b/.", "/a/b"},
        {"a/b", "/a/b"},
        {"", "/0123"},
        {"/a:b/c d", "/a:b/c d"},
        {"/..a/b..", "/..a/b.."},
    };
    struct cl_group_place found;
    struct cl_error err = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(place(rows[i].text, CL_GROUP_FS, &found, &err) == 0);
        CHECK_TEXT(found.path, rows[i].path);
        CHECK(found.layout != CL_CGROUP_NONE && found.bases[0] != '\0');
    }
    CHECK(place("/x", CL_GROUP_FS, &found, &err) == 0);
    CHECK(strchr(found.bases, '/') == NULL);
}

TEST(paths_that_lead_elsewhere_are_refused)
{
    NEED_HIERARCHIES();
    static const char *const texts[] = {"/..", "/a/../b", "../x", "a/..",
                                        "/",   "//",      "/./",  "/a\nb"};
    char text[CL_GROUP_PATH + 8];
    struct cl_group_place found = {.made = 7};
    struct cl_error err = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(texts); i++) {
        CHECK(place(texts[i], CL_GROUP_FS, &found, &err) == -EINVAL);
        CHECK_HAS(err.msg, "linux.cgroupsPath");
    }
    memset(text, 'a', sizeof(text));
    text[0] = '/';
    text[CL_GROUP_PATH - 1] = '\0';
    CHECK(place(text, CL_GROUP_FS, &found, &err) == 0);
    CHECK_TEXT(found.path, text);
    text[CL_GROUP_PATH - 1] = 'a';
    text[CL_GROUP_PATH] = '\0';
    found.made = 7;
    CHECK(place(text, CL_GROUP_FS, &found, &err) == -ENAMETOOLONG);
    CHECK(found.made == 7);
}

TEST(units_of_systemd_are_read)
{
    NEED_HIERARCHIES();
    static const struct {
        const char *text;
        const char *slice;
        const char *unit;
        const char *path;
    } rows[] = {
        {"machine.slice:libpod:01", "machine.slice", "libpod-01.scope",
         "/machine.slice/libpod-01.scope"},
        {"a-b-c.slice:cri:x", "a-b-c.slice", "cri-x.scope",
         "/a.slice/a-b.slice/a-b-c.slice/cri-x.scope"},
        {"-.slice:p:x", "-.slice", "p-x.scope", "/p-x.scope"},
        {"user.slice::x", "user.slice", "x.scope", "/user.slice/x.scope"},
        {"a.slice:p:b.slice", "a.slice", "b.slice", "/a.slice/b.slice"},
    };
    struct cl_group_place found;
    struct cl_error err = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(place(rows[i].text, CL_GROUP_SYSTEMD, &found, &err) == 0);
        CHECK_TEXT(found.slice, rows[i].slice);
        CHECK_TEXT(found.unit, rows[i].unit);
        CHECK_TEXT(found.path, rows[i].path);
    }
    CHECK(place(":p:x", CL_GROUP_SYSTEMD, &found, &err) == 0);
    CHECK_TEXT(found.slice, geteuid() == 0 ? "system.slice" : "user.slice");
    CHECK(place("", CL_GROUP_SYSTEMD, &found, &err) == 0);
    CHECK_TEXT(found.unit, "cloister-0123.scope");
}

TEST(what_is_no_unit_is_refused)
{
    NEED_HIERARCHIES();
    static const char *const texts[] = {
        "/docker/01",    "a.slice:b",     "a.slice:b:c:d",  "a.slice:b:",   "a:b:c",
        ".slice:b:c",    "-a.slice:b:c",  "a--b.slice:b:c", "a-.slice:b:c", "a/b.slice:b:c",
        "a.slice:b:c/d", "a.slice:..:/x", "a.slice:b:c d",
    };
    struct cl_group_place found;
    struct cl_error err = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(texts); i++) {
        const int r = place(texts[i], CL_GROUP_SYSTEMD, &found, &err);

        if (r != -EINVAL)
            printf("# %s\n", texts[i]);
        CHECK(r == -EINVAL);
        CHECK_HAS(err.msg, "linux.cgroupsPath");
    }
}

/* --- making and removing ----------------------------------------------------------- */

static int is_in(const struct cl_group_dir *dir, pid_t pid)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir->dir, "cgroup.procs", O_RDONLY, 0);
    char text[256] = "";
    char wanted[16];

    (void)snprintf(wanted, sizeof(wanted), "%d\n", (int)pid);
    CHECK(cl_sys_read(fd, text, sizeof(text) - 1) >= 0);
    return strcmp(text, wanted) == 0;
}

static int go[2];

static void wait_for_word(void)
{
    char byte;

    (void)close(go[1]);
    _exit(cl_sys_read(go[0], &byte, 1) == 0 ? 7 : 1);
}

static void make_join_remove(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    const int before = check_count_fds();

    group_spec_init(&spec, "/inner");
    group_make(&spec, &group);
    CHECK(group.place.made == 1);
    CHECK(pipe2(go, O_CLOEXEC) == 0);
    pid_t pid = group_start(&group, wait_for_word);
    (void)close(go[0]);
    /* each join comes before the child looks at the pipe: its end tells that all are done */
    CHECK(group.count > 0);
    (void)close(go[1]);
    CHECK(group_wait(pid) == 7 << 8);
    group_remove(&group);
    CHECK(check_count_fds() == before);
}

TEST(a_group_is_made_joined_and_removed)
{
    group_in_view(VIEW_HOST, make_join_remove);
    group_in_view(VIEW_V1, make_join_remove);
    group_in_view(VIEW_V2, make_join_remove);
}

static int joined[2];

static void tell_and_pause(void)
{
    if (cl_sys_write(joined[1], "", 1) != 1)
        _exit(1);
    group_pause();
}

static pid_t start_and_see(const struct cl_group *group)
{
    char byte;

    CHECK(pipe2(joined, O_CLOEXEC) == 0);
    pid_t pid = group_start(group, tell_and_pause);
    CHECK(cl_sys_read(joined[0], &byte, 1) == 1);
    (void)close(joined[0]);
    (void)close(joined[1]);
    return pid;
}

static void be_in_all(void)
{
    struct group_spec spec;
    struct cl_group group = {0};

    group_spec_init(&spec, "");
    group_make(&spec, &group);
    pid_t pid = start_and_see(&group);
    for (size_t i = 0; i < group.count; i++) {
        const int here = is_in(&group.dirs[i], pid);

        if (!here)
            printf("# %s\n", group.dirs[i].name);
        CHECK(here);
    }
    CHECK(kill(pid, SIGKILL) == 0);
    group_remove(&group); /* not waited for yet */
    CHECK(group_wait(pid) == SIGKILL);
}

TEST(a_process_is_in_every_hierarchy)
{
    group_in_view(VIEW_HOST, be_in_all);
    group_in_view(VIEW_V1, be_in_all);
    group_in_view(VIEW_V2, be_in_all);
}

static void open_again(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_group again = {0};
    struct cl_error err = {0};

    group_spec_init(&spec, "/a/b");
    group_make(&spec, &group);
    const size_t count = group.count;
    CHECK(cl_group_open(&group.place, &again, &err) == 0);
    CHECK(again.count == count);
    cl_group_close(&group);
    CHECK(group_left() == (int)count);
    const struct cl_group_place kept = again.place;
    group_remove(&again); /* with what is above it, by the place alone */
    CHECK(group_left() == 0);
    CHECK(cl_group_open(&kept, &again, &err) == -ENOENT);
    CHECK_HAS(err.msg, "is gone");
}

TEST(a_group_is_opened_by_its_place)
{
    group_in_view(VIEW_HOST, open_again);
    group_in_view(VIEW_V2, open_again);
}

static void take_and_refuse(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_group second = {0};
    struct cl_error err = {0};

    group_spec_init(&spec, "");
    group_make(&spec, &group);
    CHECK(group_try(&spec, &second, &err) == 0); /* empty: taken */
    CHECK(second.count == group.count && second.dirs[0].made == 0);
    cl_group_close(&second);
    pid_t pid = start_and_see(&group);
    CHECK(group_try(&spec, &second, &err) == -EBUSY);
    CHECK_HAS(err.msg, "another container's");
    CHECK(second.count == 0 && group_left() == (int)group.count);
    CHECK(kill(pid, SIGKILL) == 0 && group_wait(pid) == SIGKILL);
    group_remove(&group);
}

TEST(a_group_of_processes_is_not_taken)
{
    group_in_view(VIEW_HOST, take_and_refuse);
    group_in_view(VIEW_V1, take_and_refuse);
    group_in_view(VIEW_V2, take_and_refuse);
}

static void be_relative(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    char path[256];

    group_spec_init(&spec, NULL);
    group_make(&spec, &group);
    CHECK(snprintf(path, sizeof(path), "/%s", spec.id) > 0);
    CHECK_TEXT(group.place.path, path);
    CHECK(group.place.made == 0);
    pid_t pid = start_and_see(&group);
    CHECK(kill(pid, SIGKILL) == 0 && group_wait(pid) == SIGKILL);
    group_remove(&group);
}

TEST(without_a_path_it_is_below_the_own)
{
    group_in_view(VIEW_HOST, be_relative);
    group_in_view(VIEW_V1, be_relative);
    group_in_view(VIEW_V2, be_relative);
}

/* The cgroup of this process has this process, and gives no controllers: it is put beside it. */
static void be_beside(void)
{
    struct group_spec outer_spec;
    struct group_spec spec;
    struct cl_group outer = {0};
    struct cl_group group = {0};
    struct cl_group_place place = {0};
    struct cl_error err = {0};
    char base[128];

    group_spec_init(&outer_spec, "/own");
    group_make(&outer_spec, &outer);
    CHECK(cl_write_file(outer.dirs[0].dir, "cgroup.procs", "0") == 0);
    group_spec_init(&spec, NULL);
    CHECK(cl_group_place(&spec.spec, spec.id, CL_GROUP_FS, &place, &err) == 0);
    (void)snprintf(base, sizeof(base), "unified /%s/own\n", outer_spec.id);
    CHECK_TEXT(place.bases, base);
    group_make(&spec, &group); /* needs no controllers */
    CHECK_TEXT(group.place.bases, base);
    group_remove(&group);
    group_add(&spec, CL_RESOURCE_HUGE_PAGES, 4 << 20)->name = "2MB";
    group_make(&spec, &group);
    (void)snprintf(base, sizeof(base), "unified /%s\n", outer_spec.id);
    CHECK_TEXT(group.place.bases, base);
    CHECK_TEXT(group_read(&group, "", "hugetlb.2MB.max"), "4194304");
    group_remove(&group);
    CHECK(cl_write_file(AT_FDCWD, CL_CGROUP_MOUNT "/cgroup.procs", "0") == 0);
    group_remove(&outer);
}

TEST(where_the_own_cannot_give_it_is_beside_it)
{
    group_in_view(VIEW_V2, be_beside);
}

/* A container may have made cgroups of its own. */
static void remove_nested(void)
{
    struct group_spec spec;
    struct cl_group group = {0};

    group_spec_init(&spec, "");
    group_make(&spec, &group);
    for (size_t i = 0; i < group.count; i++) {
        CHECK(mkdirat(group.dirs[i].dir, "a", 0755) == 0);
        CHECK(mkdirat(group.dirs[i].dir, "a/b", 0755) == 0);
        CHECK(mkdirat(group.dirs[i].dir, "a/c", 0755) == 0);
        CHECK(mkdirat(group.dirs[i].dir, "a/c/d", 0755) == 0);
    }
    group_remove(&group);
}

TEST(what_the_container_made_goes_too)
{
    group_in_view(VIEW_HOST, remove_nested);
    group_in_view(VIEW_V2, remove_nested);
}

static void keep_living(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_group again = {0};
    struct cl_error err = {0};

    group_spec_init(&spec, "");
    group_make(&spec, &group);
    pid_t pid = start_and_see(&group);
    const struct cl_group_place kept = group.place;
    CHECK(cl_group_remove(&group, &err) == -EBUSY);
    CHECK_HAS(err.msg, spec.id);
    CHECK(kill(pid, SIGKILL) == 0 && group_wait(pid) == SIGKILL);
    CHECK(cl_group_open(&kept, &again, &err) == 0);
    group_remove(&again);
}

TEST(a_group_that_lives_is_not_removed)
{
    group_in_view(VIEW_HOST, keep_living);
}

/* Of a group that can't be had nothing stays, whatever fails. */
static void fail_each(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_error err = {0};
    const int before = check_count_fds();
    int n = 0;
    int r = -1;

    for (; r < 0 && n < 400; n++) {
        char fault[32];

        group_spec_init(&spec, "/x");
        group_add(&spec, CL_RESOURCE_HUGE_PAGES, 4 << 20)->name = "2MB";
        if (cl_cgroup_layout(0, &err) != CL_CGROUP_V2) {
            spec.spec.resources.count = 0;
            group_add(&spec, CL_RESOURCE_PIDS_LIMIT, 10);
            group_add(&spec, CL_RESOURCE_MEMORY_LIMIT, 32 << 20);
        }
        (void)snprintf(fault, sizeof(fault), "syscall:%d", n + 1);
        err = (struct cl_error){0};
        cl_fault_set(fault);
        r = group_try(&spec, &group, &err);
        const int struck = cl_fault_struck();
        cl_fault_set(NULL);
        if (r == 0 && struck) { /* what was passed over did no harm */
            group_remove(&group);
            r = -1;
            continue;
        }
        CHECK((r < 0) == struck);
        CHECK((r < 0) == (err.msg[0] != '\0'));
        CHECK(r == 0 || (group_left() == 0 && check_count_fds() == before));
    }
    CHECK(r == 0 && n > 10);
    group_remove(&group);
}

TEST(whatever_fails_nothing_is_left)
{
    group_in_view(VIEW_HOST, fail_each);
    group_in_view(VIEW_V2, fail_each);
}

/* The same of removing: what could not be removed is told, and is there for another try. */
static void fail_removing(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_error err = {0};
    int struck = 1;

    for (int n = 1; struck && n < 200; n++) {
        char fault[32];

        group_spec_init(&spec, "");
        group_make(&spec, &group);
        const struct cl_group_place kept = group.place;
        (void)snprintf(fault, sizeof(fault), "syscall:%d", n);
        err = (struct cl_error){0};
        cl_fault_set(fault);
        const int r = cl_group_remove(&group, &err);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK((r < 0) == (err.msg[0] != '\0'));
        CHECK((r < 0) == (group_left() > 0));
        if (r < 0 && cl_group_open(&kept, &group, &err) == 0)
            group_remove(&group);
    }
    CHECK(!struck);
}

TEST(what_can_not_be_removed_is_told)
{
    group_in_view(VIEW_HOST, fail_removing);
    group_in_view(VIEW_V2, fail_removing);
}

/* Who makes it is killed at each call; what is known then is the place, as it was foreseen. */
static void die_making(void)
{
    static struct group_spec spec;
    struct cl_group_place place = {0};
    struct cl_group group = {0};
    struct cl_error err = {0};
    int status = -1;
    int n;

    for (n = 1; status != 0 && n < 400; n++) {
        char fault[32];

        group_spec_init(&spec, "/x/y");
        CHECK(cl_group_place(&spec.spec, spec.id, CL_GROUP_FS, &place, &err) == 0);
        cl_group_foresee(&place);
        CHECK(place.made == 2);
        (void)snprintf(fault, sizeof(fault), "dies:%d", n);
        pid_t pid = fork();
        if (pid == 0) {
            cl_fault_set(fault);
            _exit(cl_group_make(&place, &spec.spec, &group, &err) < 0);
        }
        status = group_wait(pid);
        CHECK(status == 0 || status == SIGKILL);
        int r = cl_group_open(&place, &group, &err);
        if (r == 0)
            r = cl_group_remove(&group, &err);
        else
            cl_group_forget(&place);
        CHECK((r == 0 || r == -ENOENT) && group_left() == 0);
    }
    CHECK(status == 0 && n > 10);
}

TEST(whoever_is_killed_nothing_is_left)
{
    group_in_view(VIEW_HOST, die_making);
    group_in_view(VIEW_V2, die_making);
}

/* What is above it and was there before is left, and what others use, too. */
static void foresee_others(void)
{
    struct group_spec spec;
    struct cl_group first = {0};
    struct cl_group second = {0};
    struct cl_group_place place = {0};
    struct cl_error err = {0};

    group_spec_init(&spec, "/a/b");
    group_make(&spec, &first);
    (void)snprintf(spec.path + strlen(spec.path) - 1, 16, "c/d");
    CHECK(cl_group_place(&spec.spec, spec.id, CL_GROUP_FS, &place, &err) == 0);
    cl_group_foresee(&place);
    CHECK(place.made == 1); /* a is there */
    CHECK(cl_group_make(&place, &spec.spec, &second, &err) == 0);
    CHECK(second.place.made == 1);
    cl_group_forget(&place); /* it is in use */
    cl_group_close(&first);
    CHECK(cl_group_open(&place, &first, &err) == 0);
    cl_group_close(&first);
    group_remove(&second);
    (void)snprintf(strrchr(spec.path, 'c'), 16, "b");
    CHECK(cl_group_place(&spec.spec, spec.id, CL_GROUP_FS, &place, &err) == 0);
    CHECK(cl_group_open(&place, &first, &err) == 0); /* the first one is where it was */
    first.place.made = 2;
    group_remove(&first);
}

TEST(what_is_foreseen_is_what_will_be_made)
{
    group_in_view(VIEW_HOST, foresee_others);
    group_in_view(VIEW_V2, foresee_others);
}

TEST(without_a_manager_there_is_none)
{
    struct group_spec spec;
    struct cl_group_place place = {0};
    struct cl_group group = {0};
    struct cl_error err = {0};

    group_spec_init(&spec, "");
    CHECK(cl_group_place(&spec.spec, spec.id, CL_GROUP_NONE, &place, &err) == 0);
    group_add(&spec, CL_RESOURCE_PIDS_LIMIT, 0);
    CHECK(cl_group_make(&place, &spec.spec, &group, &err) == 0);
    CHECK(group.count == 0 && cl_group_dir(&group) == -1);
    CHECK(cl_group_tasks(&group, NULL, 0, &err) == 0);
    CHECK(cl_group_remove(&group, &err) == 0);
    CHECK(cl_group_open(&place, &group, &err) == 0);
    group_add(&spec, CL_RESOURCE_PIDS_LIMIT, 5);
    CHECK(cl_group_apply(&group, &spec.spec.resources, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "linux.resources.pids.limit");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(paths_are_taken_as_they_are_meant),
        ROW(paths_that_lead_elsewhere_are_refused),
        ROW(units_of_systemd_are_read),
        ROW(what_is_no_unit_is_refused),
        ROW(a_group_is_made_joined_and_removed),
        ROW(a_process_is_in_every_hierarchy),
        ROW(a_group_is_opened_by_its_place),
        ROW(a_group_of_processes_is_not_taken),
        ROW(without_a_path_it_is_below_the_own),
        ROW(where_the_own_cannot_give_it_is_beside_it),
        ROW(what_the_container_made_goes_too),
        ROW(a_group_that_lives_is_not_removed),
        ROW(whatever_fails_nothing_is_left),
        ROW(what_can_not_be_removed_is_told),
        ROW(without_a_manager_there_is_none),
        ROW(whoever_is_killed_nothing_is_left),
        ROW(what_is_foreseen_is_what_will_be_made),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
