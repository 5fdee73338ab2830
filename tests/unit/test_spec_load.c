/* test_spec_load.c - the core's side of OCI bundles: from a document to its record, by the cache,
 * the helper and the helper's second word. Most tests have the built helper behind a script that
 * counts; the others a script that lies. */
#include <errno.h>
#include <linux/seccomp.h>
#include <sys/personality.h>
#include <unistd.h>

#include "base/fault.h"
#include "plan/spec.h"
#include "asked_scene.h"

enum { ARENA_CAP = 64 << 20 };

struct scene {
    char dir[32];
    char cache[48];
    char specs[64];
    char plans[64];
    struct cl_arena arena;
    struct cl_spec spec;
    struct cl_bytes bytes;
    struct cl_error err;
};

static void scene_init(struct scene *scene)
{
    char lines[512];

    *scene = (struct scene){.dir = "/tmp/cl-test-XXXXXX", .arena = CL_ARENA_INIT(ARENA_CAP)};
    CHECK(mkdtemp(scene->dir) != NULL);
    (void)snprintf(scene->cache, sizeof(scene->cache), "%s/cache", scene->dir);
    (void)snprintf(scene->specs, sizeof(scene->specs), "%s/specs", scene->cache);
    (void)snprintf(scene->plans, sizeof(scene->plans), "%s/plans", scene->cache);
    (void)snprintf(lines, sizeof(lines), "echo x >>%s/calls; exec %.300s/cloister-plan \"$@\"",
                   scene->dir, asked_real_helper());
    asked_fake_helper(scene->dir, lines);
}

static void scene_done(struct scene *scene)
{
    asked_remove(scene->dir);
    cl_arena_done(&scene->arena);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

static int load_fd(struct scene *scene, enum cl_spec_kind kind, int fd)
{
    const struct cl_spec_document document = {kind, fd, "a/c.json", scene->dir, scene->cache};

    scene->err = (struct cl_error){0};
    scene->spec = (struct cl_spec){.set = 0};
    return cl_spec_load(&document, &scene->arena, &scene->spec, &scene->bytes, &scene->err);
}

/* What is returned beside the record is its flat form. */
static void check_bytes(struct scene *scene)
{
    struct cl_spec back = {.set = 0};

    CHECK(cl_spec_read(&scene->bytes, &scene->arena, &back, &scene->err) == 0);
    CHECK(back.set == scene->spec.set);
    CHECK(back.seccomp.size == scene->spec.seccomp.size);
}

/* TEXT has ' for ". */
static int load(struct scene *scene, enum cl_spec_kind kind, const char *text)
{
    char *copy = cl_arena_strdup(&scene->arena, text);

    for (char *at = copy; *at != '\0'; at++) {
        if (*at == '\'')
            *at = '"';
    }
    CL_CLEANUP_FD int fd = asked_text_file(copy);
    int r = load_fd(scene, kind, fd);
    if (r == 0) {
        CHECK_TEXT(scene->err.msg, "");
        check_bytes(scene);
    }
    return r;
}

#define PROFILE                                                                                    \
    "{'defaultAction': 'SCMP_ACT_ERRNO', 'syscalls': [{'names': ['read'], 'action': "              \
    "'SCMP_ACT_ALLOW'}]}"
#define BUNDLE(name, profile)                                                                      \
    "{'ociVersion': '1.2.0', 'root': {'path': '" name "'}, 'linux': {'seccomp': " profile "}}"
#define PROCESS "{'cwd': '/', 'user': {'uid': 1, 'gid': 2}, 'args': ['a']}"

/* --- the cache ------------------------------------------------------------------------------- */

TEST(a_profile_becomes_a_program)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
    CHECK_TEXT(scene.spec.root, "r");
    CHECK(cl_spec_has(&scene.spec, CL_SPEC_SECCOMP) && scene.spec.seccomp.size > 64);
    CHECK(!cl_spec_has(&scene.spec, CL_SPEC_SECCOMP_PROFILE));
    CHECK(asked_calls(scene.dir) == 2);
    CHECK(asked_entries(scene.specs) == 1 && asked_entries(scene.plans) == 1);
}

