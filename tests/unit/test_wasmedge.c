/* test_wasmedge.c - the adapter to WasmEdge, with a library in its place that does as it is told
 * (tests/wasmedge): what of it is asked for, what its answers become, and that all is given back.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "check.h"
#include "engine/wasmedge/wasmedge.h"

#define FAKE(version) CL_TEST_FAKES "/fake-wasmedge-" version ".so"

static const char *const versions[] = {FAKE("13"), FAKE("14"), FAKE("17")};

/* --- a module ------------------------------------------------------------------------------ */

static const uint8_t header[] = {'\0', 'a', 's', 'm', 1, 0, 0, 0};

struct bytes {
    uint8_t data[4096];
    size_t size;
};

static void add(struct bytes *bytes, const void *data, size_t size)
{
    CL_ASSERT(size <= sizeof(bytes->data) - bytes->size);
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void add_number(struct bytes *bytes, uint64_t number)
{
    do {
        const uint8_t byte = (uint8_t)((number & 0x7f) | (number > 0x7f ? 0x80 : 0));

        add(bytes, &byte, 1);
        number >>= 7;
    } while (number != 0);
}

static void add_section(struct bytes *bytes, uint8_t id, const struct bytes *content)
{
    add(bytes, &id, 1);
    add_number(bytes, content->size);
    add(bytes, content->data, content->size);
}

static struct bytes with_custom(const char *name, const char *text)
{
    struct bytes module = {.size = 0};
    struct bytes content = {.size = 0};

    add(&module, header, sizeof(header));
    add_number(&content, strlen(name));
    add(&content, name, strlen(name));
    add(&content, text, strlen(text));
    add_section(&module, 0, &content);
    return module;
}

static struct bytes with_memories(const char *script, const uint64_t *pages, size_t count)
{
    struct bytes module = with_custom("fake", script);
    struct bytes content = {.size = 0};

    add_number(&content, count);
    for (size_t i = 0; i < count; i++) {
        add_number(&content, i % 2); /* some with a maximum */
        add_number(&content, pages[i]);
        if (i % 2 == 1)
            add_number(&content, pages[i] + 1);
    }
    add_section(&module, 5, &content);
    return module;
}

/* --- a run --------------------------------------------------------------------------------- */

struct scene {
    struct cl_engine engine;
    struct cl_program program;
    struct cl_wasi *wasi;
    int out; /* what the guest has written */
    struct cl_guest *guest;
    struct cl_guest_end end;
    struct cl_error err;
};

static int counter(const struct scene *scene, const char *name)
{
    const int *found = dlsym(scene->engine.edge.library, name);

    CL_ASSERT(found != NULL);
    return *found;
}

static void make_wasi(struct scene *scene, uint64_t most)
{
    static const char *const argv[] = {"guest", "one", NULL};
    static const char *const envp[] = {NULL};
    int out[2];

    CHECK(pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0);
    scene->out = out[0];
    const struct cl_wasi_setup setup = {.argv = argv,
                                        .envp = envp,
                                        .streams = {-1, out[1], -1},
                                        .max_descriptors = 16,
                                        .max_output_bytes = most};
    CHECK(cl_wasi_new(&setup, &scene->wasi, &scene->err) == 0);
}

static int run_bytes(struct scene *scene, const char *fake, struct bytes *module)
{
    const struct cl_guest_limits limits = {.memory_bytes = 4 << 16};

    *scene = (struct scene){.out = -1};
    CHECK(cl_edge_load(fake, &scene->engine.edge, &scene->err) == 0);
    scene->program =
        (struct cl_program){.engine = &scene->engine, .bytes = module->data, .size = module->size};
    make_wasi(scene, 100);
    int r = cl_guest_new(&scene->program, scene->wasi, &limits, &scene->guest, &scene->err);
    CHECK(r == 0);
    return r < 0 ? r : cl_guest_run(scene->guest, &scene->end, &scene->err);
}

static int run(struct scene *scene, const char *fake, const char *script)
{
    static const uint64_t pages[] = {1};
    struct bytes module = with_memories(script, pages, 1);

    return run_bytes(scene, fake, &module);
}

static void scene_done(struct scene *scene)
{
    cl_guest_free(scene->guest);
    CHECK(counter(scene, "fake_live") == 0);
    cl_fd_close(&scene->out);
    cl_edge_unload(&scene->engine.edge);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

/* --- loading it ---------------------------------------------------------------------------- */

TEST(known_versions_are_taken_and_told_to_be_silent)
{
    static const uint32_t minors[] = {13, 14, 17};
    struct cl_error err = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(versions); i++) {
        struct cl_edge edge = {0};

        CHECK(cl_edge_load(versions[i], &edge, &err) == 0);
        CHECK(edge.minor == minors[i] && strstr(edge.version, "-fake") != NULL);
        CHECK((edge.LoaderParseFromBuffer != NULL) == (minors[i] == 13));
        CHECK((edge.LoaderParseFromBytes != NULL) == (minors[i] > 13));
        CHECK(edge.ExecutorInvoke != NULL);
        const int *is_off = dlsym(edge.library, "fake_log_is_off");
        CHECK(is_off != NULL && *is_off);
        cl_edge_unload(&edge);
    }
}

TEST(versions_that_are_not_known_are_refused)
{
    struct cl_edge edge = {0};
    struct cl_error err = {0};

    CHECK(cl_edge_load(FAKE("12"), &edge, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "is WasmEdge 0.12.1-fake");
    CHECK_HAS(err.msg, "0.13 to 0.17");
    CHECK(cl_edge_load(FAKE("18"), &edge, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "is WasmEdge 0.18.1-fake");
    CHECK(edge.library == NULL);
}

TEST(a_function_that_is_missing_is_named)
{
    struct cl_edge edge = {0};
    struct cl_error err = {0};

    CHECK(cl_edge_load(FAKE("16-lacks"), &edge, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "has no function WasmEdge_StoreCreate");
    CHECK(cl_edge_load("libc.so.6", &edge, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "WasmEdge_VersionGetMajor");
}

TEST(a_library_that_is_not_there_is_told)
{
    struct cl_edge edge = {0};
    struct cl_error err = {0};

    CHECK(cl_edge_load("libnowhere.so.0", &edge, &err) == -ENOENT);
    CHECK_HAS(err.msg, "WasmEdge: libnowhere.so.0");
}

TEST(no_turns_are_taken)
{
    const struct cl_engine_pool pool = {.guests = 1};
    struct cl_engine *engine = NULL;
    struct cl_error err = {0};

    CHECK(cl_engine_new(&pool, &engine, &err) == -ENOTSUP && engine == NULL);
    CHECK_HAS(err.msg, "--wasm-model process");
    CHECK(cl_engine_new_alone(1, &engine, &err) == -ENOTSUP && engine == NULL);
}

/* --- a guest ------------------------------------------------------------------------------- */

#define WRITES(text, size)                                                                         \
    "import wasi_snapshot_preview1 fd_write\npages 1\ntext 100 " text "\nword 0 100\nword 4 " size \
    "\ncall fd_write 1 0 1 16\n"

TEST(calls_reach_wasi_in_each_version)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(versions); i++) {
        CL_CLEANUP_SCENE struct scene scene = {.out = -1};
        char text[32] = "";

        CHECK(run(&scene, versions[i], WRITES("hello", "5") "expect 0\n") == 0);
        CHECK(scene.end.kind == CL_GUEST_END_EXITED && scene.end.exit_code == 0);
        CHECK(read(scene.out, text, sizeof(text)) == 5 && strcmp(text, "hello") == 0);
        CHECK(cl_guest_memory_bytes(scene.guest) == 1 << 16);
        CHECK(counter(&scene, "fake_is_interpreter") == 1);
    }
}

/* An i64 and i32s whose upper halves are no part of them. */
TEST(arguments_are_of_their_types)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(versions); i++) {
        CL_CLEANUP_SCENE struct scene scene = {.out = -1};

        CHECK(run(&scene, versions[i],
                  "pages 1\ncall clock_time_get 1 0x100000000 64\nexpect 0\n"
                  "call fd_seek 77 0x8000000000000000 0 64\nexpect 8\n") == 0);
        CHECK(scene.end.kind == CL_GUEST_END_EXITED);
    }
}

TEST(a_guest_ends_as_it_says)
{
    CL_CLEANUP_SCENE struct scene scene = {.out = -1};

    CHECK(run(&scene, versions[1], "call proc_exit 7\ntrap 10\n") == 0);
    CHECK(scene.end.kind == CL_GUEST_END_EXITED && scene.end.exit_code == 7);
}

TEST(a_guest_ends_before_it_is_whole)
{
    CL_CLEANUP_SCENE struct scene scene = {.out = -1};

    CHECK(run(&scene, versions[1], "pages 1\nearly call fd_sync 99\nearly call proc_exit 3\n") ==
          0);
    CHECK(scene.end.kind == CL_GUEST_END_EXITED && scene.end.exit_code == 3);
}

TEST(traps_have_the_librarys_words)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(versions); i++) {
        static const char *const scripts[] = {"trap 10\n", "pages 1\nearly trap 10\n"};

        for (size_t k = 0; k < CL_ARRAY_SIZE(scripts); k++) {
            CL_CLEANUP_SCENE struct scene scene = {.out = -1};

            CHECK(run(&scene, versions[i], scripts[k]) == 0);
            CHECK(scene.end.kind == CL_GUEST_END_TRAPPED);
            CHECK_TEXT(scene.end.trap, "trap: unreachable");
        }
    }
}

