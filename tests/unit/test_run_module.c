/* test_run_module.c - from a decided plan to its module: which file that is, in a tree and in the
 * store. A shell script stands in cloister-wasmc's place, and complains of the module as it came:
 * what is compiled would be kept in root's cache (src/module is test_module's). */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cloister/run_module.h"
#include "programs_scene.h"

static struct {
    char dir[40]; /* the image */
    struct cl_arena arena;
    struct cl_plan plan;
    struct cl_module module;
    struct cl_error err;
} scene;

static void put(const char *path, const char *text)
{
    char whole[128];

    (void)snprintf(whole, sizeof(whole), "%s/%s", scene.dir, path);
    CL_CLEANUP_FD int fd = open(whole, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && cl_write_all(fd, text, strlen(text)) == 0);
}

static void make_directory(const char *path)
{
    char whole[128];

    (void)snprintf(whole, sizeof(whole), "%s/%s", scene.dir, path);
    CHECK(mkdir(whole, 0755) == 0);
}

static void link_to(const char *target, const char *path)
{
    char whole[128];

    (void)snprintf(whole, sizeof(whole), "%s/%s", scene.dir, path);
    CHECK(symlink(target, whole) == 0);
}

static void set_up(void)
{
    static const char *const directories[] = {"app", "bin", "usr", "usr/bin", "3", "3/tree"};

    memset(&scene, 0, sizeof(scene));
    scene.arena = CL_ARENA_INIT(1 << 20);
    scene.module = CL_MODULE_INIT;
    (void)snprintf(scene.dir, sizeof(scene.dir), "/tmp/cl-test-module-XXXXXX");
    CHECK(mkdtemp(scene.dir) != NULL);
    for (size_t i = 0; i < CL_ARRAY_SIZE(directories); i++)
        make_directory(directories[i]);
    put("app/a.wasm", "1");
    put("usr/bin/b.wasm", "2");
    put("3/tree/module.wasm", "3");
    link_to("/app/a.wasm", "inside");
    link_to("../../../../../../etc/passwd", "outside");
    link_to("loop", "loop");
}

static void clean_up(void)
{
    char command[64];

    cl_module_done(&scene.module);
    cl_arena_done(&scene.arena);
    (void)snprintf(command, sizeof(command), "rm -rf %s", scene.dir);
    CHECK(system(command) == 0); // NOLINT(cert-env33-c): a directory of our own
}

/* COMMAND in the image's tree, with WORKDIR and PATH. */
static int compile(const char *command, const char *workdir, const char *path)
{
    static const char *words[1];
    static const char *env[1];

    words[0] = command;
    env[0] = cl_arena_printf(&scene.arena, "PATH=%s", path);
    scene.plan.image = "rootfs:x";
    scene.plan.image_kind = CL_IMAGE_ROOTFS;
    scene.plan.image_path = scene.dir;
    scene.plan.image_module = 1;
    scene.plan.workdir = workdir;
    scene.plan.command = (struct cl_strlist){words, 1};
    scene.plan.env = (struct cl_strlist){env, 1};
    scene.err = (struct cl_error){0};
    cl_module_done(&scene.module);
    scene.module = CL_MODULE_INIT;
    return cl_run_module_compile(&scene.plan, 0, &scene.arena, &scene.module, &scene.err);
}

/* What was found is a file that has BYTE. */
static int has_found(int r, char byte)
{
    char expected[] = "it has the byte .";

    expected[sizeof(expected) - 2] = byte;
    CHECK_HAS(scene.err.msg, expected);
    return r < 0 && scene.module.fd < 0 && strstr(scene.err.msg, expected) != NULL;
}

TEST(a_module_is_found_as_a_command_is)
{
    static const struct {
        const char *command;
        const char *workdir;
        const char *path;
        char expected;
    } rows[] = {
        {"/app/a.wasm", "/", "", '1'},
        {"//app/./a.wasm", "/bin", "", '1'},
        {"/bin/../app/a.wasm", "/", "", '1'},
        {"./a.wasm", "/app", "", '1'},
        {"app/a.wasm", "/", "", '1'},
        {"../app/a.wasm", "/bin", "", '1'},
        {"a.wasm", "/app", "/usr/bin", '1'},
        {"b.wasm", "/app", "/bin:/usr/bin", '2'},
        {"b.wasm", "/app", "::/nowhere:/usr/bin/", '2'},
        {"/inside", "/", "", '1'},
    };

    set_up();
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(has_found(compile(rows[i].command, rows[i].workdir, rows[i].path), rows[i].expected));
        CHECK(strncmp(scene.err.msg, "image rootfs:x: ", 16) == 0);
    }
    clean_up();
}

TEST(what_is_no_module_of_the_tree_is_told)
{
    static const struct {
        const char *command;
        int expected;
        const char *message;
    } rows[] = {
        {"/none.wasm", -ENOENT, "image rootfs:x: there is no /none.wasm, which is the module to"},
        {"none.wasm", -ENOENT, "there is no none.wasm"},
        {"app/b.wasm", -ENOENT, "there is no app/b.wasm"}, /* a path is in no PATH */
        {"/app/a.wasm/x", -ENOENT, "there is no /app/a.wasm/x"},
        {"/outside", -ENOENT, "there is no /outside"},
        {"/loop", -ELOOP, "image rootfs:x: open /loop: "},
        {"/app", -EINVAL, "image rootfs:x: /app: not a regular file"},
    };

    set_up();
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const int before = check_count_fds();

        CHECK(compile(rows[i].command, "/", "/usr") == rows[i].expected);
        CHECK_HAS(scene.err.msg, rows[i].message);
        CHECK(scene.module.fd < 0 && check_count_fds() == before);
    }
    clean_up();
}

