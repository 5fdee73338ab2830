/* test_spec.c - the record of an OCI runtime configuration: what is written is read, and what
 * contradicts itself, is cut or is damaged is refused. */
#include <errno.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "plan/spec.h"
#include "check.h"

enum { ARENA_CAP = 64 << 20 };

#define LIST(...)                                                                                  \
    {                                                                                              \
        (const char *const[]){__VA_ARGS__}, CL_ARRAY_SIZE(((const char *const[]){__VA_ARGS__}))    \
    }
#define ITEMS(type, ...)                                                                           \
    {                                                                                              \
        (const struct type[]){__VA_ARGS__}, CL_ARRAY_SIZE(((const struct type[]){__VA_ARGS__}))    \
    }

static const uint64_t words[2] = {6, 7};

/* Each field is set. */
#define WHOLE                                                                                      \
    {                                                                                              \
        .set = CL_SPEC_BIT(CL_SPEC_FIELD_COUNT) - 1, .version = "1.2.0", .hostname = "h",          \
        .domainname = "d", .args = LIST("a", ""), .env = LIST("A=b"), .cwd = "/", .uid = 1,        \
        .gid = UINT32_MAX - 1, .groups = {(const uint32_t[]){1, 2, 3}, 3}, .umask = 022,           \
        .terminal = 1, .rows = 24, .columns = 80, .no_new_privileges = 1, .bounding = 1,           \
        .effective = 2, .inheritable = 4, .permitted = 8, .ambient = CL_CAP_MASK,                  \
        .rlimits = ITEMS(cl_plan_rlimit, {7, 1, UINT64_MAX}, {4, 0, 0}), .apparmor = "p",          \
        .selinux = "l", .mount_label = "m", .oom_score = 2000, .io_priority = 2 << 13 | 7,         \
        .scheduler = ITEMS(cl_spec_scheduler, {1, 2, -20, 3, 4, 5, 6}), .affinity_initial = "0",   \
        .affinity_final = "1", .personality = 8, .root = "r", .root_readonly = 1,                  \
        .mounts = ITEMS(                                                                           \
            cl_spec_mount, {"/a", "", "s", "", CL_SPEC_BIND, MS_SLAVE | MS_REC, 1, 2, 3, 4, 1, 1}, \
            {"/b", "tmpfs", "", "size=1,mode=2", CL_SPEC_TMPCOPYUP, 0, 0, 0, 0, 0, 0, 0}),         \
        .mount_maps = ITEMS(cl_spec_map, {0, 1, 2}, {3, 4, 5}),                                    \
        .namespaces = ITEMS(cl_spec_namespace, {CLONE_NEWPID, ""}, {CLONE_NEWTIME, "/n"}),         \
        .uid_maps = ITEMS(cl_spec_map, {6, 7, 8}),                                                 \
        .gid_maps = ITEMS(cl_spec_map, {9, 10, UINT32_MAX}),                                       \
        .time_offsets = ITEMS(cl_spec_offset, {1, 999999999, INT64_MIN}, {7, 0, INT64_MAX}),       \
        .devices = ITEMS(cl_spec_device, {"/dev/a", S_IFCHR, 1, 3, 0666, 5, 6}),                   \
        .device_rules = ITEMS(cl_spec_rule, {1, 'a', 7, CL_SPEC_ANY, UINT32_MAX}),                 \
        .cgroups_path = "c",                                                                       \
        .resources = ITEMS(cl_spec_resource, {CL_RESOURCE_MEMORY_LIMIT, 0, 0, -1, "", ""},         \
                           {CL_RESOURCE_UNIFIED, 1, 2, INT64_MIN, "n", "t"}),                      \
        .profile = {"{}      ", 8}, .seccomp = {words, sizeof(words)}, .seccomp_flags = 2,         \
        .seccomp_listener = "/l", .seccomp_metadata = "x", .sysctls = LIST("k", "v"),              \
        .masked = LIST("/m", "/n"), .readonly = LIST("/o"), .propagation = MS_PRIVATE,             \
        .intel_rdt = LIST("closID", "c"),                                                          \
        .hooks = ITEMS(cl_spec_hook, {CL_HOOK_PRESTART, 0, "/h", {NULL, 1}, {NULL, 0}},            \
                       {CL_HOOK_POSTSTOP, 9, "/i", {NULL, 2}, {NULL, 1}}),                         \
        .hook_words = LIST("h", "i", "", "A=b"), .annotations = LIST("a", "", "b", "c"),           \
        .warnings = LIST("w"),                                                                     \
    }

static int write_spec(const struct cl_spec *spec, struct cl_buf *buf)
{
    struct cl_error err = {0};
    int r = cl_spec_write(spec, buf, &err);

    CHECK_TEXT(err.msg, "");
    return r;
}

