/* test_compile.c - the core's side of cloister-plan: input, cache, helper.
 *
 * Real calls need the helper in the build directory; the others use small shell scripts
 * in its place, which do what a helper that was taken over might. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "base/sys.h"
#include "base/helper.h"
#include "plan/compile.h"
#include "plan/compile_cache.h"
#include "plan/format.h"
#include "asked_scene.h"

enum { ARENA_CAP = 16 << 20 };

/* A directory of our own with a helper and a cache in it. */
struct scene {
    char dir[32];
    char cache_dir[48]; /* the cache's plans lie in `cache` below it */
    char cache[72];
    char plan_file[64];
    struct cl_arena arena;
    struct cl_plan plan;
    struct cl_error err;
};

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.dir = "/tmp/cl-test-XXXXXX", .arena = CL_ARENA_INIT(ARENA_CAP)};
    CHECK(mkdtemp(scene->dir) != NULL);
    (void)snprintf(scene->cache_dir, sizeof(scene->cache_dir), "%s/c/d", scene->dir);
    (void)snprintf(scene->cache, sizeof(scene->cache), "%s/plans", scene->cache_dir);
    (void)snprintf(scene->plan_file, sizeof(scene->plan_file), "%s/plan", scene->dir);
}

static void scene_done(struct scene *scene)
{
    asked_remove(scene->dir);
    cl_arena_done(&scene->arena);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

static void fake_helper(const struct scene *scene, const char *lines)
{
    asked_fake_helper(scene->dir, lines);
}

static int compile_text(struct scene *scene, const char *helper_dir, enum cl_compile_kind kind,
                        const char *text)
{
    CL_CLEANUP_FD int fd = asked_text_file(text);
    struct cl_compile_context context = {helper_dir, scene->cache_dir, &scene->arena};
    struct cl_compile_input input = {kind, fd, -1, "a/p.yaml"};

    scene->err = (struct cl_error){0};
    return cl_plan_compile(&context, &input, &scene->plan, &scene->err);
}

static int count_entries(const struct scene *scene)
{
    return asked_entries(scene->cache);
}

/* Writes PLAN where the scripts take it from. */
static void offer_plan(const struct scene *scene, const struct cl_plan *plan)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    struct cl_error err = {0};

    CHECK(cl_plan_write(plan, &buf, &err) == 0);
    asked_write_file(scene->plan_file, buf.data, buf.size, 0644);
}

/* A helper that answers with a plan that has a memory limit of 1 GiB, and counts. */
static void answering_helper(struct scene *scene)
{
    struct cl_plan plan = {0};
    char lines[256];

    CHECK(cl_plan_set_text(&plan, CL_FIELD_MEMORY, "1g", &scene->arena, &scene->err) == 0);
    offer_plan(scene, &plan);
    (void)snprintf(lines, sizeof(lines), "cat %s; echo x >>%s/calls", scene->plan_file, scene->dir);
    fake_helper(scene, lines);
}

static long calls(const struct scene *scene)
{
    return asked_calls(scene->dir);
}

/* --- the cache ------------------------------------------------------------- */

TEST(a_hit_starts_no_helper)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    answering_helper(&scene);
    for (int i = 0; i < 3; i++) {
        CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
        CHECK(scene.plan.limits.memory_bytes == 1 << 30);
    }
    CHECK(calls(&scene) == 1);
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{} ") == 0);
    CHECK(calls(&scene) == 2);
    CHECK(count_entries(&scene) == 2);
}

TEST(another_build_of_the_helper_makes_entries_stale)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    char path[64];

    scene_init(&scene);
    answering_helper(&scene);
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
    (void)snprintf(path, sizeof(path), "%s/cloister-plan", scene.dir);
    CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
    CHECK(calls(&scene) == 2);
}

/* A part of an entry's name, as compile.c adds it. */
static void add_number(struct cl_sha256 *hash, uint64_t number)
{
    cl_sha256_add(hash, &number, sizeof(number));
}