TEST(a_module_that_a_volume_hides_is_refused)
{
    const struct cl_plan_file files[] = {{.target = "/ap"}, {.target = "/app"}};

    set_up();
    scene.plan.files.items = files;
    scene.plan.files.count = 1;
    CHECK(has_found(compile("/app/a.wasm", "/", ""), '1')); /* its name is another's beginning */
    scene.plan.files.count = 2;
    CHECK(compile("/bin/../app/a.wasm", "/", "") == -ENOTSUP);
    CHECK_HAS(scene.err.msg, "/app/a.wasm lies under /app, which is mounted over it");
    CHECK(has_found(compile("/usr/bin/b.wasm", "/", ""), '2'));
    clean_up();
}

TEST(a_module_of_the_store_is_its_layers_file)
{
    static const char *const layers[] = {"3"};
    static const char *const others[] = {"4"};

    set_up();
    scene.plan = (struct cl_plan){.image = "some:1",
                                  .image_kind = CL_IMAGE_MODULE,
                                  .image_path = scene.dir,
                                  .image_layers = {layers, 1}};
    CHECK(has_found(cl_run_module_compile(&scene.plan, 0, &scene.arena, &scene.module, &scene.err),
                    '3'));
    CHECK(strncmp(scene.err.msg, "some:1", 6) == 0); /* that is what the module is called */
    scene.plan.image_layers = (struct cl_strlist){others, 1};
    CHECK(cl_run_module_compile(&scene.plan, 0, &scene.arena, &scene.module, &scene.err) ==
          -ENOENT);
    CHECK_HAS(scene.err.msg, "the store lacks it: cloister pull some:1");
    clean_up();
}

TEST(a_file_is_described_before_it_is_there)
{
    struct cl_plan flags = {.image = "/nowhere/x.wasm"};
    struct cl_plan part = {0};

    set_up();
    CHECK(cl_run_module_part(&flags, &scene.arena, &part, &scene.err) == 0);
    CHECK(part.image_kind == CL_IMAGE_MODULE && part.entrypoint.count == 1);
    CHECK_TEXT(part.entrypoint.items[0], "x.wasm");
    part.image = flags.image;
    CHECK(cl_run_module_compile(&part, 0, &scene.arena, &scene.module, &scene.err) == -ENOENT);
    CHECK_HAS(scene.err.msg, "/nowhere/x.wasm");
    part.image = cl_arena_printf(&scene.arena, "%s/app/a.wasm", scene.dir);
    CHECK(has_found(cl_run_module_compile(&part, 0, &scene.arena, &scene.module, &scene.err), '1'));
    flags.image = "debian:12";
    part = (struct cl_plan){0};
    CHECK(cl_run_module_part(&flags, &scene.arena, &part, &scene.err) == 0 && part.set == 0);
    clean_up();
}

/* Its model is the one that it can have; another is refused to who asked for it. */
TEST(a_component_has_a_worker_of_its_own)
{
    /* and no more of one: nothing that root's cache could have been given by others */
    static const char preamble[] = "\0asm\x0d\0\1\0broken";
    char path[64];

    set_up();
    (void)snprintf(path, sizeof(path), "%s/c.wasm", scene.dir);
    CL_CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && cl_write_all(fd, preamble, sizeof(preamble)) == 0);
    scene.plan = (struct cl_plan){.image_kind = CL_IMAGE_MODULE, .image = path};
    scene.plan.wasm_model = CL_WASM_COROUTINE;
    scene.plan.shares_worker = 1;
    CHECK(cl_run_module_compile(&scene.plan, 1, &scene.arena, &scene.module, &scene.err) ==
          -EINVAL);
    CHECK_HAS(scene.err.msg, "a component (WASI 0.2) has a worker of its own");
    CHECK(scene.plan.image_component == 0);
    CHECK(cl_run_module_compile(&scene.plan, 0, &scene.arena, &scene.module, &scene.err) < 0);
    CHECK_HAS(scene.err.msg, "it has the byte"); /* it came to the compiler */
    CHECK(scene.plan.image_component == 1 && scene.plan.wasm_model == CL_WASM_PROCESS);
    CHECK(scene.plan.shares_worker == 0);
    CHECK(cl_plan_has(&scene.plan, CL_FIELD_IMAGE_COMPONENT));
    clean_up();
}

TEST(other_plans_have_none)
{
    static const enum cl_image_kind kinds[] = {CL_IMAGE_HOST, CL_IMAGE_ROOTFS, CL_IMAGE_STORE,
                                               CL_IMAGE_MODULES};

    set_up();
    for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
        scene.plan = (struct cl_plan){.image_kind = kinds[i]};
        CHECK(cl_run_module_compile(&scene.plan, 0, &scene.arena, &scene.module, &scene.err) == 0);
        CHECK(scene.module.fd < 0 && cl_run_module_file(&scene.module) == 0);
    }
    clean_up();
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(a_module_is_found_as_a_command_is),       ROW(what_is_no_module_of_the_tree_is_told),
        ROW(a_module_that_a_volume_hides_is_refused), ROW(a_module_of_the_store_is_its_layers_file),
        ROW(a_file_is_described_before_it_is_there),  ROW(other_plans_have_none),
        ROW(a_component_has_a_worker_of_its_own),
    };

    programs_enter(argc, argv);
    program_fake("cloister-wasmc", "*", "echo \"$2: it has the byte $(cat)\" >&2; exit 1");
    int failed = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return failed;
}