TEST(the_same_document_starts_no_helper)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    for (int i = 0; i < 3; i++) {
        CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
        CHECK(scene.spec.seccomp.size > 64 && asked_calls(scene.dir) == 2);
    }
}

TEST(another_document_with_the_same_profile_compiles_nothing)
{
    static const char same[] = "{'syscalls': [ {'action': 'SCMP_ACT_ALLOW', 'names': ['read']} ],"
                               " 'defaultAction': 'SCMP_ACT_ERRNO'}";
    CL_CLEANUP_SCENE struct scene scene;
    char text[512];

    scene_init(&scene);
    CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
    const struct cl_bytes first = scene.spec.seccomp;
    CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("s", PROFILE)) == 0);
    CHECK_TEXT(scene.spec.root, "s");
    CHECK(asked_calls(scene.dir) == 3);
    (void)snprintf(text, sizeof(text), BUNDLE("t", "%s"), same);
    CHECK(load(&scene, CL_SPEC_CONFIG, text) == 0);
    CHECK(asked_calls(scene.dir) == 4);
    CHECK(scene.spec.seccomp.size == first.size &&
          memcmp(scene.spec.seccomp.data, first.data, first.size) == 0);
    CHECK(asked_entries(scene.specs) == 3 && asked_entries(scene.plans) == 1);
    /* and another profile does */
    CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("t", "{'defaultAction': 'SCMP_ACT_LOG'}")) == 0);
    CHECK(asked_calls(scene.dir) == 6 && asked_entries(scene.plans) == 2);
}

TEST(another_kernel_makes_both_stale)
{
    CL_CLEANUP_SCENE struct scene scene;
    int own = personality(0xffffffff);

    CHECK(own >= 0);
    scene_init(&scene);
    CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
    CHECK(personality((unsigned long)own | UNAME26) >= 0);
    CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
    CHECK(personality((unsigned long)own) >= 0);
    CHECK(asked_calls(scene.dir) == 4);
    CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
    CHECK(asked_calls(scene.dir) == 4);
}

TEST(another_build_of_the_helper_makes_both_stale)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    char path[64];

    scene_init(&scene);
    CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
    (void)snprintf(path, sizeof(path), "%s/cloister-plan", scene.dir);
    CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
    CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
    CHECK(asked_calls(scene.dir) == 4);
}

/* An empty object could be either of them, were it not for what is missing. */
TEST(documents_of_two_kinds_never_share_an_entry)
{
    static const char both[] = "{'cwd': '/', 'user': {'uid': 0, 'gid': 0}}";
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(load(&scene, CL_SPEC_PROCESS, both) == 0);
    CHECK(cl_spec_has(&scene.spec, CL_SPEC_CWD));
    CHECK(load(&scene, CL_SPEC_RESOURCES_OF, both) == 0);
    CHECK(!cl_spec_has(&scene.spec, CL_SPEC_CWD) && scene.spec.warnings.count == 2);
    CHECK(load(&scene, CL_SPEC_CONFIG, both) == -EINVAL);
    CHECK(asked_calls(scene.dir) == 3 && asked_entries(scene.specs) == 2);
}

TEST(a_damaged_entry_is_made_again)
{
    static const char *const damages[] = {":>$f", "echo junk >$f", "truncate -s -8 $f",
                                          "rm $f; mkfifo $f", "rm $f; ln -s /etc/passwd $f"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(damages); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        char command[256];

        scene_init(&scene);
        CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
        (void)snprintf(command, sizeof(command), "cd %s; for f in */*; do %s; done", scene.cache,
                       damages[i]);
        CHECK(system(command) == 0); // NOLINT(cert-env33-c)
        CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
        CHECK(scene.spec.seccomp.size > 64 && asked_calls(scene.dir) == 4);
        CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
        CHECK(asked_calls(scene.dir) == 4);
    }
}

TEST(no_cache_is_no_error)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    scene.cache[0] = '\0';
    for (int i = 0; i < 2; i++)
        CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
    CHECK(asked_calls(scene.dir) == 4);
}

/* --- documents -------------------------------------------------------------------------------- */

