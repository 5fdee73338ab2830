/* test_spec_config.c - an OCI bundle's whole: its version, its root and its names, hooks, and what
 * engines and runtimes write. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>

#include "base/fd.h"
#include "spec_scene.h"

static const uint64_t least = CL_SPEC_BIT(CL_SPEC_VERSION) | CL_SPEC_BIT(CL_SPEC_ROOT);

TEST(a_bundle_needs_a_version_and_a_root)
{
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(spec_parse(&scene, CL_SPEC_CONFIG, SPEC_CONFIG("")) == 0);
    CHECK(scene.spec.set == least);
    CHECK_TEXT(scene.spec.version, "1.2.0");
    CHECK_TEXT(scene.spec.root, "r");
}

TEST(names_and_notes_are_as_they_stand)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const struct cl_spec *spec = &scene.spec;

    CHECK(spec_parse(&scene, CL_SPEC_CONFIG,
                     "{'ociVersion': '1.0.2-dev', 'root': {'path': '/r', 'readonly': true},"
                     " 'hostname': 'h', 'domainname': 'd.test',"
                     " 'annotations': {'a': 'b', 'c': ''},"
                     " 'linux': {'namespaces': [{'type': 'uts'}]}}") == 0);
    CHECK_TEXT(spec->version, "1.0.2-dev");
    CHECK_TEXT(spec->root, "/r");
    CHECK(spec->root_readonly == 1);
    CHECK_TEXT(spec->hostname, "h");
    CHECK_TEXT(spec->domainname, "d.test");
    CHECK(spec->annotations.count == 4);
    CHECK_TEXT(cl_spec_annotation(spec, "a"), "b");
    CHECK_TEXT(cl_spec_annotation(spec, "c"), "");
    CHECK(cl_spec_annotation(spec, "b") == NULL);
    spec_scene_done(&scene);
    CHECK(spec_parse(&scene, CL_SPEC_CONFIG,
                     SPEC_CONFIG(", 'hostname': '', 'domainname': '', 'annotations': {},"
                                 " 'mounts': [], 'hooks': {}, 'linux': {}, 'process': null")) == 0);
    CHECK(spec->set == least);
}

static const char *const versions[] = {
    "1.0.0",        "1.0.2-dev", "1.2.1",        "1.3.0-rc.1",   "1.99.0+build.7",
    "1.0.0-rc1+5a", "1.10.10",   "1.2.0---.-.0", "1.2.3+0-0.01",
};

TEST(each_version_of_1_is_taken)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(versions); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        char text[128];

        (void)snprintf(text, sizeof(text), "{'ociVersion': '%s', 'root': {'path': 'r'}}",
                       versions[i]);
        CHECK(spec_parse(&scene, CL_SPEC_CONFIG, text) == 0);
        CHECK_TEXT(scene.spec.version, versions[i]);
    }
}

static const struct {
    const char *version;
    const char *message;
} wrong_versions[] = {
    {"0.5.0", "0.5.0 isn't spoken here, only 1.0.0 and later ones of 1"},
    {"2.0.0", "2.0.0 isn't spoken here, only 1.0.0 and later ones of 1"},
    {"10.0.0", "10.0.0 isn't spoken here, only 1.0.0 and later ones of 1"},
    {"", "expected a version like 1.2.0, got \"\""},
    {"1", "expected a version like 1.2.0, got \"1\""},
    {"1.2", "expected a version like 1.2.0, got \"1.2\""},
    {"1.2.", "expected a version like 1.2.0, got \"1.2.\""},
    {"1.2.0.1", "expected a version like 1.2.0, got \"1.2.0.1\""},
    {"v1.2.0", "expected a version like 1.2.0, got \"v1.2.0\""},
    {"1.02.0", "expected a version like 1.2.0, got \"1.02.0\""},
    {"1.2.0-", "expected a version like 1.2.0, got \"1.2.0-\""},
    {"1.2.0+", "expected a version like 1.2.0, got \"1.2.0+\""},
    {"1.2.0-a..b", "expected a version like 1.2.0, got \"1.2.0-a..b\""},
    {"1.2.0-a_b", "expected a version like 1.2.0, got \"1.2.0-a_b\""},
    {"1.2.0 ", "expected a version like 1.2.0, got \"1.2.0 \""},
};

TEST(other_versions_are_refused)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong_versions); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        char text[128];
        char message[128];

        (void)snprintf(text, sizeof(text), "{'ociVersion': '%s', 'root': {'path': 'r'}}",
                       wrong_versions[i].version);
        (void)snprintf(message, sizeof(message), "d: ociVersion: %s", wrong_versions[i].message);
        CHECK(spec_parse(&scene, CL_SPEC_CONFIG, text) == -EINVAL);
        CHECK_TEXT(scene.err.msg, message);
    }
}

/* --- hooks --------------------------------------------------------------------------------- */