/* An entry of another version of the plan, or of another file's kind, must not be met at all:
 * two programs of two versions would throw out each other's. */
TEST(the_version_and_the_kind_are_in_an_entrys_name)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_helper helper;
    struct cl_sha256 hash;
    char path[160];
    int size;

    scene_init(&scene);
    answering_helper(&scene);
    CHECK(cl_helper_find(scene.dir, "cloister-plan", &helper, &scene.err) == 0);
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
    cl_sha256_init(&hash);
    add_number(&hash, CL_PLAN_VERSION);
    add_number(&hash, CL_COMPILE_POLICY);
    add_number(&hash, helper.size);
    add_number(&hash, (uint64_t)helper.mtime_s);
    add_number(&hash, (uint64_t)helper.mtime_ns);
    add_number(&hash, 2);
    cl_sha256_add(&hash, "{}", 2);
    size = snprintf(path, sizeof(path), "%s/", scene.cache);
    cl_sha256_final_hex(&hash, path + size);
    CHECK(access(path, R_OK) == 0);
    CHECK(count_entries(&scene) == 1);
}

/* A helper that answers a seccomp profile and a user alike, and counts. */
static void obliging_helper(struct scene *scene)
{
    static const char filter[8] = {6}; /* return 0 */
    struct cl_plan seccomp = {.seccomp = {filter, sizeof(filter)}};
    struct cl_plan user = {.uid = 7};
    char other[64];
    char lines[256];

    cl_plan_mark(&user, CL_FIELD_UID);
    offer_plan(scene, &user);
    (void)snprintf(other, sizeof(other), "%s/user", scene->dir);
    CHECK(rename(scene->plan_file, other) == 0);
    cl_plan_mark(&seccomp, CL_FIELD_SECCOMP);
    offer_plan(scene, &seccomp);
    (void)snprintf(lines, sizeof(lines),
                   "cd %s; echo x >>calls; [ $1 = user ] || exec cat plan; cat user", scene->dir);
    fake_helper(scene, lines);
}

/* The other parts of these two are the same: the user is called as the kernel is, the image's
 * groups say what the machine is, and its users are the profile. */
TEST(files_of_two_kinds_never_share_an_entry)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct utsname host;

    CHECK(uname(&host) == 0);
    CL_CLEANUP_FD int passwd = asked_text_file("{}");
    CL_CLEANUP_FD int group = asked_text_file(host.machine);
    struct cl_compile_context context = {scene.dir, scene.cache_dir, &scene.arena};
    struct cl_compile_input user = {CL_COMPILE_USER, passwd, group, host.release};

    scene_init(&scene);
    obliging_helper(&scene);
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_SECCOMP, "{}") == 0);
    CHECK(scene.plan.seccomp.size == 8);
    CHECK(cl_plan_compile(&context, &user, &scene.plan, &scene.err) == 0);
    CHECK(scene.plan.uid == 7);
    CHECK(count_entries(&scene) == 2);
}

static void find_user(struct scene *scene, const char *name, const char *groups)
{
    CL_CLEANUP_FD int passwd = asked_text_file("app:x:7:8::/:\n");
    CL_CLEANUP_FD int group = asked_text_file(groups);
    struct cl_compile_context context = {scene->dir, scene->cache_dir, &scene->arena};
    struct cl_compile_input input = {CL_COMPILE_USER, passwd, group, name};

    CHECK(cl_plan_compile(&context, &input, &scene->plan, &scene->err) == 0);
}

TEST(another_name_or_other_groups_are_another_user)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    obliging_helper(&scene);
    for (int again = 0; again < 2; again++) {
        find_user(&scene, "app:web", "web:x:9:\n");
        find_user(&scene, "app:sql", "web:x:9:\n");
        find_user(&scene, "app:web", "web:x:8:\n");
        CHECK(calls(&scene) == 3);
    }
}