TEST(each_kind_is_its_own_document)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(load(&scene, CL_SPEC_PROCESS, PROCESS) == 0);
    CHECK(scene.spec.uid == 1 && scene.spec.gid == 2 && scene.spec.args.count == 1);
    CHECK(load(&scene, CL_SPEC_RESOURCES_OF, "{'pids': {'limit': 5}}") == 0);
    CHECK(scene.spec.resources.count == 1 && scene.spec.resources.items[0].value == 5);
    CHECK(load(&scene, CL_SPEC_CONFIG,
               "{'ociVersion': '1.0.0', 'root': {'path': 'r'}, 'process': " PROCESS "}") == 0);
    CHECK(scene.spec.uid == 1 && !cl_spec_has(&scene.spec, CL_SPEC_SECCOMP));
    CHECK(asked_calls(scene.dir) == 3);
}

TEST(a_pipe_is_read_to_its_end)
{
    static const char text[] = "{\"pids\": {\"limit\": 5}}";
    CL_CLEANUP_SCENE struct scene scene;
    int ends[2];

    scene_init(&scene);
    CHECK(cl_sys_pipe2(ends, 0) == 0);
    CHECK(cl_write_all(ends[1], text, sizeof(text) - 1) == 0);
    cl_fd_close(&ends[1]);
    CHECK(load_fd(&scene, CL_SPEC_RESOURCES_OF, ends[0]) == 0);
    CHECK(scene.spec.resources.count == 1);
    cl_fd_close(&ends[0]);
}

TEST(what_has_no_end_or_is_too_large_is_refused)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FD int large = cl_sys_memfd_create("large", MFD_CLOEXEC);
    CL_CLEANUP_FD int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    CL_CLEANUP_FD int directory = open("/", O_RDONLY | O_CLOEXEC);

    scene_init(&scene);
    CHECK(ftruncate(large, CL_SPEC_MAX_INPUT + 1) == 0);
    CHECK(load_fd(&scene, CL_SPEC_CONFIG, large) == -EFBIG);
    CHECK_TEXT(scene.err.msg, "a/c.json is larger than 4194304 bytes");
    CHECK(load_fd(&scene, CL_SPEC_CONFIG, zero) == -EINVAL);
    CHECK_TEXT(scene.err.msg, "a/c.json: neither a file nor a pipe");
    CHECK(load_fd(&scene, CL_SPEC_CONFIG, directory) == -EINVAL);
    CHECK(load_fd(&scene, CL_SPEC_CONFIG, -1) == -EBADF);
    CHECK(asked_calls(scene.dir) == 0);
}

/* Its record is as large. */
TEST(a_document_as_large_as_may_be_is_taken)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(CL_SPEC_MAX_INPUT);

    scene_init(&scene);
    CHECK(cl_buf_add_str(&text, "{'ociVersion': '1.0.0', 'root': {'path': 'r'},"
                                " 'annotations': {'a': '") == 0);
    CHECK(cl_buf_grow(&text, CL_SPEC_MAX_INPUT - text.size - 3) == 0);
    memset(memchr(text.data, '\0', text.size), 'x', CL_SPEC_MAX_INPUT - 3 - strlen(text.data));
    CHECK(cl_buf_add_str(&text, "'}}") == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(load(&scene, CL_SPEC_CONFIG, text.data) == 0);
        CHECK(scene.bytes.size > 4000000 && strlen(cl_spec_annotation(&scene.spec, "a")) > 4000000);
    }
    CHECK(asked_calls(scene.dir) == 1);
}

static const struct {
    enum cl_spec_kind kind;
    const char *text;
    const char *message;
} wrong[] = {
    {CL_SPEC_CONFIG, "{'ociVersion': '1.0.0'}", "a/c.json: root: is missing"},
    {CL_SPEC_CONFIG, "{'ociVersion': 1", "a/c.json:1:16: "},
    {CL_SPEC_CONFIG, "", "a/c.json:1:0: "},
    {CL_SPEC_PROCESS, "{'cwd': '/', 'user': {'uid': '0', 'gid': 0}}",
     "a/c.json: user.uid: expected integer, got string \"0\""},
    {CL_SPEC_RESOURCES_OF, "{'pids': {'limit': '5'}}",
     "a/c.json: pids.limit: expected integer, got string \"5\""},
    {CL_SPEC_CONFIG, BUNDLE("r", "{'defaultAction': 'SCMP_ACT_WAIT'}"),
     "a/c.json: linux.seccomp.defaultAction: unknown action \"SCMP_ACT_WAIT\""},
    {CL_SPEC_CONFIG, BUNDLE("r", "{}"), "a/c.json: linux.seccomp.defaultAction: is missing"},
};

