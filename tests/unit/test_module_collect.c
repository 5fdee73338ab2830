/* test_module_collect.c - the budget of compiled modules: which go, and what stays. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asked_scene.h"
#include "base/clock.h"
#include "base/fault.h"
#include "module/cache.h"
#include "module/collect.h"

enum { SIZE = 16384 };
#define HOUR_S 3600L

struct scene {
    char dir[32];
    struct cl_module_collected collected;
    struct cl_error err;
};

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.dir = "/tmp/cl-test-XXXXXX"};
    CHECK(mkdtemp(scene->dir) != NULL);
    for (const char *const *name = (const char *const[]){"a", "b", "_", NULL}; *name != NULL;
         name++) {
        char tenant[8];

        (void)snprintf(tenant, sizeof(tenant), "%s", *name);
        const int cache =
            cl_module_cache_open(scene->dir, strcmp(tenant, "_") == 0 ? NULL : tenant);
        CHECK(cache >= 0 && close(cache) == 0);
    }
}

static void scene_done(struct scene *scene)
{
    asked_remove(scene->dir);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

static void path_of(const struct scene *scene, const char *name, char ret[160])
{
    (void)snprintf(ret, 160, "%s/modules/%.100s", scene->dir, name);
}

/* "a/1": the key of 64 such digits. */
static void entry_of(const struct scene *scene, const char *name, char ret[160])
{
    char key[80];

    (void)snprintf(key, sizeof(key), "%.2s%064d", name, 0);
    memset(key + 2, name[2], 64);
    path_of(scene, key, ret);
}

static void set_age(const char *path, long age_s)
{
    const time_t then = (time_t)(cl_clock_wall_ns() / CL_NS_PER_S) - age_s;
    const struct timespec times[2] = {{.tv_sec = then}, {.tv_sec = then}};

    CHECK(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0);
}

static void put(const char *path, size_t size, long age_s)
{
    static const char bytes[SIZE] = "code";

    asked_write_file(path, bytes, size, 0400);
    set_age(path, age_s);
}

static void add(const struct scene *scene, const char *name, long age_hours)
{
    char path[160];

    entry_of(scene, name, path);
    put(path, SIZE, age_hours * HOUR_S);
}

static int has(const struct scene *scene, const char *name)
{
    char path[160];

    entry_of(scene, name, path);
    return access(path, F_OK) == 0;
}

/* What an entry takes. */
static uint64_t bytes_of_one(const struct scene *scene, const char *name)
{
    struct stat status = {0};
    char path[160];

    entry_of(scene, name, path);
    CHECK(stat(path, &status) == 0 && status.st_blocks > 0);
    return (uint64_t)status.st_blocks * 512;
}

static int collect(struct scene *scene, uint64_t budget, const char *tenant,
                   const struct cl_module_key *spare)
{
    const struct cl_module_collect_how how = {
        .budget_bytes = budget, .tenant = tenant, .spare = spare};

    scene->err = (struct cl_error){0};
    return cl_module_collect(scene->dir, &how, &scene->collected, &scene->err);
}

TEST(the_least_recently_used_go_first)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    add(&scene, "a/1", 5);
    add(&scene, "b/1", 7);
    add(&scene, "_/1", 6);
    add(&scene, "a/2", 8);
    const uint64_t one = bytes_of_one(&scene, "a/1");
    CHECK(collect(&scene, 4 * one, NULL, NULL) == 0 && scene.collected.modules == 0);
    CHECK(collect(&scene, 4 * one - 1, NULL, NULL) == 0);
    CHECK(scene.collected.modules == 1 && scene.collected.bytes == one);
    CHECK(!has(&scene, "a/2") && has(&scene, "a/1") && has(&scene, "b/1") && has(&scene, "_/1"));
    CHECK(collect(&scene, one, NULL, NULL) == 0 && scene.collected.modules == 2);
    CHECK(has(&scene, "a/1") && !has(&scene, "b/1") && !has(&scene, "_/1"));
}