TEST(hooks_lie_in_the_order_of_their_kinds)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const struct cl_spec_hook *hooks;

    CHECK(spec_parse(&scene, CL_SPEC_CONFIG,
                     SPEC_CONFIG(", 'hooks': {'poststop': [{'path': '/f'}],"
                                 " 'prestart': [{'path': '/a', 'args': ['x', 'y'], 'env': ['A=b'],"
                                 " 'timeout': 5}, {'path': '/b'}],"
                                 " 'createRuntime': [{'path': '/c', 'args': [], 'env': []}],"
                                 " 'createContainer': [{'path': '/d'}],"
                                 " 'startContainer': [{'path': '/e', 'timeout': 4294967295}],"
                                 " 'poststart': []}")) == 0);
    CHECK(scene.spec.hooks.count == 6 && scene.spec.hook_words.count == 8);
    hooks = scene.spec.hooks.items;
    CHECK(hooks[0].kind == CL_HOOK_PRESTART && hooks[0].timeout_s == 5);
    CHECK_TEXT(hooks[0].path, "/a");
    CHECK(hooks[0].args.count == 2 && hooks[0].env.count == 1);
    CHECK_TEXT(hooks[0].args.items[0], "x");
    CHECK_TEXT(hooks[0].args.items[1], "y");
    CHECK_TEXT(hooks[0].env.items[0], "A=b");
    CHECK_TEXT(hooks[1].path, "/b");
    CHECK(hooks[1].kind == CL_HOOK_PRESTART && hooks[1].timeout_s == 0);
    /* a program has a first word even so */
    CHECK(hooks[1].args.count == 1 && hooks[1].env.count == 0);
    CHECK_TEXT(hooks[1].args.items[0], "/b");
    CHECK(hooks[2].kind == CL_HOOK_CREATE_RUNTIME && hooks[3].kind == CL_HOOK_CREATE_CONTAINER);
    CHECK(hooks[4].kind == CL_HOOK_START_CONTAINER && hooks[4].timeout_s == UINT32_MAX);
    CHECK(hooks[5].kind == CL_HOOK_POSTSTOP && !cl_spec_has_hook(&scene.spec, CL_HOOK_POSTSTART));
}

#define HOOK(rest) SPEC_CONFIG(", 'hooks': {'poststart': [{" rest "}]}")

static const struct spec_refusal wrong[] = {
    {"{}", "d: ociVersion: is missing"},
    {"[]", "d: expected object, got array"},
    {"", "d:1:0: '[' or '{' expected near end of file"},
    {"{'ociVersion': '1.2.0'}", "d: root: is missing"},
    {"{'ociVersion': 1, 'root': {'path': 'r'}}", "d: ociVersion: expected string, got integer"},
    {"{'ociVersion': '1.2.0', 'root': {}}", "d: root.path: is missing"},
    {"{'ociVersion': '1.2.0', 'root': {'path': ''}}", "d: root.path: is empty"},
    {"{'ociVersion': '1.2.0', 'root': 'r'}", "d: root: expected object, got string \"r\""},
    {"{'ociVersion': '1.2.0', 'root': {'path': 'r', 'readonly': 'yes'}}",
     "d: root.readonly: expected boolean, got string \"yes\""},
    {SPEC_CONFIG(", 'hostname': 'h'"),
     "d: hostname: needs a namespace of type uts in linux.namespaces"},
    {SPEC_CONFIG(", 'domainname': 'h', 'linux': {'namespaces': [{'type': 'pid'}]}"),
     "d: domainname: needs a namespace of type uts in linux.namespaces"},
    {SPEC_CONFIG(", 'hostname': 5"), "d: hostname: expected string, got integer"},
    {SPEC_CONFIG(", 'domainname': []"), "d: domainname: expected string, got array"},
    {SPEC_CONFIG(", 'hostname':"
                 " '1234567890123456789012345678901234567890123456789012345678901234x'"),
     "d: hostname: more than 64 bytes"},
    {SPEC_CONFIG(", 'annotations': []"), "d: annotations: expected object, got array"},
    {SPEC_CONFIG(", 'annotations': {'a': 1}"), "d: annotations.a: expected string, got integer"},
    {SPEC_CONFIG(", 'annotations': {'': 'a'}"), "d: annotations: has an empty key"},
    {SPEC_CONFIG(", 'process': []"), "d: process: expected object, got array"},
    {SPEC_CONFIG(", 'process': {}"), "d: process.user: is missing"},
    {SPEC_CONFIG(", 'hooks': []"), "d: hooks: expected object, got array"},
    {SPEC_CONFIG(", 'hooks': {'poststop': {}}"), "d: hooks.poststop: expected array, got object"},
    {HOOK("'args': ['a']"), "d: hooks.poststart[0].path: is missing"},
    {HOOK("'path': 'a'"), "d: hooks.poststart[0].path: expected an absolute path, got \"a\""},
    {HOOK("'path': '/a', 'args': 'a'"),
     "d: hooks.poststart[0].args: expected array of strings, got string \"a\""},
    {HOOK("'path': '/a', 'env': [1]"),
     "d: hooks.poststart[0].env[0]: expected string, got integer"},
    {HOOK("'path': '/a', 'timeout': 0"),
     "d: hooks.poststart[0].timeout: expected 1 to 4294967295, got 0"},
    {HOOK("'path': '/a', 'timeout': -1"),
     "d: hooks.poststart[0].timeout: expected 1 to 4294967295, got -1"},
    {HOOK("'path': '/a', 'timeout': '5'"),
     "d: hooks.poststart[0].timeout: expected integer, got string \"5\""},
    {SPEC_CONFIG(", 'root': {'path': 'r'}"), "d:1:53: duplicate object key near '\"root\"'"},
    {SPEC_CONFIG(", 'Root': {'path': 'x'}"), "d: Root: unknown key; write it as root"},
};

