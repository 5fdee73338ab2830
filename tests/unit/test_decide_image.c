/* test_decide_image.c - an image of the store in a plan: what it says, and what wins over it. */
#include <errno.h>

#include "plan/decide.h"
#include "plan/guest_users.h"
#include "check.h"

enum { ARENA_MAX = 1 << 20 };

static const char *const layers[] = {"7", "12"};

static struct {
    struct cl_arena arena;
    struct cl_plan image;
    struct cl_plan policy;
    struct cl_plan flags;
    struct cl_plan plan;
    struct cl_error err;
    const char *note;
    cl_find_user *find_user;
} scene;

static void set(struct cl_plan *part, enum cl_field field, const char *text)
{
    CHECK(cl_plan_set_text(part, field, text, &scene.arena, &scene.err) == 0);
}

/* The blank-separated WORDS; NULL: none, but the list is there. */
static void put_words(struct cl_plan *part, enum cl_field field, const char *words)
{
    cl_plan_mark(part, field);
    while (words != NULL) {
        const size_t size = strcspn(words, " ");
        const char *word = cl_arena_strndup(&scene.arena, words, size);

        CHECK(cl_plan_add_str(part, field, word, &scene.arena, &scene.err) == 0);
        words = words[size] == '\0' ? NULL : words + size + 1;
    }
}

static void set_up(void)
{
    cl_arena_done(&scene.arena);
    memset(&scene, 0, sizeof(scene));
    scene.arena = CL_ARENA_INIT(ARENA_MAX);
    scene.image.image_kind = CL_IMAGE_STORE;
    scene.image.image_layers = (struct cl_strlist){layers, CL_ARRAY_SIZE(layers)};
    cl_plan_mark(&scene.image, CL_FIELD_IMAGE_KIND);
    cl_plan_mark(&scene.image, CL_FIELD_IMAGE_LAYERS);
    set(&scene.image, CL_FIELD_IMAGE_PATH, "/store/layers");
    set(&scene.image, CL_FIELD_IMAGE_DIGEST,
        "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    set(&scene.flags, CL_FIELD_IMAGE, "debian:12");
}

static int decide(void)
{
    const struct cl_plan *const parts[] = {&scene.image, &scene.policy, &scene.flags};
    struct cl_decide how = {.parts = parts,
                            .count = CL_ARRAY_SIZE(parts),
                            .arena = &scene.arena,
                            .find_user = scene.find_user};

    memset(&scene.plan, 0, sizeof(scene.plan));
    int r = cl_plan_decide(&how, &scene.plan, &scene.err);
    scene.note = how.note;
    return r;
}

static const char *env_of(const char *name)
{
    const struct cl_strlist *env = &scene.plan.env;
    const size_t size = strlen(name);

    for (size_t i = 0; i < env->count; i++) {
        if (strncmp(env->items[i], name, size) == 0 && env->items[i][size] == '=')
            return env->items[i] + size + 1;
    }
    return NULL;
}

TEST(an_image_of_the_store_is_taken_as_it_is)
{
    set_up();
    put_words(&scene.image, CL_FIELD_COMMAND, "sh");
    CHECK(decide() == 0);
    CHECK(scene.plan.image_kind == CL_IMAGE_STORE && scene.plan.image_layers.count == 2);
    CHECK_TEXT(scene.plan.image, "debian:12");
    CHECK_TEXT(scene.plan.image_path, "/store/layers");
    CHECK(strncmp(scene.plan.image_digest, "sha256:0011", 11) == 0);
    CHECK_TEXT(scene.plan.workdir, "/");
    CHECK(scene.plan.uid == 1000 && scene.plan.gid == 1000 && scene.note == NULL);
    CHECK(!cl_plan_has(&scene.plan, CL_FIELD_STOP_SIGNAL));
}

TEST(names_of_images_are_told_from_other_forms)
{
    static const char *const names[] = {
        "debian",
        "debian:12",
        "quay.io/a/b@sha256:00",
        "a",
        "hosts",
        "rootfs/x",
        "Debian",
        "wasm",
        "tar",
        "oci:x",
        "oci",
        "oci.tar/x",
        "oci-archive:x.tar",
        "docker-archive:x",
        "dir",
        "dir/x:1",
        "docker:24",
        "registry:2",
        "localhost/host",
        "docker.io/library/host:latest",
    };
    static const char *const others[] = {
        "host",
        "rootfs:/x",
        "rootfs:",
        "host:x",
        "HOST",
        "rootfs",
        "rootfs=/x",
        "dir:/x",
        "/x",
        "./x",
        "..",
        "x.wasm",
        "x.tar",
        "x.tgz",
        "host:",
        "docker-daemon:x:1",
        "containers-storage:x",
        "sif:x",
        "x:/tmp",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++)
        CHECK(cl_image_is_name(names[i]));
    for (size_t i = 0; i < CL_ARRAY_SIZE(others); i++)
        CHECK(!cl_image_is_name(others[i]));
}

TEST(what_an_image_can_not_be_called_is_told)
{
    static const struct {
        const char *name;
        const char *message;
    } rows[] = {
        {"host", "\"host\" is no image's name: cloister run shows this machine by it; with its "
                 "registry before it, as in docker.io/library/host, it is one"},
        {"host:latest", "\"host:latest\" is no image: host, without a tag, is the view of this "
                        "machine; an image that is called so has its registry before it, as in "
                        "docker.io/library/host:latest"},
        {"rootfs:/x",
         "\"rootfs:/x\" is no image's name: cloister run takes the directory as it is"},
        {"oci:x", "\"oci:x\" is where an image lies on this host, and no name for one"},
        {"x.wasm", "\"x.wasm\" is a WebAssembly module's name, which is a file: it is neither "
                   "pulled nor kept; an image that is called so has its tag behind it, as in "
                   "x.wasm:latest"},
        {"docker-daemon:x:1",
         "\"docker-daemon:x:1\": there is no transport docker-daemon; those there are: "
         "oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE; save it: docker save -o FILE NAME, "
         "then docker-archive:FILE"},
        {"quux:/tmp", "\"quux:/tmp\": there is no transport quux; those there are: oci:DIR[:TAG], "
                      "oci-archive:FILE, docker-archive:FILE"},
    };
    static const char *const names[] = {"debian:12", "localhost:5000/x", "docker.io/library/host",
                                        "[::1]:5000/x", "docker://debian"};
    struct cl_error err = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(cl_image_check_name(rows[i].name, &err) < 0);
        CHECK_TEXT(err.msg, rows[i].message);
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++)
        CHECK(cl_image_check_name(names[i], &err) == 0);
}