TEST(what_was_added_just_now_stays)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_module_key key = {0};

    scene_init(&scene);
    add(&scene, "a/1", 5);
    add(&scene, "a/2", 6); /* by a clock that went back */
    memset(key.hex, '2', sizeof(key.hex) - 1);
    CHECK(collect(&scene, 1, NULL, &key) == 0);
    CHECK(has(&scene, "a/2") && !has(&scene, "a/1"));
    cl_module_collect_for(scene.dir, UINT64_MAX, &key, SIZE); /* as good as never */
    CHECK(has(&scene, "a/2"));
    cl_module_collect_for(scene.dir, SIZE, &key, SIZE);
    CHECK(has(&scene, "a/2"));
    cl_module_collect_for(scene.dir, SIZE / 2, NULL, SIZE);
    CHECK(!has(&scene, "a/2"));
}

TEST(what_is_in_use_goes_on)
{
    CL_CLEANUP_SCENE struct scene scene;
    char path[160];
    char text[8] = "";

    scene_init(&scene);
    add(&scene, "a/1", 5);
    entry_of(&scene, "a/1", path);
    CL_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(collect(&scene, 0, NULL, NULL) == 0 && !has(&scene, "a/1"));
    CHECK(pread(fd, text, 4, 0) == 4);
    CHECK_TEXT(text, "code");
}

TEST(a_tenants_alone_go)
{
    CL_CLEANUP_SCENE struct scene scene;
    char path[160];

    scene_init(&scene);
    add(&scene, "a/1", 1);
    add(&scene, "b/1", 1);
    add(&scene, "_/1", 1);
    CHECK(collect(&scene, 0, "b", NULL) == 0 && scene.collected.modules == 1);
    CHECK(has(&scene, "a/1") && !has(&scene, "b/1") && has(&scene, "_/1"));
    CHECK(collect(&scene, 0, "nobody", NULL) == 0 && scene.collected.modules == 0);
    CHECK(collect(&scene, 0, "_", NULL) == 0 && !has(&scene, "_/1"));
    CHECK(collect(&scene, 0, NULL, NULL) == 0 && scene.collected.modules == 1);
    path_of(&scene, "", path);
    CHECK(check_count_entries(path) == 0); /* nor are directories left */
}

TEST(what_is_remembered_of_files_goes_and_is_no_module)
{
    CL_CLEANUP_SCENE struct scene scene;
    char path[160];

    scene_init(&scene);
    entry_of(&scene, "a/1", path);
    put(path, 64, 5 * HOUR_S);
    CHECK(collect(&scene, 0, NULL, NULL) == 0);
    CHECK(scene.collected.modules == 0 && !has(&scene, "a/1"));
}

TEST(what_is_left_over_goes_and_what_is_being_made_stays)
{
    CL_CLEANUP_SCENE struct scene scene;
    char old[160];
    char young[160];

    scene_init(&scene);
    path_of(&scene, "a/new-0123456789abcdef", old);
    path_of(&scene, "a/new-0123456789abcdee", young);
    put(old, SIZE, 2 * HOUR_S);
    put(young, SIZE, HOUR_S / 2);
    add(&scene, "a/1", 5);
    CHECK(collect(&scene, UINT64_MAX, NULL, NULL) == 0);
    CHECK(access(old, F_OK) < 0 && access(young, F_OK) == 0 && has(&scene, "a/1"));
    CHECK(scene.collected.modules == 0 && scene.collected.bytes > 0);
    CHECK(collect(&scene, 0, NULL, NULL) == 0); /* not even then: it has a maker */
    CHECK(access(young, F_OK) == 0 && !has(&scene, "a/1"));
}

TEST(what_is_not_ours_stays)
{
    static const char *const names[] = {"a/README", "a/new-", "b/other", "elsewhere"};
    CL_CLEANUP_SCENE struct scene scene;
    char path[160];
    char link[160];

    scene_init(&scene);
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        path_of(&scene, names[i], path);
        put(path, SIZE, i == 1 ? 0 : 9 * HOUR_S);
    }
    entry_of(&scene, "a/5", path);
    CHECK(mkdir(path, 0700) == 0);
    entry_of(&scene, "a/6", path);
    CHECK(symlink("README", path) == 0);
    add(&scene, "b/1", 5);
    path_of(&scene, "b", path);
    path_of(&scene, "c", link);
    CHECK(symlink(path, link) == 0); /* a tenant's directory is none */
    CHECK(chmod(path, 0770) == 0);   /* nor one that others reach */
    CHECK(collect(&scene, 0, NULL, NULL) == 0 && scene.collected.modules == 0);
    CHECK(has(&scene, "b/1") && has(&scene, "a/5") && has(&scene, "a/6"));
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        path_of(&scene, names[i], path);
        CHECK(access(path, F_OK) == 0);
    }
    path_of(&scene, "b", path);
    CHECK(chmod(path, 0700) == 0);
}