TEST(what_can_not_be_is_told_where_and_why)
{
    spec_check_refusals(CL_SPEC_CONFIG, wrong, CL_ARRAY_SIZE(wrong));
}

TEST(other_platforms_parts_and_unknown_ones_are_told)
{
    static const char *const platforms[] = {"windows", "solaris", "zos", "vm"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(platforms); i++) {
        char text[128];
        char warning[128];

        (void)snprintf(text, sizeof(text), SPEC_CONFIG(", '%s': {'a': 1}"), platforms[i]);
        (void)snprintf(warning, sizeof(warning),
                       "%s: is for another platform than Linux; passed over", platforms[i]);
        spec_check_warning(CL_SPEC_CONFIG, text, warning);
    }
    spec_check_warning(CL_SPEC_CONFIG, SPEC_CONFIG(", 'x': 1"), "x: unknown property; passed over");
    spec_check_warning(CL_SPEC_CONFIG, SPEC_CONFIG(", 'hooks': {'x': 1}"),
                       "hooks.x: unknown property; passed over");
    spec_check_warning(CL_SPEC_CONFIG, HOOK("'path': '/a', 'x': 1"),
                       "hooks.poststart[0].x: unknown property; passed over");
}

TEST(warnings_are_as_many_as_the_record_has_room_for)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(cl_buf_add_str(&buf, "{'ociVersion': '1.2.0', 'root': {'path': 'r'}") == 0);
    for (int i = 0; i < 100; i++)
        CHECK(cl_buf_printf(&buf, ", 'x%d': 1", i) == 0);
    CHECK(cl_buf_add_str(&buf, "}") == 0);
    CHECK(spec_parse(&scene, CL_SPEC_CONFIG, buf.data) == 0);
    CHECK(scene.spec.warnings.count == CL_SPEC_MAX_WARNINGS);
    CHECK_TEXT(scene.spec.warnings.items[CL_SPEC_MAX_WARNINGS - 1], "69 more warnings");
}

/* --- what others write ----------------------------------------------------------------------- */

static void read_seed(const char *name, struct cl_buf *buf)
{
    char path[512];
    struct cl_error err = {0};

    (void)snprintf(path, sizeof(path), "%s/tests/fuzz/seeds/fuzz_spec/%s", CL_TEST_SOURCES, name);
    CL_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && cl_read_all(fd, name, buf, &err) == 0);
}

TEST(what_an_engine_writes_is_taken_without_a_word)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
    CL_CLEANUP_SPEC struct spec_scene scene = {.arena = CL_ARENA_INIT(64 << 20)};
    const struct cl_spec *spec = &scene.spec;

    read_seed("engine.json", &text);
    const struct cl_document document = {"d", cl_buf_text(&text), text.size};
    CHECK(cl_spec_parse(CL_SPEC_CONFIG, &document, &scene.arena, &scene.spec, &scene.err) == 0);
    CHECK_TEXT(scene.err.msg, "");
    spec_check_back(&scene);
    CHECK(!cl_spec_has(spec, CL_SPEC_WARNINGS) && cl_spec_has(spec, CL_SPEC_SECCOMP_PROFILE));
    CHECK(spec->mounts.count == 10 && spec->namespaces.count == 6 && spec->device_rules.count == 5);
    CHECK(spec->bounding == spec->permitted && spec->bounding == 0xa80425fb);
    CHECK(spec->rlimits.items[1].hard == UINT64_MAX);
    CHECK(cl_spec_namespace(spec, CLONE_NEWUSER) == NULL);
    CHECK_TEXT(spec->mounts.items[1].options, "mode=755,size=65536k");
}