/* --- WebAssembly ---------------------------------------------------------------------------- */

TEST(what_is_run_chooses_the_wall)
{
    static const struct {
        const char *command;
        const char *wall;
        int by_word; /* of the image */
        int expected;
        const char *message; /* NULL: it is no error */
    } rows[] = {
        {"/x.wasm a", NULL, 0, CL_WALL_WASM, NULL},
        {"x.wasm", "auto", 0, CL_WALL_WASM, NULL},
        {"x.wasm", "wasm", 0, CL_WALL_WASM, NULL},
        {"/x", NULL, 1, CL_WALL_WASM, NULL},
        {"/x", "wasm", 0, CL_WALL_WASM, NULL}, /* who says so knows */
        {"/x a.wasm", NULL, 0, CL_WALL_CONTAINER, NULL},
        {".wasm", NULL, 0, CL_WALL_CONTAINER, NULL},
        {"/x.wasm.so", "auto", 0, CL_WALL_CONTAINER, NULL},
        {"/x", "container", 0, CL_WALL_CONTAINER, NULL},
        {"/x.wasm", "container", 0, 0,
         "\"/x.wasm\" is a WebAssembly module, which the kernel can't execute: it runs behind the "
         "wasm wall alone"},
        {"/x", "container", 1, 0, "\"/x\" is a WebAssembly module"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        set_up();
        put_words(&scene.image, CL_FIELD_COMMAND, rows[i].command);
        if (rows[i].by_word)
            set(&scene.image, CL_FIELD_IMAGE_MODULE, "true");
        if (rows[i].wall != NULL)
            set(&scene.flags, CL_FIELD_WALL, rows[i].wall);
        int r = decide();
        CHECK((r == 0) == (rows[i].message == NULL));
        if (rows[i].message != NULL) {
            CHECK_HAS(scene.err.msg, rows[i].message);
            continue;
        }
        CHECK((int)scene.plan.wall == rows[i].expected);
        CHECK(cl_plan_has_module(&scene.plan) == (rows[i].expected == CL_WALL_WASM));
        CHECK(scene.plan.root_mode == CL_ROOT_PROFILE); /* its files are as any image's */
    }
}

TEST(a_module_of_the_store_has_a_root_of_its_own)
{
    set_up();
    scene.image.image_kind = CL_IMAGE_MODULE;
    scene.image.image_layers.count = 1;
    put_words(&scene.image, CL_FIELD_ENTRYPOINT, "a.wasm");
    put_words(&scene.flags, CL_FIELD_COMMAND, "x y");
    CHECK(decide() == 0);
    CHECK(scene.plan.wall == CL_WALL_WASM && scene.plan.root_mode == CL_ROOT_WRITABLE);
    CHECK(scene.plan.command.count == 3 && !cl_plan_has(&scene.plan, CL_FIELD_IMAGE_MODULE));
    CHECK_TEXT(scene.plan.command.items[0], "a.wasm");
    set(&scene.flags, CL_FIELD_WALL, "container");
    CHECK(decide() == -EINVAL);
}

/* And has it in a process. */
TEST(an_engine_that_is_a_library_runs_what_is_one_file)
{
    static const struct {
        enum cl_field field;
        const char *text;
        const char *message; /* NULL: it does */
    } rows[] = {
        {CL_FIELD_WASM_MODEL, "process", NULL},
        {CL_FIELD_TENANT, "alice", NULL},
        {CL_FIELD_WASM_MODEL, "coroutine", "wasm_engine: wasmedge: its modules can't take turns"},
        {CL_FIELD_KEEP, "true", "--keep is not to be had"},
        {CL_FIELD_WAITS, "true", "--copy-in is not to be had"},
        {CL_FIELD_STAYS, "true", "--copy-out is not to be had"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        set_up();
        scene.image.image_kind = CL_IMAGE_MODULE;
        scene.image.image_layers.count = 1;
        put_words(&scene.image, CL_FIELD_ENTRYPOINT, "a.wasm");
        set(&scene.flags, CL_FIELD_WASM_ENGINE, "wasmedge");
        set(&scene.flags, rows[i].field, rows[i].text);
        CHECK((decide() == 0) == (rows[i].message == NULL));
        if (rows[i].message != NULL)
            CHECK_HAS(scene.err.msg, rows[i].message);
        else
            CHECK(scene.plan.wasm_engine == CL_WASM_WASMEDGE &&
                  scene.plan.wasm_model == CL_WASM_PROCESS);
    }
    set_up();
    put_words(&scene.image, CL_FIELD_COMMAND, "/x.wasm");
    set(&scene.flags, CL_FIELD_WASM_ENGINE, "wasmedge");
    CHECK(decide() == -ENOTSUP);
    CHECK_HAS(scene.err.msg, "no place for the files of an image");
    set_up();
    put_words(&scene.image, CL_FIELD_COMMAND, "/x");
    set(&scene.flags, CL_FIELD_WASM_ENGINE, "wasmedge");
    CHECK(decide() == -EINVAL);
    CHECK_HAS(scene.err.msg, "for WebAssembly modules alone");
}

/* Of a worker whose guests have processes, and of nobody else. */
TEST(guests_with_processes_are_users)
{
    static const struct {
        const char *user;
        const char *model;
        uint32_t first;
    } rows[] = {
        {"1000", "process", 32768}, {"32767", "process", 32768}, {"32768", "process", 1},
        {"65535", "process", 1},    {"1000", "coroutine", 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        set_up();
        scene.image.image_kind = CL_IMAGE_MODULES;
        put_words(&scene.image, CL_FIELD_ENTRYPOINT, "a.wasm");
        set(&scene.flags, CL_FIELD_GUESTS, "77");
        set(&scene.flags, CL_FIELD_USER, rows[i].user);
        set(&scene.flags, CL_FIELD_WASM_MODEL, rows[i].model);
        CHECK(decide() == 0);
        const struct cl_guest_users users = cl_guest_users_of(&scene.plan);
        CHECK(users.first == rows[i].first && users.count == (users.first == 0 ? 0 : 77));
        CHECK(scene.plan.capabilities == (users.first == 0 ? 0 : 0xa0)); /* KILL, SETUID */
        scene.plan.without = CL_LAYER_BIT(CL_LAYER_GUEST_USERS);
        CHECK(cl_guest_users_of(&scene.plan).count == 0);
    }
}

TEST(a_modules_working_directory_is_a_variable)
{
    set_up();
    put_words(&scene.image, CL_FIELD_COMMAND, "/x.wasm");
    CHECK(decide() == 0 && env_of("PWD") == NULL);
    set(&scene.image, CL_FIELD_WORKDIR, "/app/../srv");
    CHECK(decide() == 0);
    CHECK_TEXT(env_of("PWD"), "/srv");
    put_words(&scene.flags, CL_FIELD_ENV, "PWD=/own");
    CHECK(decide() == 0);
    CHECK_TEXT(env_of("PWD"), "/own");
    set_up();
    put_words(&scene.image, CL_FIELD_COMMAND, "/x");
    set(&scene.image, CL_FIELD_WORKDIR, "/srv");
    CHECK(decide() == 0 && env_of("PWD") == NULL); /* a program asks the kernel */
}

/* --- the command ------------------------------------------------------------------------- */

#define UNSET "-" /* the image or the line says nothing */

static void put(struct cl_plan *part, enum cl_field field, const char *words)
{
    if (words == NULL || strcmp(words, UNSET) != 0)
        put_words(part, field, words);
}

TEST(entrypoint_and_command_are_dockers)
{
    static const struct {
        const char *image_entrypoint;
        const char *image_command;
        const char *entrypoint; /* of the flags, which then set a command, too */
        const char *command;
        const char *expected; /* NULL: none */
    } rows[] = {
        {UNSET, "c d", UNSET, UNSET, "c d"},     {UNSET, "c d", UNSET, "x", "x"},
        {"e f", "c d", UNSET, UNSET, "e f c d"}, {"e f", "c d", UNSET, "x y", "e f x y"},
        {"e f", UNSET, UNSET, UNSET, "e f"},     {"e f", UNSET, UNSET, "x", "e f x"},
        {"e f", "c d", "n", NULL, "n"},          {"e f", "c d", "n", "x y", "n x y"},
        {UNSET, "c d", "n", NULL, "n"},          {"e f", "c d", NULL, "x y", "x y"},
        {"e f", "c d", NULL, NULL, NULL},        {UNSET, UNSET, UNSET, UNSET, NULL},
        {UNSET, UNSET, UNSET, "x", "x"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        char joined[64] = "";

        set_up();
        put(&scene.image, CL_FIELD_ENTRYPOINT, rows[i].image_entrypoint);
        put(&scene.image, CL_FIELD_COMMAND, rows[i].image_command);
        put(&scene.flags, CL_FIELD_ENTRYPOINT, rows[i].entrypoint);
        put(&scene.flags, CL_FIELD_COMMAND, rows[i].command);
        int r = decide();
        if (rows[i].expected == NULL) {
            CHECK(r == -EINVAL);
            CHECK_TEXT(scene.err.msg, "no command: the image has no default; say one after --");
            continue;
        }
        CHECK(r == 0 && !cl_plan_has(&scene.plan, CL_FIELD_ENTRYPOINT));
        CHECK(scene.plan.entrypoint.count == 0);
        for (size_t j = 0; j < scene.plan.command.count; j++)
            (void)snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s",
                           j == 0 ? "" : " ", scene.plan.command.items[j]);
        CHECK_TEXT(joined, rows[i].expected);
    }
}

TEST(a_command_has_a_name)
{
    static const char *const empty[] = {""};

    set_up();
    scene.image.command = (struct cl_strlist){empty, 1};
    cl_plan_mark(&scene.image, CL_FIELD_COMMAND);
    CHECK(decide() == -EINVAL);
    CHECK_TEXT(scene.err.msg, "command: its name is empty");
}

/* --- variables, directory, signal ------------------------------------------------------------ */

TEST(variables_lie_over_the_defaults_and_under_what_is_given)
{
    set_up();
    put_words(&scene.image, CL_FIELD_COMMAND, "sh");
    put_words(&scene.image, CL_FIELD_ENV, "PATH=/opt/bin A=image B=image C=image HOME=/srv A=last");
    put_words(&scene.policy, CL_FIELD_ENV, "B=policy C=policy");
    put_words(&scene.flags, CL_FIELD_ENV, "C=flag");
    CHECK(decide() == 0);
    CHECK_TEXT(env_of("PATH"), "/opt/bin");
    CHECK_TEXT(env_of("HOME"), "/srv");
    CHECK_TEXT(env_of("A"), "last");
    CHECK_TEXT(env_of("B"), "policy");
    CHECK_TEXT(env_of("C"), "flag");
    CHECK_TEXT(env_of("LANG"), "C.UTF-8");
    set_up();
    put_words(&scene.image, CL_FIELD_COMMAND, "sh");
    CHECK(decide() == 0);
    CHECK_HAS(env_of("PATH"), "/usr/local/sbin:");
    CHECK_TEXT(env_of("HOME"), "/tmp");
}

TEST(the_working_directory_counts_from_the_images_root)
{
    static const struct {
        const char *image;
        const char *flag;
        const char *expected; /* NULL: refused */
    } rows[] = {
        {"/srv/app", NULL, "/srv/app"},
        {"srv/app", NULL, "/srv/app"},
        {"/srv/../x/", NULL, "/x"},
        {"../../x", NULL, "/x"},
        {".", NULL, "/"},
        {"/srv", "/other", "/other"},
        {"srv", "/other", "/other"},
        {"/srv", "other", NULL},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        set_up();
        put_words(&scene.image, CL_FIELD_COMMAND, "sh");
        set(&scene.image, CL_FIELD_WORKDIR, rows[i].image);
        if (rows[i].flag != NULL)
            set(&scene.flags, CL_FIELD_WORKDIR, rows[i].flag);
        int r = decide();
        CHECK((r == 0) == (rows[i].expected != NULL));
        if (r == 0)
            CHECK_TEXT(scene.plan.workdir, rows[i].expected);
        CHECK(scene.image.workdir[0] == rows[i].image[0]); /* what was given stays as it is */
    }
}

TEST(the_stop_signal_is_the_images_or_the_flags)
{
    set_up();
    put_words(&scene.image, CL_FIELD_COMMAND, "sh");
    set(&scene.image, CL_FIELD_STOP_SIGNAL, "3");
    CHECK(decide() == 0 && scene.plan.stop_signal == 3);
    set(&scene.flags, CL_FIELD_STOP_SIGNAL, "10");
    CHECK(decide() == 0 && scene.plan.stop_signal == 10);
}

/* --- the user ------------------------------------------------------------------------------ */

static const struct cl_plan *asked;

static int find_five(CL_UNUSED void *context, const struct cl_plan *plan, struct cl_plan *ret,
                     CL_UNUSED struct cl_error *err)
{
    asked = plan;
    CHECK(plan->image_kind == CL_IMAGE_STORE && plan->image_layers.count == 2);
    ret->uid = 5;
    ret->gid = 6;
    cl_plan_mark(ret, CL_FIELD_UID);
    cl_plan_mark(ret, CL_FIELD_GID);
    return 0;
}

/* The image's own, as it was looked up: UID, GID (-1: not said) for USER. */
static void set_user(const char *user, int uid, int gid)
{
    set_up();
    put_words(&scene.image, CL_FIELD_COMMAND, "sh");
    scene.find_user = find_five;
    asked = NULL;
    set(&scene.image, CL_FIELD_USER, user);
    scene.image.uid = (uint64_t)uid;
    scene.image.gid = (uint64_t)gid;
    if (uid >= 0)
        cl_plan_mark(&scene.image, CL_FIELD_UID);
    if (gid >= 0)
        cl_plan_mark(&scene.image, CL_FIELD_GID);
}

static int is_user(uint64_t uid, uint64_t gid)
{
    CHECK(decide() == 0);
    return scene.plan.uid == uid && scene.plan.gid == gid &&
           cl_plan_has(&scene.plan, CL_FIELD_UID) && cl_plan_has(&scene.plan, CL_FIELD_GID);
}

TEST(the_home_is_the_users_of_the_image)
{
    set_user("app", 77, 78);
    set(&scene.image, CL_FIELD_HOME, "/home/app");
    CHECK(is_user(77, 78));
    CHECK_TEXT(env_of("HOME"), "/home/app");
    CHECK(!cl_plan_has(&scene.plan, CL_FIELD_HOME)); /* it is a variable now */
    put_words(&scene.image, CL_FIELD_ENV, "HOME=/srv");
    CHECK(is_user(77, 78));
    CHECK_TEXT(env_of("HOME"), "/srv");
    set_user("root", 0, 0); /* strict has another user, whose home it isn't */
    set(&scene.image, CL_FIELD_HOME, "/root");
    CHECK(is_user(1000, 1000));
    CHECK_TEXT(env_of("HOME"), "/tmp");
    set_user("app", 77, 78); /* nor is it that of one by a flag */
    set(&scene.image, CL_FIELD_HOME, "/home/app");
    set(&scene.flags, CL_FIELD_USER, "33");
    CHECK(is_user(33, 33));
    CHECK_TEXT(env_of("HOME"), "/tmp");
}

TEST(the_user_is_the_images)
{
    set_user("app", 77, 78);
    CHECK(is_user(77, 78) && asked == NULL);
    CHECK_TEXT(scene.plan.user, "app");
    set_user("app", 77, -1);
    CHECK(is_user(77, 77) && asked == NULL);
    set_user("app", -1, -1); /* nobody has looked */
    CHECK(is_user(5, 6) && asked != NULL);
    set_user("33:34", -1, -1);
    CHECK(is_user(33, 34) && asked == NULL);
}

TEST(a_user_who_is_given_wins)
{
    set_user("app", 77, 78);
    set(&scene.flags, CL_FIELD_USER, "9");
    CHECK(is_user(9, 9) && asked == NULL);
    set_user("app", 77, 78);
    set(&scene.policy, CL_FIELD_USER, "9:8");
    CHECK(is_user(9, 8));
    set_user("app", 77, 78);
    set(&scene.flags, CL_FIELD_USER, "other");
    CHECK(is_user(5, 6) && asked != NULL);
}

TEST(strict_never_runs_as_the_images_root)
{
    set_user("root", 0, 0);
    CHECK(is_user(1000, 1000));
    CHECK_HAS(scene.note, "the strict profile never runs as root: user 1000 instead");
    set_user("app", 77, 0);
    CHECK(is_user(77, 1000));
    CHECK_HAS(scene.note, "group 1000 instead");
    set_user("root", 0, 0);
    set(&scene.flags, CL_FIELD_PROFILE, "build");
    CHECK(is_user(0, 0) && scene.note == NULL && scene.plan.capabilities != 0);
    set_user("app", 77, 78);
    set(&scene.flags, CL_FIELD_PROFILE, "build");
    CHECK(is_user(77, 78) && scene.plan.capabilities == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(an_image_of_the_store_is_taken_as_it_is),
        ROW(names_of_images_are_told_from_other_forms),
        ROW(what_an_image_can_not_be_called_is_told),
        ROW(what_is_run_chooses_the_wall),
        ROW(a_module_of_the_store_has_a_root_of_its_own),
        ROW(an_engine_that_is_a_library_runs_what_is_one_file),
        ROW(guests_with_processes_are_users),
        ROW(a_modules_working_directory_is_a_variable),
        ROW(entrypoint_and_command_are_dockers),
        ROW(a_command_has_a_name),
        ROW(variables_lie_over_the_defaults_and_under_what_is_given),
        ROW(the_working_directory_counts_from_the_images_root),
        ROW(the_stop_signal_is_the_images_or_the_flags),
        ROW(the_home_is_the_users_of_the_image),
        ROW(the_user_is_the_images),
        ROW(a_user_who_is_given_wins),
        ROW(strict_never_runs_as_the_images_root),
    };
    int failed = check_run(tests, CL_ARRAY_SIZE(tests));

    cl_arena_done(&scene.arena);
    return failed;
}
