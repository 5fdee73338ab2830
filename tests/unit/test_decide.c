/* test_decide.c - what a decided plan looks like, and what is refused. */
#include <errno.h>

#include "plan/decide.h"
#include "check.h"

enum { ARENA_MAX = 1 << 20 };

/* One decision on fields given as text. */
struct scene {
    struct cl_arena arena;
    struct cl_plan part;
    struct cl_plan plan;
    struct cl_error err;
    const char *note;
    int caller_is_root;
    cl_find_user *find_user;
};

static void scene_init(struct scene *scene, const char *image)
{
    *scene = (struct scene){.arena = CL_ARENA_INIT(ARENA_MAX)};
    CHECK(cl_plan_set_text(&scene->part, CL_FIELD_IMAGE, image, &scene->arena, &scene->err) == 0);
    CHECK(cl_plan_add_str(&scene->part, CL_FIELD_COMMAND, "true", &scene->arena, &scene->err) == 0);
}

static void scene_done(struct scene *scene)
{
    cl_arena_done(&scene->arena);
}

static void give(struct scene *scene, enum cl_field field, const char *text)
{
    CHECK(cl_plan_set_text(&scene->part, field, text, &scene->arena, &scene->err) == 0);
}

static int decide(struct scene *scene)
{
    const struct cl_plan *const parts[] = {&scene->part};
    struct cl_decide how = {.parts = parts,
                            .count = 1,
                            .arena = &scene->arena,
                            .caller_is_root = scene->caller_is_root,
                            .find_user = scene->find_user};
    int r = cl_plan_decide(&how, &scene->plan, &scene->err);

    scene->note = how.note;
    return r;
}

/* Decides with one field given and looks for NEEDLE in the refusal; NULL: it works. */
static void expect(enum cl_field field, const char *text, const char *needle)
{
    struct scene scene;

    scene_init(&scene, "host");
    give(&scene, field, text);
    int r = decide(&scene);
    if (needle == NULL) {
        CHECK(r == 0);
    } else {
        CHECK(r < 0 && r == -scene.err.code);
        CHECK_HAS(scene.err.msg, needle);
    }
    scene_done(&scene);
}

static const char *env_of(const struct cl_plan *plan, const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < plan->env.count; i++) {
        if (strncmp(plan->env.items[i], name, size) == 0 && plan->env.items[i][size] == '=')
            return plan->env.items[i] + size + 1;
    }
    return NULL;
}

TEST(strict_has_its_defaults)
{
    struct scene s;

    scene_init(&s, "host");
    CHECK(decide(&s) == 0);
    CHECK(s.plan.wall == CL_WALL_CONTAINER && s.plan.profile == CL_PROFILE_STRICT);
    CHECK(s.plan.uid == 1000 && s.plan.gid == 1000 && s.plan.capabilities == 0);
    CHECK(s.plan.root_mode == CL_ROOT_PROFILE && s.plan.network == CL_NETWORK_NONE);
    CHECK(s.plan.limits.memory_bytes == 512 << 20 && s.plan.limits.swap_bytes == 0);
    CHECK(s.plan.limits.tasks == 256 && s.plan.limits.time_ns == 600000000000);
    CHECK(s.plan.limits.disk_bytes == 256 << 20 && s.plan.limits.open_files == 1024);
    CHECK(!cl_plan_has(&s.plan, CL_FIELD_CPUS) && !cl_plan_has(&s.plan, CL_FIELD_OUTPUT));
    CHECK_TEXT(s.plan.workdir, "/tmp");
    CHECK_TEXT(env_of(&s.plan, "HOME"), "/tmp");
    CHECK_TEXT(env_of(&s.plan, "LANG"), "C.UTF-8");
    CHECK(env_of(&s.plan, "TERM") == NULL && s.note == NULL);
    scene_done(&s);
}

TEST(build_has_root_inside)
{
    struct scene s;

    scene_init(&s, "rootfs:/x");
    give(&s, CL_FIELD_PROFILE, "build");
    CHECK(decide(&s) == 0);
    CHECK(s.plan.uid == 0 && s.plan.capabilities == 0xdb);
    CHECK(s.plan.root_mode == CL_ROOT_WRITABLE && s.note == NULL);
    CHECK_TEXT(s.plan.workdir, "/");
    CHECK_TEXT(s.plan.image_path, "/x");
    CHECK_TEXT(env_of(&s.plan, "HOME"), "/root");
    scene_done(&s);
}