/* What a profile's conditions come to depends on both. */
TEST(another_kernel_or_machine_makes_a_profile_stale)
{
    static const unsigned long others[] = {UNAME26, PER_LINUX32};
    CL_CLEANUP_SCENE struct scene scene;
    int own = personality(0xffffffff);

    CHECK(own >= 0);
    scene_init(&scene);
    obliging_helper(&scene);
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_SECCOMP, "{}") == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(others); i++) {
        CHECK(personality((unsigned long)own | others[i]) >= 0);
        CHECK(compile_text(&scene, scene.dir, CL_COMPILE_SECCOMP, "{}") == 0);
        CHECK(personality((unsigned long)own) >= 0);
        CHECK(calls(&scene) == (long)i + 2);
    }
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_SECCOMP, "{}") == 0);
    CHECK(calls(&scene) == 3);
}

/* Whatever stands in an entry: it is read, or ignored and written anew. */
TEST(a_damaged_entry_is_made_again)
{
    static const char *const damages[] = {":>$f",
                                          "echo junk >$f",
                                          "truncate -s -1 $f",
                                          "rm $f; mkfifo $f",
                                          "rm $f; ln -s /etc/passwd $f",
                                          "rm $f; mkdir other"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(damages); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        char command[256];

        scene_init(&scene);
        answering_helper(&scene);
        CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
        (void)snprintf(command, sizeof(command), "cd %s; for f in *; do %s; done", scene.cache,
                       damages[i]);
        CHECK(system(command) == 0); // NOLINT(cert-env33-c)
        CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
        CHECK(scene.plan.limits.memory_bytes == 1 << 30);
        CHECK(calls(&scene) == 2);
        CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
        CHECK(calls(&scene) == 2);
    }
}

TEST(a_cache_that_others_may_write_is_not_used)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    answering_helper(&scene);
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
    CHECK(chmod(scene.cache, 0777) == 0);
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
    CHECK(calls(&scene) == 2);
}

TEST(no_cache_is_no_error)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    answering_helper(&scene);
    scene.cache_dir[0] = '\0';
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
    (void)snprintf(scene.cache_dir, sizeof(scene.cache_dir), "/proc/nothing/here");
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
    CHECK(calls(&scene) == 2);
}

TEST(a_full_cache_is_emptied)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_bytes bytes = {"x", 1};
    char key[16];

    scene_init(&scene);
    CL_CLEANUP_FD int cache = cl_plan_cache_open(scene.cache_dir, CL_CACHE_PLANS);
    CHECK(cache >= 0);
    for (int i = 0; i < 512; i++) {
        CL_CLEANUP_FD int fd = -1;

        (void)snprintf(key, sizeof(key), "%d", i);
        fd = openat(cache, key, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        CHECK(fd >= 0);
    }
    CHECK(cl_plan_cache_store(cache, "new", &bytes, CL_CACHE_LASTING) == 0);
    CHECK(count_entries(&scene) == 1);
}

/* --- hostile helpers --------------------------------------------------------- */

static const struct {
    const char *lines;
    int code;
    const char *message;
} helpers[] = {
    {"exit 0", EBADMSG, "not a plan"},
    {"echo hello", EBADMSG, "not a plan"},
    {"exit 3", EIO, "a/p.yaml: cloister-plan ended with status 3"},
    {"kill -9 $$", EINVAL, "a/p.yaml: takes too long to parse"},
    {"kill -SEGV $$", EIO, "a/p.yaml: cloister-plan was ended by signal 11"},
    {"printf 'p:1:1: bad\\033[31m\\377 key\\nsecond line\\n' >&2; exit 1", EINVAL,
     "p:1:1: bad?[31m? key"},
    {"head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1", EINVAL, "xxxxxxxxxx"},
    {"exec cat /dev/zero", EFBIG, "what is made of it is larger"},
    {"cat; exit 1", EIO, "ended with status 1"},
    {"[ -z \"$HOME$USER$LANG\" ] && [ ! -e /proc/self/fd/3 ] || echo leak >&2; exit 1", EIO,
     "ended with status 1"},
};