static long age_of(const char *path)
{
    struct stat status = {0};

    CHECK(stat(path, &status) == 0);
    return (long)(cl_clock_wall_ns() / CL_NS_PER_S) - (long)status.st_mtim.tv_sec;
}

TEST(a_use_is_noted_once_an_hour)
{
    static const struct {
        long age_s;
        int is_noted;
    } rows[] = {{0, 0}, {HOUR_S - 60, 0}, {HOUR_S + 60, 1}, {1000 * HOUR_S, 1}, {-2 * HOUR_S, 1}};
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_module_key key = {0};
    char path[160];

    scene_init(&scene);
    add(&scene, "a/1", 0);
    entry_of(&scene, "a/1", path);
    memset(key.hex, '1', sizeof(key.hex) - 1);
    CL_CLEANUP_FD int cache = cl_module_cache_open(scene.dir, "a");
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        set_age(path, rows[i].age_s);
        const int fd = cl_module_cache_find(cache, &key);
        CHECK(fd >= 0 && close(fd) == 0);
        const long age = age_of(path);
        CHECK(rows[i].is_noted ? age >= 0 && age < 60
                               : age >= rows[i].age_s && age < rows[i].age_s + 60);
    }
}

TEST(a_budget_is_a_size)
{
    struct cl_error err = {0};
    uint64_t bytes = 0;

    CHECK(unsetenv("CLOISTER_MODULES_BUDGET") == 0);
    CHECK(cl_module_budget(&bytes, &err) == 0 && bytes == 2ULL << 30);
    CHECK(setenv("CLOISTER_MODULES_BUDGET", "10MiB", 1) == 0);
    CHECK(cl_module_budget(&bytes, &err) == 0 && bytes == 10 << 20);
    CHECK(setenv("CLOISTER_MODULES_BUDGET", "much", 1) == 0);
    CHECK(cl_module_budget(&bytes, &err) == -EINVAL && bytes == 10 << 20);
    CHECK_TEXT(err.msg, "CLOISTER_MODULES_BUDGET: expected a size like 2GiB, got \"much\"");
    CHECK(unsetenv("CLOISTER_MODULES_BUDGET") == 0);
}

#ifdef CL_FAULTS
/* Whatever fails: nothing is removed that is not the oldest, and the next time does it. */
static int survive(const char *kind, int number)
{
    CL_CLEANUP_SCENE struct scene scene;
    char text[32];

    scene_init(&scene);
    add(&scene, "a/1", 9);
    add(&scene, "b/1", 8);
    add(&scene, "a/2", 7);
    const uint64_t one = bytes_of_one(&scene, "a/1");
    const int fds = check_count_fds();
    (void)snprintf(text, sizeof(text), "%s:%d", kind, number);
    cl_fault_set(text);
    const int r = collect(&scene, one, NULL, NULL);
    const int struck = cl_fault_struck();
    cl_fault_set(NULL);
    CHECK(check_count_fds() == fds);
    CHECK(r == 0 || scene.err.msg[0] != '\0');
    CHECK(r < 0 || scene.collected.modules <= 2);
    CHECK(collect(&scene, one, NULL, NULL) == 0);
    CHECK(has(&scene, "a/1") + has(&scene, "b/1") + has(&scene, "a/2") <= 1);
    CHECK(struck || (has(&scene, "a/2") && r == 0));
    return struck;
}

TEST(each_call_may_fail)
{
    static const char *const kinds[] = {"syscall", "alloc"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
        int number = 1;

        while (number < 200 && survive(kinds[i], number))
            number++;
        CHECK(number > 1 && number < 200);
    }
}
#endif

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_least_recently_used_go_first),
        ROW(what_was_added_just_now_stays),
        ROW(what_is_in_use_goes_on),
        ROW(a_tenants_alone_go),
        ROW(what_is_remembered_of_files_goes_and_is_no_module),
        ROW(what_is_left_over_goes_and_what_is_being_made_stays),
        ROW(what_is_not_ours_stays),
        ROW(a_use_is_noted_once_an_hour),
        ROW(a_budget_is_a_size),
#ifdef CL_FAULTS
        ROW(each_call_may_fail),
#endif
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