TEST(what_is_wrong_with_a_document_is_told_and_kept_nowhere)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene);
        CHECK(load(&scene, wrong[i].kind, wrong[i].text) == -EINVAL);
        CHECK_HAS(scene.err.msg, wrong[i].message);
        CHECK(scene.spec.set == 0);
        CHECK(asked_entries(scene.specs) == 0 && asked_entries(scene.plans) == 0);
    }
}

TEST(what_the_record_has_no_room_for_is_refused)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(CL_SPEC_MAX_INPUT);

    scene_init(&scene);
    CHECK(cl_buf_add_str(&text, "{'cwd': '/', 'user': {'uid': 0, 'gid': 0,"
                                " 'additionalGids': [0") == 0);
    for (int i = 0; i < 65536; i++)
        CHECK(cl_buf_add_str(&text, ",1") == 0);
    CHECK(cl_buf_add_str(&text, "]}}") == 0);
    CHECK(load(&scene, CL_SPEC_PROCESS, text.data) == -EINVAL);
    CHECK_TEXT(scene.err.msg, "a/c.json: groups of the spec's record is out of bounds");
}

TEST(warnings_of_both_are_the_records)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    for (int i = 0; i < 2; i++) {
        CHECK(load(&scene, CL_SPEC_CONFIG,
                   "{'ociVersion': '1.2.0', 'root': {'path': 'r'}, 'new': 1, 'linux': {'seccomp':"
                   " {'defaultAction': 'SCMP_ACT_ERRNO', 'flags': ['SECCOMP_FILTER_FLAG_LOG'],"
                   " 'listenerPath': '/l', 'listenerMetadata': 'm', 'syscalls':"
                   " [{'names': ['no_such_call'], 'action': 'SCMP_ACT_NOTIFY'}]}}}") == 0);
        CHECK(scene.spec.warnings.count == 2);
        CHECK_TEXT(scene.spec.warnings.items[0], "new: unknown property; passed over");
        CHECK_HAS(scene.spec.warnings.items[1], "no_such_call");
        CHECK(scene.spec.seccomp_flags == SECCOMP_FILTER_FLAG_LOG);
        CHECK_TEXT(scene.spec.seccomp_listener, "/l");
        CHECK_TEXT(scene.spec.seccomp_metadata, "m");
    }
}

TEST(no_descriptor_is_left_open)
{
    CL_CLEANUP_SCENE struct scene scene;
    int before = check_count_fds();

    scene_init(&scene);
    CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
    CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", PROFILE)) == 0);
    CHECK(load(&scene, CL_SPEC_CONFIG, BUNDLE("r", "{}")) < 0);
    CHECK(check_count_fds() == before);
}

/* --- hostile helpers ------------------------------------------------------------------------- */

#define LEAST .version = "1.2.0", .root = "r"
#define LEAST_BITS (CL_SPEC_BIT(CL_SPEC_VERSION) | CL_SPEC_BIT(CL_SPEC_ROOT))
#define WHO .cwd = "/", .uid = 0, .gid = 0
#define WHO_BITS (CL_SPEC_BIT(CL_SPEC_CWD) | CL_SPEC_BIT(CL_SPEC_UID) | CL_SPEC_BIT(CL_SPEC_GID))

static const struct cl_spec_mount tmpfs = {"/a", "tmpfs", "", "", 0, 0, 0, 0, 0, 0, 0, 0};
static const struct cl_spec_resource outside = {CL_RESOURCE_UNIFIED, 0, 0, 0, "../../x", "1"};
static const uint64_t insns[1] = {6};