TEST(words_are_made_fit_to_be_shown)
{
    CL_CLEANUP_SCENE struct scene scene = {.out = -1};

    CHECK(run(&scene, versions[1], "trap 1\n") == 0);
    CHECK_HAS(scene.end.trap, "trap: a failure ");
    CHECK(strchr(scene.end.trap, '\n') == NULL && strchr(scene.end.trap, '\033') == NULL);
}

TEST(a_signal_that_it_raises_is_a_trap)
{
    CL_CLEANUP_SCENE struct scene scene = {.out = -1};

    CHECK(run(&scene, versions[1], "call proc_raise 6\n") == 0);
    CHECK(scene.end.kind == CL_GUEST_END_TRAPPED);
    CHECK_HAS(scene.end.trap, "raised a signal");
}

TEST(too_much_output_ends_it)
{
    CL_CLEANUP_SCENE struct scene scene = {.out = -1};

    CHECK(run(&scene, versions[1],
              WRITES("x", "101") "call fd_write 1 0 1 16\ncall proc_exit 0\n") == 0);
    CHECK(scene.end.kind == CL_GUEST_END_EXCEEDED);
}

TEST(a_memory_grows_to_the_limit)
{
    CL_CLEANUP_SCENE struct scene scene = {.out = -1};

    CHECK(run(&scene, versions[1],
              "pages 1\ngrow 3\nexpect 1\ngrow 1\nexpect 0xffffffff\n"
              "call random_get 0x3ff00 0x100\nexpect 0\ncall random_get 0x3ff00 0x101\nexpect "
              "21\n") == 0);
    CHECK(scene.end.kind == CL_GUEST_END_EXITED);
    CHECK(cl_guest_memory_bytes(scene.guest) == 4 << 16);
}