static int read_spec(const void *data, size_t size, struct cl_arena *arena, struct cl_spec *ret)
{
    const struct cl_bytes bytes = {data, size};
    struct cl_error err = {0};
    int r = cl_spec_read(&bytes, arena, ret, &err);

    CHECK((r < 0) == (err.code != 0) && (r == 0 || r == -EBADMSG));
    return r;
}

static void check_process(const struct cl_spec *spec)
{
    const struct cl_spec_scheduler *scheduler = spec->scheduler.items;

    CHECK(spec->args.count == 2 && spec->groups.count == 3 && spec->groups.items[2] == 3);
    CHECK_TEXT(spec->args.items[1], "");
    CHECK_TEXT(spec->env.items[0], "A=b");
    CHECK(spec->gid == UINT32_MAX - 1 && spec->ambient == CL_CAP_MASK && spec->columns == 80);
    CHECK(spec->rlimits.count == 2 && spec->rlimits.items[0].resource == 7);
    CHECK(spec->rlimits.items[0].hard == UINT64_MAX && spec->oom_score == 2000);
    CHECK(scheduler->policy == 1 && scheduler->priority == 2 && scheduler->nice == -20);
    CHECK(scheduler->flags == 3 && scheduler->runtime_ns == 4 && scheduler->deadline_ns == 5);
    CHECK(scheduler->period_ns == 6);
    CHECK_TEXT(spec->affinity_final, "1");
}

static void check_tree(const struct cl_spec *spec)
{
    const struct cl_spec_mount *mount = spec->mounts.items;

    CHECK(spec->mounts.count == 2 && spec->mount_maps.count == 2);
    CHECK_TEXT(mount[0].target, "/a");
    CHECK_TEXT(mount[0].type, "");
    CHECK_TEXT(mount[0].source, "s");
    CHECK_TEXT(mount[1].options, "size=1,mode=2");
    CHECK(mount[0].flags == CL_SPEC_BIND && mount[0].propagation == (MS_SLAVE | MS_REC));
    CHECK(mount[0].set == 1 && mount[0].clear == 2 && mount[0].deep_set == 3);
    CHECK(mount[0].deep_clear == 4 && mount[0].uid_maps == 1 && mount[0].gid_maps == 1);
    CHECK(spec->mount_maps.items[1].inside == 3 && spec->mount_maps.items[1].size == 5);
    CHECK_TEXT(cl_spec_namespace(spec, CLONE_NEWTIME)->path, "/n");
    CHECK(spec->gid_maps.items[0].size == UINT32_MAX && spec->uid_maps.items[0].outside == 7);
    CHECK(spec->time_offsets.items[0].seconds == INT64_MIN);
    CHECK(spec->time_offsets.items[0].nanoseconds == 999999999);
    CHECK(spec->devices.items[0].minor == 3 && spec->devices.items[0].gid == 6);
    CHECK_TEXT(spec->devices.items[0].path, "/dev/a");
}

static void check_rest(const struct cl_spec *spec)
{
    const struct cl_spec_hook *hooks = spec->hooks.items;

    CHECK(spec->device_rules.items[0].major == -1);
    CHECK(spec->device_rules.items[0].minor == UINT32_MAX);
    CHECK(spec->resources.items[0].value == -1 && spec->resources.items[1].value == INT64_MIN);
    CHECK(spec->resources.items[1].what == CL_RESOURCE_UNIFIED);
    CHECK_TEXT(spec->resources.items[1].name, "n");
    CHECK_TEXT(spec->resources.items[1].text, "t");
    CHECK(spec->seccomp.size == 16 && memcmp(spec->seccomp.data, words, 16) == 0);
    CHECK(spec->hooks.count == 2 && hooks[0].args.count == 1 && hooks[0].env.count == 0);
    CHECK_TEXT(hooks[0].args.items[0], "h");
    CHECK(hooks[1].args.count == 2 && hooks[1].timeout_s == 9 && hooks[1].env.count == 1);
    CHECK_TEXT(hooks[1].args.items[0], "i");
    CHECK_TEXT(hooks[1].env.items[0], "A=b");
    CHECK_TEXT(cl_spec_annotation(spec, "b"), "c");
    CHECK(cl_spec_has_hook(spec, CL_HOOK_POSTSTOP) && !cl_spec_has_hook(spec, CL_HOOK_POSTSTART));
}

TEST(what_is_written_is_read)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    const struct cl_spec whole = WHOLE;
    struct cl_spec back = {.set = 0};

    CHECK(write_spec(&whole, &buf) == 0);
    CHECK(read_spec(buf.data, buf.size, &arena, &back) == 0);
    CHECK(back.set == whole.set);
    check_process(&back);
    check_tree(&back);
    check_rest(&back);
}