TEST(build_as_another_user_has_no_capabilities)
{
    struct scene s;

    scene_init(&s, "host");
    give(&s, CL_FIELD_PROFILE, "build");
    give(&s, CL_FIELD_USER, "1:0");
    CHECK(decide(&s) == 0);
    CHECK(s.plan.uid == 1 && s.plan.gid == 0 && s.plan.capabilities == 0);
    scene_done(&s);
}

TEST(strict_turns_root_into_1000_and_says_so)
{
    static const char *const users[] = {"0", "root", "0:0", "root:root", "0:5", "7:0"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(users); i++) {
        struct scene s;

        scene_init(&s, "host");
        give(&s, CL_FIELD_USER, users[i]);
        CHECK(decide(&s) == 0);
        CHECK(s.plan.uid != 0 && s.plan.gid != 0);
        CHECK(s.note != NULL && strstr(s.note, "1000") != NULL);
        scene_done(&s);
    }
}

TEST(users_are_numbers_or_names)
{
    static const char *const bad[] = {":",    "-1",         "1000:",      ":1000", "1:1:1",
                                      "0x10", "4294967295", "4294967296", " 1",    "1 ",
                                      "a b",  "a:",         "1e3"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++)
        expect(CL_FIELD_USER, bad[i], "user: ");
    expect(CL_FIELD_USER, "someone", "no user");
    expect(CL_FIELD_USER, "4294967294", NULL);
}

static int find_seven(void *context, const struct cl_plan *plan, struct cl_plan *ret,
                      struct cl_error *err)
{
    (void)context;
    (void)err;
    CHECK_TEXT(plan->user, "seven");
    ret->uid = 7;
    cl_plan_mark(ret, CL_FIELD_UID);
    return 0;
}

TEST(names_are_asked_for)
{
    struct scene s;

    scene_init(&s, "host");
    s.find_user = find_seven;
    give(&s, CL_FIELD_USER, "seven");
    CHECK(decide(&s) == 0 && s.plan.uid == 7 && s.plan.gid == 7);
    scene_done(&s);
}