TEST(a_call_waits)
{
    CL_CLEANUP_SCENE struct scene scene = {.out = -1};

    /* one subscription, to the monotonic clock, in a millisecond */
    CHECK(run(&scene, versions[1],
              "pages 1\nword 16 1\nword 24 1000000\ncall poll_oneoff 0 256 1 512\nexpect 0\n") ==
          0);
    CHECK(scene.end.kind == CL_GUEST_END_EXITED);
}

/* --- what can't be run --------------------------------------------------------------------- */

static void check_refused(const char *fake, const char *script, const char *why)
{
    CL_CLEANUP_SCENE struct scene scene = {.out = -1};

    CHECK(run(&scene, fake, script) == -EINVAL);
    CHECK_HAS(scene.err.msg, why);
}

TEST(what_the_library_refuses_is_told_in_its_words)
{
    check_refused(versions[0], "fail parse 0x103\n", "can't be run: magic header not detected");
    check_refused(versions[1], "fail parse 0x103\n", "can't be run: magic header not detected");
    check_refused(versions[1], "fail validate 0x202\n", "can't be run: type mismatch");
    check_refused(versions[1], "fail instantiate 0x301\n", "incompatible import type");
    check_refused(versions[0], "fail instantiate 0x61\n", "can't be run: a failure");
    check_refused(versions[1], "nothing\n", "no function _start");
}

TEST(an_import_that_is_not_there_is_named)
{
    check_refused(versions[1], "import wasi_snapshot_preview1 fd_read\nimport env more\n",
                  "it imports more from env, which is not there");
    check_refused(versions[1], "import wasi_snapshot_preview1 fd_reed\n", "imports fd_reed");
    check_refused(versions[1], "import wasi_unstable fd_read\n", "from wasi_unstable");
}

static struct cl_error refused(struct bytes *module)
{
    CL_CLEANUP_SCENE struct scene scene = {.out = -1};

    CHECK(run_bytes(&scene, versions[1], module) == -EINVAL);
    return scene.err;
}

TEST(a_memory_that_begins_too_large_is_refused)
{
    static const uint64_t large[] = {1, 5};
    static const uint64_t huge[] = {1ULL << 48};
    static const uint64_t right[] = {4, 4};
    struct bytes module = with_memories("", large, 2);

    CHECK_HAS(refused(&module).msg, "begins with 5 pages of 64 KiB, and may have 4");
    module = with_memories("", huge, 1);
    CHECK_HAS(refused(&module).msg, "begins with 281474976710656 pages");
    CL_CLEANUP_SCENE struct scene scene = {.out = -1};
    module = with_memories("pages 4\n", right, 2);
    CHECK(run_bytes(&scene, versions[1], &module) == 0);
}