TEST(each_field_stands_alone)
{
    const struct cl_spec whole = WHOLE;

    for (unsigned int field = 0; field < CL_SPEC_FIELD_COUNT; field++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
        struct cl_spec one = whole;
        struct cl_spec back = {.set = 0};
        /* these four have something to do with another one */
        const int is_bound = field == CL_SPEC_MOUNTS || field == CL_SPEC_MOUNT_MAPS ||
                             field == CL_SPEC_HOOKS || field == CL_SPEC_HOOK_WORDS;

        one.set = CL_SPEC_BIT(field);
        CHECK(write_spec(&one, &buf) == 0);
        CHECK((read_spec(buf.data, buf.size, &arena, &back) == 0) == !is_bound);
        CHECK(back.set == (is_bound ? 0 : one.set));
    }
}

TEST(a_record_that_is_cut_is_none)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    const struct cl_spec whole = WHOLE;

    CHECK(write_spec(&whole, &buf) == 0);
    for (size_t size = 0; size < buf.size; size++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
        struct cl_spec back = {.set = 0};

        CHECK(read_spec(buf.data, size, &arena, &back) == -EBADMSG && back.set == 0);
    }
}

/* A flipped bit is another value, or none: what reads, writes as the same bytes. */
TEST(a_record_with_a_flipped_bit_is_another_or_none)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    const struct cl_spec whole = WHOLE;
    size_t others = 0;

    CHECK(write_spec(&whole, &buf) == 0);
    for (size_t bit = 0; bit < buf.size * 8; bit++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
        CL_CLEANUP_BUF struct cl_buf again = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
        struct cl_spec back = {.set = 0};

        buf.data[bit / 8] = (char)(buf.data[bit / 8] ^ 1 << bit % 8);
        if (read_spec(buf.data, buf.size, &arena, &back) == 0) {
            CHECK(write_spec(&back, &again) == 0);
            CHECK(again.size == buf.size && memcmp(again.data, buf.data, buf.size) == 0);
            others++;
        }
        buf.data[bit / 8] = (char)(buf.data[bit / 8] ^ 1 << bit % 8);
    }
    CHECK(others > buf.size && others < buf.size * 8);
}

/* --- what contradicts itself ----------------------------------------------------------------- */