TEST(images_have_forms)
{
    static const struct {
        const char *image;
        const char *needle;
    } rows[] = {
        {"alpine:3", "image: \"alpine:3\" isn't here; cloister pull alpine:3"},
        {"oci:dir", "image: \"oci:dir\" isn't here; cloister pull oci:dir"},
        {"x.wasm", "neither pulled nor kept"},
        {"/srv/tree", "rootfs:/srv/tree"},
        {"./tree", "rootfs:./tree"},
        {"rootfs:", "needs a directory"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct scene s;

        scene_init(&s, rows[i].image);
        CHECK(decide(&s) < 0);
        CHECK_HAS(s.err.msg, rows[i].needle);
        scene_done(&s);
    }
}

TEST(what_is_not_built_is_refused)
{
    expect(CL_FIELD_WALL, "vm", "not built yet");
    expect(CL_FIELD_WALL, "auto", NULL);
    expect(CL_FIELD_NETWORK, "outbound", NULL);
}

TEST(paths_are_normalised)
{
    static const struct {
        const char *path;
        int fold;
        const char *expected; /* NULL: refused */
    } rows[] = {
        {"/", 0, "/"},        {"//a//b/./", 0, "/a/b"},
        {"/a/../b", 1, "/b"}, {"/a/../b", 0, NULL},
        {"/..", 1, "/"},      {"/../../x", 1, "/x"},
        {"/a/..", 0, NULL},   {"/..a/b..", 0, "/..a/b.."},
        {"a", 1, NULL},       {"", 1, NULL},
        {"/a\nb", 1, NULL},   {"/a/b/../../c/.", 1, "/c"},
        {"/...", 0, "/..."},  {"/.", 0, "/"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
        struct cl_error err = {0};
        const char *got = NULL;
        int r = cl_path_normalise(rows[i].path, rows[i].fold, &arena, &got, &err);

        CHECK((r == 0) == (rows[i].expected != NULL));
        if (r == 0 && rows[i].expected != NULL)
            CHECK_TEXT(got, rows[i].expected);
    }
}

static void add_bind(struct scene *scene, const char *target)
{
    const struct cl_plan_file file = {.source = "/srv", .target = target};

    CHECK(cl_plan_add_file(&scene->part, &file, &scene->arena, &scene->err) == 0);
}

TEST(targets_are_sorted_parents_first)
{
    struct scene s;

    scene_init(&s, "host");
    add_bind(&s, "/a-b");
    add_bind(&s, "/a/b//c/");
    add_bind(&s, "/a/./b");
    add_bind(&s, "/a");
    CHECK(decide(&s) == 0 && s.plan.files.count == 4);
    CHECK_TEXT(s.plan.files.items[0].target, "/a");
    CHECK_TEXT(s.plan.files.items[1].target, "/a/b");
    CHECK_TEXT(s.plan.files.items[2].target, "/a/b/c");
    CHECK_TEXT(s.plan.files.items[3].target, "/a-b");
    scene_done(&s);
}

TEST(bad_targets_are_refused)
{
    static const char *const bad[] = {"/",      "/.",       "/proc", "/proc/1", "/sys", "/dev",
                                      "/dev/x", "/dev/shm", "rel",   "/a/../b", "/a\nb"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        struct scene s;

        scene_init(&s, "host");
        add_bind(&s, bad[i]);
        CHECK(decide(&s) < 0);
        CHECK_HAS(s.err.msg, "files: ");
        scene_done(&s);
    }
    struct scene s;
    scene_init(&s, "host");
    add_bind(&s, "/x");
    add_bind(&s, "/x/");
    CHECK(decide(&s) < 0);
    CHECK_HAS(s.err.msg, "two entries for /x");
    scene_done(&s);
}

TEST(later_parts_override)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct cl_plan policy = {0};
    struct cl_plan plan;
    struct cl_error err = {0};
    struct scene s;

    scene_init(&s, "host");
    CHECK(cl_plan_set_text(&policy, CL_FIELD_MEMORY, "1GiB", &arena, &err) == 0);
    CHECK(cl_plan_set_text(&policy, CL_FIELD_TASKS, "7", &arena, &err) == 0);
    CHECK(cl_plan_add_str(&policy, CL_FIELD_ENV, "PATH=/policy", &arena, &err) == 0);
    CHECK(cl_plan_add_str(&policy, CL_FIELD_ENV, "A=policy", &arena, &err) == 0);
    const struct cl_plan_file file = {.source = "/policy", .target = "/x/"};
    CHECK(cl_plan_add_file(&policy, &file, &arena, &err) == 0);
    give(&s, CL_FIELD_TASKS, "8");
    add_bind(&s, "/x");
    CHECK(cl_plan_add_str(&s.part, CL_FIELD_ENV, "A=flag", &s.arena, &err) == 0);
    const struct cl_plan *const parts[] = {&policy, &s.part};
    struct cl_decide how = {.parts = parts, .count = 2, .arena = &arena};
    CHECK(cl_plan_decide(&how, &plan, &err) == 0);
    CHECK(plan.limits.memory_bytes == 1 << 30 && plan.limits.tasks == 8);
    CHECK_TEXT(env_of(&plan, "PATH"), "/policy");
    CHECK_TEXT(env_of(&plan, "A"), "flag");
    CHECK(plan.files.count == 1);
    CHECK_TEXT(plan.files.items[0].source, "/srv");
    scene_done(&s);
}

static void leave_out(struct scene *scene, enum cl_layer layer)
{
    scene->part.without |= CL_LAYER_BIT(layer);
    cl_plan_mark(&scene->part, CL_FIELD_WITHOUT);
}

TEST(scratch_goes_where_it_fits)
{
    static const struct {
        const char *memory;
        const char *disk; /* NULL: the default */
        int root;
        int without_limits;
        uint64_t disk_mib; /* 0: refused */
        uint64_t scratch;
    } rows[] = {
        {"512MiB", NULL, 0, 0, 256, CL_SCRATCH_MEMORY},
        {"8GiB", NULL, 0, 0, 256, CL_SCRATCH_MEMORY},
        {"64MiB", NULL, 0, 0, 32, CL_SCRATCH_MEMORY},
        {"64MiB", NULL, 1, 0, 32, CL_SCRATCH_MEMORY},
        {"300MiB", NULL, 0, 0, 150, CL_SCRATCH_MEMORY},
        {"64MiB", NULL, 0, 1, 32, CL_SCRATCH_MEMORY},
        {"64MiB", "32MiB", 1, 0, 32, CL_SCRATCH_MEMORY},
        {"64MiB", "33MiB", 1, 0, 33, CL_SCRATCH_DISK},
        {"64MiB", "33MiB", 0, 0, 33, CL_SCRATCH_MEMORY},
        {"64MiB", "63MiB", 0, 0, 63, CL_SCRATCH_MEMORY},
        {"64MiB", "64MiB", 0, 0, 0, 0},
        {"64MiB", "64MiB", 1, 0, 64, CL_SCRATCH_DISK},
        {"64MiB", "9GiB", 1, 0, 9216, CL_SCRATCH_DISK},
        {"64MiB", "9GiB", 0, 0, 0, 0},
        {"64MiB", "64MiB", 0, 1, 64, CL_SCRATCH_MEMORY},
        {"64MiB", "64MiB", 1, 1, 64, CL_SCRATCH_MEMORY},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct scene s;

        scene_init(&s, "host");
        s.caller_is_root = rows[i].root;
        give(&s, CL_FIELD_MEMORY, rows[i].memory);
        if (rows[i].disk != NULL)
            give(&s, CL_FIELD_DISK, rows[i].disk);
        if (rows[i].without_limits)
            leave_out(&s, CL_LAYER_LIMITS);
        int r = decide(&s);
        if (rows[i].disk_mib == 0) {
            CHECK(r < 0);
            CHECK_HAS(s.err.msg, "disk: ");
            CHECK_HAS(s.err.msg, "the memory limit of 64MiB; raise --memory");
        } else {
            CHECK(r == 0 && s.plan.limits.disk_bytes == rows[i].disk_mib << 20);
            CHECK(cl_plan_has(&s.plan, CL_FIELD_SCRATCH) && s.plan.scratch == rows[i].scratch);
        }
        scene_done(&s);
    }
}

TEST(shm_is_a_part_of_scratch_unless_it_has_a_size)
{
    struct scene s;

    scene_init(&s, "host");
    CHECK(decide(&s) == 0 && !cl_plan_has(&s.plan, CL_FIELD_SHM_SIZE));
    give(&s, CL_FIELD_SHM_SIZE, "256MiB");
    CHECK(decide(&s) == 0 && s.plan.limits.shm_bytes == 256 << 20);
    give(&s, CL_FIELD_SHM_SIZE, "257MiB");
    CHECK(decide(&s) < 0);
    CHECK_HAS(s.err.msg, "shm-size: 257MiB is more than the 256MiB of all scratch");
    s.caller_is_root = 1;
    give(&s, CL_FIELD_DISK, "4GiB");
    CHECK(decide(&s) == 0);
    give(&s, CL_FIELD_SHM_SIZE, "512MiB");
    CHECK(decide(&s) < 0);
    CHECK_HAS(s.err.msg, "shm-size: it is held in memory");
    scene_done(&s);
}

TEST(a_tmpfs_fits_into_scratch_and_memory)
{
    struct scene s;

    scene_init(&s, "host");
    s.caller_is_root = 1;
    const struct cl_plan_file file = {
        .kind = CL_FILE_TMPFS, .source = "", .target = "/x", .size_bytes = 512 << 20};
    CHECK(cl_plan_add_file(&s.part, &file, &s.arena, &s.err) == 0);
    CHECK(decide(&s) < 0);
    CHECK_HAS(s.err.msg, "files: /x: 512MiB is more than");
    give(&s, CL_FIELD_DISK, "4GiB");
    CHECK(decide(&s) < 0);
    CHECK_HAS(s.err.msg, "files: /x: it is held in memory");
    give(&s, CL_FIELD_MEMORY, "1GiB");
    CHECK(decide(&s) == 0);
    scene_done(&s);
}

TEST(limits_that_nothing_holds_are_refused)
{
    static const struct {
        enum cl_field field;
        const char *text;
        const char *flag; /* NULL: something holds it */
    } rows[] = {
        {CL_FIELD_CPUS, "1.5", "--cpus"}, {CL_FIELD_SWAP, "1MiB", "--memory-swap"},
        {CL_FIELD_SWAP, "0", NULL},       {CL_FIELD_MEMORY, "64MiB", NULL},
        {CL_FIELD_TASKS, "9", NULL},      {CL_FIELD_CPU_TIME, "1s", NULL},
        {CL_FIELD_TIME, "1s", NULL},      {CL_FIELD_DISK, "1MiB", NULL},
        {CL_FIELD_OUTPUT, "9", NULL},     {CL_FIELD_FILE_SIZE, "9", NULL},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct scene s;

        scene_init(&s, "host");
        give(&s, rows[i].field, rows[i].text);
        CHECK(decide(&s) == 0);
        leave_out(&s, CL_LAYER_LIMITS);
        int r = decide(&s);
        CHECK((r == 0) == (rows[i].flag == NULL));
        if (rows[i].flag != NULL) {
            CHECK_HAS(s.err.msg, rows[i].flag);
            CHECK_HAS(s.err.msg, "--without limits");
        }
        scene_done(&s);
    }
}

TEST(a_disk_limit_needs_its_layer)
{
    struct scene s;

    scene_init(&s, "host");
    s.caller_is_root = 1;
    leave_out(&s, CL_LAYER_DISK_LIMIT);
    CHECK(decide(&s) == 0 && s.plan.scratch == CL_SCRATCH_MEMORY);
    give(&s, CL_FIELD_DISK, "1GiB");
#ifdef CL_WEAK
    CHECK(decide(&s) == 0 && s.plan.scratch == CL_SCRATCH_MEMORY);
#else
    CHECK(decide(&s) == -EINVAL);
    CHECK_HAS(s.err.msg, "--disk (limits.disk) can't be held with --without disk-limit");
#endif
    scene_done(&s);
}

TEST(layers_that_make_the_wall_stay)
{
    struct scene s;

    scene_init(&s, "host");
    s.part.without = CL_LAYER_BIT(CL_LAYER_SECCOMP);
    cl_plan_mark(&s.part, CL_FIELD_WITHOUT);
#ifdef CL_WEAK
    CHECK(decide(&s) == 0);
#else
    CHECK(decide(&s) == -EPERM);
    CHECK_HAS(s.err.msg, "seccomp");
#endif
    scene_done(&s);
}

TEST(names_keep_their_form)
{
    static const char *const bad[] = {".", "..", "../x", "a/b", "-x", "a b", "a\nb", "a:b", "*"};
    static const char *const bad_hosts[] = {"a b", "a/b", "-x", "a..b", ".", "a.", "\xc3\xbc"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        expect(CL_FIELD_NAME, bad[i], "name: ");
        expect(CL_FIELD_TENANT, bad[i], "tenant: ");
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(bad_hosts); i++)
        expect(CL_FIELD_HOSTNAME, bad_hosts[i], "hostname: ");
    expect(CL_FIELD_NAME, "a-name_1.x", NULL);
    expect(CL_FIELD_HOSTNAME, "a-box.example", NULL);
}

TEST(lists_are_checked)
{
    static const struct {
        enum cl_field field;
        const char *text;
    } rows[] = {
        {CL_FIELD_ENV, "=x"},       {CL_FIELD_ENV, "A B=1"}, {CL_FIELD_ENV, "NOVALUE"},
        {CL_FIELD_ENV, "A\n=1"},    {CL_FIELD_LABELS, "=v"}, {CL_FIELD_LABELS, "no-value"},
        {CL_FIELD_LABELS, "a b=v"}, {CL_FIELD_LABELS, ""},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct scene s;

        scene_init(&s, "host");
        CHECK(cl_plan_add_str(&s.part, rows[i].field, rows[i].text, &s.arena, &s.err) == 0);
        CHECK(decide(&s) < 0);
        scene_done(&s);
    }
}

TEST(little_memory_is_an_error)
{
    for (size_t cap = 0; cap < 4096; cap += 16) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(cap);
        struct scene s;
        struct cl_plan plan;

        scene_init(&s, "rootfs:/x");
        add_bind(&s, "/a");
        const struct cl_plan *const parts[] = {&s.part};
        struct cl_decide how = {.parts = parts, .count = 1, .arena = &arena};
        int r = cl_plan_decide(&how, &plan, &s.err);
        CHECK(r == 0 || (r == -ENOMEM && s.err.msg[0] != '\0'));
        scene_done(&s);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(strict_has_its_defaults),
        ROW(build_has_root_inside),
        ROW(build_as_another_user_has_no_capabilities),
        ROW(strict_turns_root_into_1000_and_says_so),
        ROW(users_are_numbers_or_names),
        ROW(names_are_asked_for),
        ROW(images_have_forms),
        ROW(what_is_not_built_is_refused),
        ROW(paths_are_normalised),
        ROW(targets_are_sorted_parents_first),
        ROW(bad_targets_are_refused),
        ROW(later_parts_override),
        ROW(scratch_goes_where_it_fits),
        ROW(shm_is_a_part_of_scratch_unless_it_has_a_size),
        ROW(a_tmpfs_fits_into_scratch_and_memory),
        ROW(limits_that_nothing_holds_are_refused),
        ROW(a_disk_limit_needs_its_layer),
        ROW(layers_that_make_the_wall_stay),
        ROW(names_keep_their_form),
        ROW(lists_are_checked),
        ROW(little_memory_is_an_error),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