/* WasmEdge would run it. */
TEST(machine_code_of_a_module_is_refused)
{
    struct bytes module = with_custom("wasmedge", "ELF");
    struct bytes other = with_custom("wasmedgf", "");

    CHECK_HAS(refused(&module).msg, "at 0x8: the module brings machine code");
    CL_CLEANUP_SCENE struct scene scene = {.out = -1};
    CHECK(run_bytes(&scene, versions[1], &other) == 0);
}

TEST(what_is_no_core_module_is_refused)
{
    struct bytes component = {.data = "\0asm\x0d\0\1", .size = 8};
    struct bytes later = {.data = "\0asm\2\0\0", .size = 8};
    struct bytes elf = {.data = "\177ELF....", .size = 8};
    struct bytes begun = {.data = "\0as", .size = 3};

    CHECK_HAS(refused(&component).msg, "it is a component");
    CHECK_HAS(refused(&later).msg, "of a version that is not known");
    CHECK_HAS(refused(&elf).msg, "no WebAssembly module");
    CHECK_HAS(refused(&begun).msg, "no WebAssembly module");
}

/* Each part of a module as if it were all: nothing is read beyond its end. */
TEST(a_look_ends_where_the_bytes_do)
{
    static const uint64_t pages[] = {3, 300, 70000};
    const struct bytes module = with_memories("some script", pages, 3);
    struct cl_edge_form form = {0};
    struct cl_error err = {0};

    for (size_t size = 0; size <= module.size; size++) {
        uint8_t *exact = cl_realloc(NULL, size == 0 ? 1 : size);

        CL_ASSERT(exact != NULL);
        memcpy(exact, module.data, size);
        int r = cl_edge_look(exact, size, &form, &err);
        free(exact);
        if (size == module.size)
            CHECK(r == 0 && form.memory_pages == 70000);
        else
            CHECK(r == -EINVAL || form.memory_pages == 0);
    }
}

TEST(sections_that_cannot_be_read_have_an_offset)
{
    struct bytes longer = {.data = "\0asm\1\0\0\0\5\177", .size = 10};
    struct bytes endless = {.data = "\0asm\1\0\0\0\5\3\1\200\200", .size = 13};
    struct bytes strange = {.data = "\0asm\1\0\0\0\5\3\1\10\1", .size = 13};

    CHECK_HAS(refused(&longer).msg, "at 0x8: a section that can't be read");
    CHECK_HAS(refused(&endless).msg, "at 0x8");
    CHECK_HAS(refused(&strange).msg, "at 0x8");
}

/* --- programs ------------------------------------------------------------------------------ */

TEST(a_program_is_its_files_bytes)
{
    struct cl_engine engine = {0};
    struct cl_program *program = NULL;
    struct cl_error err = {0};
    CL_CLEANUP_FD int file = memfd_create("module", MFD_CLOEXEC);
    CL_CLEANUP_FD int none = open("/", O_RDONLY | O_CLOEXEC);

    CHECK(cl_program_new(&engine, file, &program, &err) == -ENOEXEC); /* it is empty */
    CHECK(cl_program_new(&engine, none, &program, &err) == -ENOEXEC && program == NULL);
    CHECK(write(file, header, sizeof(header)) == sizeof(header));
    CHECK(cl_program_new(&engine, file, &program, &err) == 0);
    cl_fd_close(&file); /* it needs it no more */
    CHECK(program->size == sizeof(header) && memcmp(program->bytes, header, sizeof(header)) == 0);
    CHECK(cl_program_file(program) == -1);
    cl_program_free(program);
}

static const struct check_test tests[] = {
    ROW(known_versions_are_taken_and_told_to_be_silent),
    ROW(versions_that_are_not_known_are_refused),
    ROW(a_function_that_is_missing_is_named),
    ROW(a_library_that_is_not_there_is_told),
    ROW(no_turns_are_taken),
    ROW(calls_reach_wasi_in_each_version),
    ROW(arguments_are_of_their_types),
    ROW(a_guest_ends_as_it_says),
    ROW(a_guest_ends_before_it_is_whole),
    ROW(traps_have_the_librarys_words),
    ROW(words_are_made_fit_to_be_shown),
    ROW(a_signal_that_it_raises_is_a_trap),
    ROW(too_much_output_ends_it),
    ROW(a_memory_grows_to_the_limit),
    ROW(a_call_waits),
    ROW(what_the_library_refuses_is_told_in_its_words),
    ROW(an_import_that_is_not_there_is_named),
    ROW(a_memory_that_begins_too_large_is_refused),
    ROW(machine_code_of_a_module_is_refused),
    ROW(what_is_no_core_module_is_refused),
    ROW(a_look_ends_where_the_bytes_do),
    ROW(sections_that_cannot_be_read_have_an_offset),
    ROW(a_program_is_its_files_bytes),
};

int main(void)
{
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