TEST(what_a_helper_does_wrong_is_an_error)
{
    CHECK(setenv("HOME", "/root", 1) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(helpers); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene);
        fake_helper(&scene, helpers[i].lines);
        CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == -helpers[i].code);
        CHECK_HAS(scene.err.msg, helpers[i].message);
        CHECK(strlen(scene.err.msg) <= 400);
        CHECK(count_entries(&scene) == 0);
    }
}

TEST(a_helper_can_not_set_what_its_file_can_not_say)
{
    static const enum cl_compile_kind kinds[] = {CL_COMPILE_POLICY, CL_COMPILE_SECCOMP,
                                                 CL_COMPILE_USER};

    for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        struct cl_plan plan = {.without = CL_LAYER_BIT(CL_LAYER_LANDLOCK)};
        char lines[128];

        scene_init(&scene);
        cl_plan_mark(&plan, CL_FIELD_WITHOUT);
        offer_plan(&scene, &plan);
        (void)snprintf(lines, sizeof(lines), "cat %s", scene.plan_file);
        fake_helper(&scene, lines);
        CHECK(compile_text(&scene, scene.dir, kinds[i], "{}") == -EBADMSG);
        CHECK(count_entries(&scene) == 0);
    }
}

TEST(a_helper_that_hangs_is_killed_in_time)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_BUF struct cl_buf input = CL_BUF_INIT(16);
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(16);
    struct cl_helper helper;
    struct cl_helper_call call = {.args = {"policy", "p"},
                                  .subject = "p",
                                  .inputs = {&input},
                                  .timeout_ns = 200 * CL_NS_PER_MS};
    uint64_t start = cl_clock_boot_ns();

    scene_init(&scene);
    fake_helper(&scene, "exec sleep 60");
    CHECK(cl_helper_find(scene.dir, "cloister-plan", &helper, &scene.err) == 0);
    CHECK(cl_helper_run(&helper, &call, &output, &scene.err) == -EINVAL);
    CHECK_TEXT(scene.err.msg, "p: takes too long to parse");
    CHECK(cl_clock_boot_ns() - start < 5 * CL_NS_PER_S);
}

TEST(a_missing_helper_is_told_with_its_place)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == -ENOENT);
    CHECK_HAS(scene.err.msg, "cloister-plan is missing");
    CHECK_HAS(scene.err.msg, scene.dir);
}

/* --- input ------------------------------------------------------------------- */

static int compile_fd(struct scene *scene, int fd)
{
    struct cl_compile_context context = {scene->dir, scene->cache_dir, &scene->arena};
    struct cl_compile_input input = {CL_COMPILE_POLICY, fd, -1, "p"};

    scene->err = (struct cl_error){0};
    return cl_plan_compile(&context, &input, &scene->plan, &scene->err);
}

TEST(only_regular_files_of_bounded_size_are_read)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FD int large = cl_sys_memfd_create("large", MFD_CLOEXEC);
    CL_CLEANUP_FD int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    CL_CLEANUP_FD int directory = open("/", O_RDONLY | O_CLOEXEC);
    int ends[2];

    scene_init(&scene);
    answering_helper(&scene);
    CHECK(cl_sys_pipe2(ends, 0) == 0);
    CHECK(ftruncate(large, (off_t)8 << 30) == 0);
    CHECK(compile_fd(&scene, large) == -EFBIG);
    CHECK_TEXT(scene.err.msg, "p is larger than 1048576 bytes");
    CHECK(compile_fd(&scene, zero) == -EINVAL);
    CHECK(compile_fd(&scene, directory) == -EINVAL);
    CHECK(compile_fd(&scene, ends[0]) == -EINVAL);
    CHECK_TEXT(scene.err.msg, "p: not a regular file");
    CHECK(compile_fd(&scene, -1) == -EBADF);
    CHECK(calls(&scene) == 0);
    cl_fd_close(&ends[0]);
    cl_fd_close(&ends[1]);
}