static const struct {
    const char *what;
    struct cl_spec spec;
} wrong[] = {
    {"a relative cwd", {.set = CL_SPEC_BIT(CL_SPEC_CWD), .cwd = "a"}},
    {"a limit twice",
     {.set = CL_SPEC_BIT(CL_SPEC_RLIMITS), .rlimits = ITEMS(cl_plan_rlimit, {7, 1, 1}, {7, 1, 1})}},
    {"a limit that is none",
     {.set = CL_SPEC_BIT(CL_SPEC_RLIMITS), .rlimits = ITEMS(cl_plan_rlimit, {16, 1, 1})}},
    {"a relative mount",
     {.set = CL_SPEC_BIT(CL_SPEC_MOUNTS),
      .mounts = ITEMS(cl_spec_mount, {"a", "t", "", "", 0, 0, 0, 0, 0, 0, 0, 0})}},
    {"a mount with maps that aren't there",
     {.set = CL_SPEC_BIT(CL_SPEC_MOUNTS),
      .mounts = ITEMS(cl_spec_mount, {"/a", "t", "", "", 0, 0, 0, 0, 0, 0, 0, 1})}},
    {"counts of maps that add up by overflow",
     {.set = CL_SPEC_BIT(CL_SPEC_MOUNTS),
      .mounts = ITEMS(cl_spec_mount, {"/a", "t", "", "", 0, 0, 0, 0, 0, 0, UINT32_MAX, UINT32_MAX},
                      {"/a", "t", "", "", 0, 0, 0, 0, 0, 0, 1, 1})}},
    {"maps of no mount",
     {.set = CL_SPEC_BIT(CL_SPEC_MOUNT_MAPS), .mount_maps = ITEMS(cl_spec_map, {1, 2, 3})}},
    {"a namespace twice",
     {.set = CL_SPEC_BIT(CL_SPEC_NAMESPACES),
      .namespaces = ITEMS(cl_spec_namespace, {CLONE_NEWPID, ""}, {CLONE_NEWPID, "/a"})}},
    {"two namespaces in one",
     {.set = CL_SPEC_BIT(CL_SPEC_NAMESPACES),
      .namespaces = ITEMS(cl_spec_namespace, {CLONE_NEWPID | CLONE_NEWNS, ""})}},
    {"a namespace of no kind",
     {.set = CL_SPEC_BIT(CL_SPEC_NAMESPACES), .namespaces = ITEMS(cl_spec_namespace, {0, ""})}},
    {"a thread",
     {.set = CL_SPEC_BIT(CL_SPEC_NAMESPACES),
      .namespaces = ITEMS(cl_spec_namespace, {CLONE_VM, ""})}},
    {"a relative namespace",
     {.set = CL_SPEC_BIT(CL_SPEC_NAMESPACES),
      .namespaces = ITEMS(cl_spec_namespace, {CLONE_NEWPID, "a"})}},
    {"a relative device",
     {.set = CL_SPEC_BIT(CL_SPEC_DEVICES),
      .devices = ITEMS(cl_spec_device, {"a", S_IFCHR, 1, 3, 0666, 0, 0})}},
    {"a relative masked path", {.set = CL_SPEC_BIT(CL_SPEC_MASKED), .masked = LIST("/a", "b")}},
    {"a relative read-only path", {.set = CL_SPEC_BIT(CL_SPEC_READONLY), .readonly = LIST("")}},
    {"half a sysctl", {.set = CL_SPEC_BIT(CL_SPEC_SYSCTLS), .sysctls = LIST("a", "b", "c")}},
    {"half an annotation", {.set = CL_SPEC_BIT(CL_SPEC_ANNOTATIONS), .annotations = LIST("a")}},
    {"half a setting of rdt", {.set = CL_SPEC_BIT(CL_SPEC_INTEL_RDT), .intel_rdt = LIST("a")}},
    {"a relative hook",
     {.set = CL_SPEC_BIT(CL_SPEC_HOOKS),
      .hooks = ITEMS(cl_spec_hook, {CL_HOOK_POSTSTOP, 0, "a", {NULL, 0}, {NULL, 0}})}},
    {"a hook of no kind",
     {.set = CL_SPEC_BIT(CL_SPEC_HOOKS),
      .hooks = ITEMS(cl_spec_hook, {CL_HOOK_COUNT, 0, "/a", {NULL, 0}, {NULL, 0}})}},
    {"a hook with words that aren't there",
     {.set = CL_SPEC_BIT(CL_SPEC_HOOKS),
      .hooks = ITEMS(cl_spec_hook, {CL_HOOK_POSTSTOP, 0, "/a", {NULL, 1}, {NULL, 0}})}},
    {"a hook with variables that aren't there",
     {.set = CL_SPEC_BIT(CL_SPEC_HOOKS) | CL_SPEC_BIT(CL_SPEC_HOOK_WORDS),
      .hooks = ITEMS(cl_spec_hook, {CL_HOOK_POSTSTOP, 0, "/a", {NULL, 1}, {NULL, UINT32_MAX}}),
      .hook_words = LIST("a")}},
    {"words of no hook",
     {.set = CL_SPEC_BIT(CL_SPEC_HOOKS) | CL_SPEC_BIT(CL_SPEC_HOOK_WORDS),
      .hooks = ITEMS(cl_spec_hook, {CL_HOOK_POSTSTOP, 0, "/a", {NULL, 1}, {NULL, 0}}),
      .hook_words = LIST("a", "b")}},
};

TEST(what_contradicts_itself_is_refused)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
        struct cl_spec back = {.set = 0};
        int failures = check_failures;

        CHECK(write_spec(&wrong[i].spec, &buf) == 0);
        CHECK(read_spec(buf.data, buf.size, &arena, &back) == -EBADMSG && back.set == 0);
        if (check_failures != failures)
            printf("# %s\n", wrong[i].what);
    }
}

TEST(a_resource_that_is_none_can_not_be_written)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    const struct cl_spec spec = {.set = CL_SPEC_BIT(CL_SPEC_RESOURCES),
                                 .resources =
                                     ITEMS(cl_spec_resource, {CL_RESOURCE_COUNT, 0, 0, 0, "", ""})};
    struct cl_error err = {0};

    CHECK(cl_spec_write(&spec, &buf, &err) < 0);
    CHECK(err.msg[0] != '\0');
}

/* --- words ------------------------------------------------------------------------------------ */

TEST(resources_and_hooks_have_names)
{
    CHECK_TEXT(cl_resource_path(CL_RESOURCE_MEMORY_LIMIT), "linux.resources.memory.limit");
    CHECK_TEXT(cl_resource_path(CL_RESOURCE_UNIFIED), "linux.resources.unified");
    CHECK_TEXT(cl_hook_name(CL_HOOK_CREATE_RUNTIME), "createRuntime");
    CHECK_TEXT(cl_hook_name(CL_HOOK_POSTSTOP), "poststop");
    for (uint32_t a = 0; a < CL_RESOURCE_COUNT; a++) {
        for (uint32_t b = 0; b < a; b++)
            CHECK(strcmp(cl_resource_path(a), cl_resource_path(b)) != 0);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_is_written_is_read),
        ROW(each_field_stands_alone),
        ROW(a_record_that_is_cut_is_none),
        ROW(a_record_with_a_flipped_bit_is_another_or_none),
        ROW(what_contradicts_itself_is_refused),
        ROW(a_resource_that_is_none_can_not_be_written),
        ROW(resources_and_hooks_have_names),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