static const struct {
    const char *what;
    enum cl_spec_kind kind;
    struct cl_spec answer;
} lies[] = {
    {"a bundle without a root",
     CL_SPEC_CONFIG,
     {.set = CL_SPEC_BIT(CL_SPEC_VERSION), .version = "1.2.0"}},
    {"a bundle with a program",
     CL_SPEC_CONFIG,
     {.set = LEAST_BITS | CL_SPEC_BIT(CL_SPEC_SECCOMP), LEAST, .seccomp = {insns, sizeof(insns)}}},
    {"a bundle with a process of nobody",
     CL_SPEC_CONFIG,
     {.set = LEAST_BITS | CL_SPEC_BIT(CL_SPEC_CWD), LEAST, .cwd = "/"}},
    {"a bundle with privileges of nobody",
     CL_SPEC_CONFIG,
     {.set = LEAST_BITS | CL_SPEC_BIT(CL_SPEC_BOUNDING), LEAST}},
    {"a bundle that writes outside of its cgroup",
     CL_SPEC_CONFIG,
     {.set = LEAST_BITS | CL_SPEC_BIT(CL_SPEC_RESOURCES), LEAST, .resources = {&outside, 1}}},
    {"a process that mounts",
     CL_SPEC_PROCESS,
     {.set = WHO_BITS | CL_SPEC_BIT(CL_SPEC_MOUNTS), WHO, .mounts = {&tmpfs, 1}}},
    {"a process with a root",
     CL_SPEC_PROCESS,
     {.set = WHO_BITS | CL_SPEC_BIT(CL_SPEC_ROOT), WHO, .root = "/"}},
    {"a process with a label of mounts",
     CL_SPEC_PROCESS,
     {.set = WHO_BITS | CL_SPEC_BIT(CL_SPEC_MOUNT_LABEL), WHO, .mount_label = "l"}},
    {"a process without a user", CL_SPEC_PROCESS, {.set = CL_SPEC_BIT(CL_SPEC_CWD), .cwd = "/"}},
    {"an update with a program",
     CL_SPEC_RESOURCES_OF,
     {.set = CL_SPEC_BIT(CL_SPEC_RESOURCES) | CL_SPEC_BIT(CL_SPEC_SECCOMP),
      .seccomp = {insns, sizeof(insns)}}},
    {"an update of nothing", CL_SPEC_RESOURCES_OF, {.set = 0}},
};

/* A script that answers each verb with what lies in a file of its name. */
static void offer(struct scene *scene, const char *verb, const struct cl_spec *answer)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    char path[64];
    char lines[128];

    CHECK(cl_spec_write(answer, &buf, &scene->err) == 0);
    (void)snprintf(path, sizeof(path), "%s/%s", scene->dir, verb);
    asked_write_file(path, buf.data, buf.size, 0644);
    (void)snprintf(lines, sizeof(lines), "echo x >>%s/calls; cat %s/$1", scene->dir, scene->dir);
    asked_fake_helper(scene->dir, lines);
}

TEST(a_helper_can_not_say_what_its_document_can_not)
{
    static const char *const verbs[] = {"spec", "process", "resources"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(lies); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        int failures = check_failures;

        scene_init(&scene);
        offer(&scene, verbs[lies[i].kind], &lies[i].answer);
        CHECK(load(&scene, lies[i].kind, "{}") == -EBADMSG);
        CHECK_HAS(scene.err.msg, "cloister-plan answers with what a ");
        CHECK(asked_entries(scene.specs) == 0 && scene.spec.set == 0);
        if (check_failures != failures)
            printf("# %s\n", lies[i].what);
    }
}

static const struct {
    const char *what;
    struct cl_spec answer;
} programs[] = {
    {"no program", {.set = CL_SPEC_BIT(CL_SPEC_SECCOMP_FLAGS), .seccomp_flags = 2}},
    {"another profile",
     {.set = CL_SPEC_BIT(CL_SPEC_SECCOMP) | CL_SPEC_BIT(CL_SPEC_SECCOMP_PROFILE),
      .seccomp = {insns, sizeof(insns)},
      .profile = {insns, sizeof(insns)}}},
    {"a program and a root",
     {.set = CL_SPEC_BIT(CL_SPEC_SECCOMP) | CL_SPEC_BIT(CL_SPEC_ROOT),
      .seccomp = {insns, sizeof(insns)},
      .root = "/"}},
};