TEST(no_descriptor_is_left_open)
{
    CL_CLEANUP_SCENE struct scene scene;
    int before = check_count_fds();

    scene_init(&scene);
    answering_helper(&scene);
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") == 0);
    fake_helper(&scene, "exit 1");
    CHECK(compile_text(&scene, scene.dir, CL_COMPILE_POLICY, "{}") < 0);
    CHECK(check_count_fds() == before);
}

/* --- the real helper ----------------------------------------------------------- */

TEST(the_real_helper_compiles_a_policy)
{
    CL_CLEANUP_SCENE struct scene scene;
    const char *helper = asked_real_helper();

    scene_init(&scene);
    CHECK(compile_text(&scene, helper, CL_COMPILE_POLICY, "limits: {memory: 1g}") == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.plan.limits.memory_bytes == 1 << 30);
    CHECK(compile_text(&scene, helper, CL_COMPILE_POLICY, "limits: {memroy: 1g}") == -EINVAL);
    CHECK_TEXT(scene.err.msg,
               "a/p.yaml:1:10: limits.memroy: unknown key (did you mean limits.memory?)");
    CHECK(count_entries(&scene) == 1);
}

TEST(the_real_helper_compiles_a_profile)
{
    static const char text[] = "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":"
                               "[\"read\",\"write\"],\"action\":\"SCMP_ACT_ALLOW\"}]}";
    CL_CLEANUP_SCENE struct scene scene;
    const char *helper = asked_real_helper();

    scene_init(&scene);
    for (int i = 0; i < 2; i++) {
        CHECK(compile_text(&scene, helper, CL_COMPILE_SECCOMP, text) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(scene.plan.seccomp.size >= 8 && scene.plan.seccomp.size % 8 == 0);
        CHECK_TEXT(scene.plan.seccomp_name, "a/p.yaml");
    }
    CHECK(count_entries(&scene) == 1);
}

TEST(the_real_helper_finds_a_user)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FD int passwd = asked_text_file("app:x:7:8::/:\n");
    const char *helper = asked_real_helper();
    struct cl_compile_context context = {helper, scene.cache_dir, &scene.arena};
    struct cl_compile_input input = {CL_COMPILE_USER, passwd, -1, "app"};

    scene_init(&scene);
    CHECK(cl_plan_compile(&context, &input, &scene.plan, &scene.err) == 0);
    CHECK(scene.plan.uid == 7 && scene.plan.gid == 8);
    input = (struct cl_compile_input){CL_COMPILE_USER, -1, -1, "app"};
    CHECK(cl_plan_compile(&context, &input, &scene.plan, &scene.err) == -EINVAL);
    CHECK_HAS(scene.err.msg, "no user \"app\"");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_hit_starts_no_helper),
        ROW(another_build_of_the_helper_makes_entries_stale),
        ROW(the_version_and_the_kind_are_in_an_entrys_name),
        ROW(files_of_two_kinds_never_share_an_entry),
        ROW(another_name_or_other_groups_are_another_user),
        ROW(another_kernel_or_machine_makes_a_profile_stale),
        ROW(a_damaged_entry_is_made_again),
        ROW(a_cache_that_others_may_write_is_not_used),
        ROW(no_cache_is_no_error),
        ROW(a_full_cache_is_emptied),
        ROW(what_a_helper_does_wrong_is_an_error),
        ROW(a_helper_can_not_set_what_its_file_can_not_say),
        ROW(a_helper_that_hangs_is_killed_in_time),
        ROW(a_missing_helper_is_told_with_its_place),
        ROW(only_regular_files_of_bounded_size_are_read),
        ROW(no_descriptor_is_left_open),
        ROW(the_real_helper_compiles_a_policy),
        ROW(the_real_helper_compiles_a_profile),
        ROW(the_real_helper_finds_a_user),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