/* Each field of the record that a bundle can set is set by one of the two. */
TEST(no_field_is_left_out)
{
    static const char *const seeds[] = {"engine.json", "rare.json"};
    const uint64_t all = CL_SPEC_BIT(CL_SPEC_FIELD_COUNT) - 1;
    const uint64_t of_programs = CL_SPEC_BIT(CL_SPEC_SECCOMP) | CL_SPEC_BIT(CL_SPEC_SECCOMP_FLAGS) |
                                 CL_SPEC_BIT(CL_SPEC_SECCOMP_LISTENER) |
                                 CL_SPEC_BIT(CL_SPEC_SECCOMP_METADATA);
    uint64_t set = 0;

    for (size_t i = 0; i < CL_ARRAY_SIZE(seeds); i++) {
        CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
        CL_CLEANUP_SPEC struct spec_scene scene = {.arena = CL_ARENA_INIT(64 << 20)};

        read_seed(seeds[i], &text);
        const struct cl_document document = {"d", cl_buf_text(&text), text.size};
        CHECK(cl_spec_parse(CL_SPEC_CONFIG, &document, &scene.arena, &scene.spec, &scene.err) == 0);
        CHECK_TEXT(scene.err.msg, "");
        spec_check_back(&scene);
        set |= scene.spec.set;
    }
    CHECK(set == (all & ~of_programs));
}

/* However little there is: an error, and no half of a record. */
TEST(without_memory_there_is_no_record)
{
    static const char *const seeds[] = {"engine.json", "rare.json"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(seeds); i++) {
        CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
        size_t cap = 0;
        int r = -ENOMEM;

        read_seed(seeds[i], &text);
        const struct cl_document document = {"d", cl_buf_text(&text), text.size};
        for (; r < 0 && cap < 1 << 20; cap += 400) {
            CL_CLEANUP_SPEC struct spec_scene scene = {.arena = CL_ARENA_INIT(cap)};

            r = cl_spec_parse(CL_SPEC_CONFIG, &document, &scene.arena, &scene.spec, &scene.err);
            CHECK(r == 0 || (r == -ENOMEM && scene.spec.set == 0 && scene.err.code == ENOMEM));
        }
        CHECK(r == 0 && cap > 4000);
    }
}

/* What a runtime writes for a new bundle; the benchmarks' hosts have two. */
static void check_runtime(const char *runtime)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
    CL_CLEANUP_SPEC struct spec_scene scene = {.arena = CL_ARENA_INIT(64 << 20)};
    char dir[] = "/tmp/cl-test-XXXXXX";
    char command[128];
    char path[64];

    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(command, sizeof(command), "cd %s && %s spec", dir, runtime);
    CHECK(system(command) == 0); // NOLINT(cert-env33-c): a directory of our own
    (void)snprintf(path, sizeof(path), "%s/config.json", dir);
    CL_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && cl_read_all(fd, path, &text, &scene.err) == 0);
    const struct cl_document document = {"d", cl_buf_text(&text), text.size};
    CHECK(cl_spec_parse(CL_SPEC_CONFIG, &document, &scene.arena, &scene.spec, &scene.err) == 0);
    CHECK_TEXT(scene.err.msg, "");
    spec_check_back(&scene);
    CHECK(!cl_spec_has(&scene.spec, CL_SPEC_WARNINGS));
    CHECK(scene.spec.mounts.count > 5 && scene.spec.args.count == 1);
    CHECK(unlink(path) == 0 && rmdir(dir) == 0);
}

TEST(what_runtimes_write_is_taken_without_a_word)
{
    static const char *const runtimes[] = {"crun", "runc"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(runtimes); i++) {
        char command[64];

        (void)snprintf(command, sizeof(command), "command -v %s >/dev/null", runtimes[i]);
        if (system(command) == 0) // NOLINT(cert-env33-c)
            check_runtime(runtimes[i]);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_bundle_needs_a_version_and_a_root),
        ROW(names_and_notes_are_as_they_stand),
        ROW(each_version_of_1_is_taken),
        ROW(other_versions_are_refused),
        ROW(hooks_lie_in_the_order_of_their_kinds),
        ROW(what_can_not_be_is_told_where_and_why),
        ROW(other_platforms_parts_and_unknown_ones_are_told),
        ROW(warnings_are_as_many_as_the_record_has_room_for),
        ROW(what_an_engine_writes_is_taken_without_a_word),
        ROW(no_field_is_left_out),
        ROW(without_memory_there_is_no_record),
        ROW(what_runtimes_write_is_taken_without_a_word),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