TEST(nor_can_it_with_a_profile)
{
    const struct cl_spec bundle = {.set = LEAST_BITS | CL_SPEC_BIT(CL_SPEC_SECCOMP_PROFILE),
                                   LEAST,
                                   .profile = {"{}      ", 8}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(programs); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene);
        offer(&scene, "filter", &programs[i].answer);
        offer(&scene, "spec", &bundle);
        CHECK(load(&scene, CL_SPEC_CONFIG, "{}") == -EBADMSG);
        CHECK_TEXT(scene.err.msg, "cloister-plan answers with what a filter can't say");
        CHECK(asked_entries(scene.specs) == 0 && asked_entries(scene.plans) == 0);
        CHECK(asked_calls(scene.dir) == 2);
    }
}

TEST(rubbish_is_no_record)
{
    static const char *const lines[] = {"exit 0", "echo hello", "head -c 100000 /dev/zero",
                                        "exec cat /dev/zero"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(lines); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene);
        asked_fake_helper(scene.dir, lines[i]);
        int r = load(&scene, CL_SPEC_CONFIG, "{}");
        CHECK(r == (i == 3 ? -EFBIG : -EBADMSG));
        CHECK(asked_entries(scene.specs) == 0);
    }
}

/* --- failures ------------------------------------------------------------------------------- */

/* One load with its Nth call or allocation failed; whether there was one. */
static int load_faulty(struct scene *scene, const char *what, unsigned int n)
{
    CL_CLEANUP_FD int fd = asked_text_file("{}");
    const int before = check_count_fds();
    char fault[32];

    asked_remove(scene->cache);
    cl_arena_done(&scene->arena);
    (void)snprintf(fault, sizeof(fault), "self:%s:%u", what, n);
    cl_fault_set(fault);
    int r = load_fd(scene, CL_SPEC_CONFIG, fd);
    const int struck = cl_fault_struck();
    cl_fault_set(NULL);
    CHECK(r == 0 ? scene->spec.seccomp.size == 8 : scene->spec.set == 0);
    CHECK((r < 0) == (scene->err.msg[0] != '\0') && (r == 0 || struck));
    CHECK(check_count_fds() == before);
    return struck;
}

/* What the cache can't do is done without it. */
TEST(what_fails_is_told_and_leaves_nothing_open)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    static const char *const kinds[] = {"syscall", "alloc"};
    const struct cl_spec bundle = {.set = LEAST_BITS | CL_SPEC_BIT(CL_SPEC_SECCOMP_PROFILE),
                                   LEAST,
                                   .profile = {"{}      ", 8}};
    const struct cl_spec filter = {.set = CL_SPEC_BIT(CL_SPEC_SECCOMP),
                                   .seccomp = {insns, sizeof(insns)}};
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    offer(&scene, "filter", &filter);
    offer(&scene, "spec", &bundle);
    for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
        unsigned int n = 1;

        while (load_faulty(&scene, kinds[i], n))
            n++;
        CHECK(n > 3);
    }
#endif
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_profile_becomes_a_program),
        ROW(the_same_document_starts_no_helper),
        ROW(another_document_with_the_same_profile_compiles_nothing),
        ROW(another_kernel_makes_both_stale),
        ROW(another_build_of_the_helper_makes_both_stale),
        ROW(documents_of_two_kinds_never_share_an_entry),
        ROW(a_damaged_entry_is_made_again),
        ROW(no_cache_is_no_error),
        ROW(each_kind_is_its_own_document),
        ROW(a_pipe_is_read_to_its_end),
        ROW(what_has_no_end_or_is_too_large_is_refused),
        ROW(a_document_as_large_as_may_be_is_taken),
        ROW(what_is_wrong_with_a_document_is_told_and_kept_nowhere),
        ROW(what_the_record_has_no_room_for_is_refused),
        ROW(warnings_of_both_are_the_records),
        ROW(no_descriptor_is_left_open),
        ROW(a_helper_can_not_say_what_its_document_can_not),
        ROW(nor_can_it_with_a_profile),
        ROW(rubbish_is_no_record),
        ROW(what_fails_is_told_and_leaves_nothing_open),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
