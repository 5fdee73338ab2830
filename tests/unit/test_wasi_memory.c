/* test_wasi_memory.c - pointers and lengths that a hostile guest gives: every function of the
 * table with each argument at the ends of the memory, beyond, and on top of others. The memory is
 * the heap's, to its last byte: the sanitizer sees what goes beside it. */
#include <poll.h>

#include "wasi_scene.h"

static const uint64_t values[] = {
    0,          1,          2,          3,          4,          8,          LIST,
    PATH,       MEMORY - 8, MEMORY - 4, MEMORY - 1, MEMORY,     MEMORY + 1, 0x7fffffff,
    0x80000000, 0xfffffff8, 0xffffffff, 1ULL << 32, 1ULL << 63, UINT64_MAX,
};

/* random_get of 4 GiB isn't possible here: it is refused. But proc_exit and proc_raise do what they
 * are told. */
static int is_answer(const struct cl_wasi_function *function, uint32_t r)
{
    if (r == CL_WASI_WAITS)
        return function->may_wait;
    if (r == CL_WASI_ENDS)
        return !function->has_result;
    if (r == CL_WASI_TRAPS)
        return strcmp(function->name, "proc_raise") == 0;
    return r <= CL_WASI_NOTCAPABLE;
}

/* Descriptors of each kind, which calls close and renumber at will. */
static void open_some(struct scene *scene)
{
    (void)scene_try_open(scene, ROOT, "f", CL_WASI_CREAT, ALL_RIGHTS);
    (void)scene_try_open(scene, ROOT, ".", 0,
                         ALL_RIGHTS & ~(CL_WASI_RIGHT_FD_WRITE | CL_WASI_RIGHT_FD_ALLOCATE |
                                        CL_WASI_RIGHT_FD_FILESTAT_SET_SIZE));
}

static int is_for_files_only(const struct cl_wasi_function *function)
{
    return strcmp(function->name, "fd_allocate") == 0 ||
           strcmp(function->name, "fd_filestat_set_size") == 0;
}

static void call(struct scene *scene, const struct cl_wasi_function *function,
                 const uint64_t *arguments)
{
    if (is_for_files_only(function))
        return; /* they have sizes and no pointers: tested with files, and could fill the disk */
    uint32_t r = scene_call(scene, function->name, arguments);
    if (!is_answer(function, r))
        printf("# %s answers %u\n", function->name, r);
    CHECK(is_answer(function, r));
    if (r == CL_WASI_WAITS) {
        const struct cl_wasi_wait *wait = cl_wasi_waits_for(scene->wasi);

        CHECK(wait->count == 0 || poll(wait->fds, wait->count, 0) >= 0);
    }
}

/* One argument after the other gets each value, with the others good ones. */
static void try_function(struct scene *scene, const struct cl_wasi_function *function)
{
    static const uint64_t good[] = {ROOT, PATH, 1, DATA, 1, RET, 0, 0, RET2};
    const size_t count = strlen(function->parameters);

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < CL_ARRAY_SIZE(values); k++) {
            uint64_t arguments[CL_WASI_MAX_ARGUMENTS];

            memcpy(arguments, good, sizeof(arguments));
            arguments[i] = values[k];
            call(scene, function, arguments);
        }
    for (size_t k = 0; k < CL_ARRAY_SIZE(values); k++) {
        uint64_t arguments[CL_WASI_MAX_ARGUMENTS];

        for (size_t i = 0; i < CL_WASI_MAX_ARGUMENTS; i++)
            arguments[i] = values[k];
        call(scene, function, arguments);
    }
}

TEST(each_function_takes_any_argument)
{
    for (size_t i = 0; i < CL_WASI_FUNCTION_COUNT; i++) {
        CLEANUP_SCENE struct scene scene = scene_make();

        open_some(&scene);
        try_function(&scene, &cl_wasi_functions[i]);
        CHECK(scene_holds(&scene, "../secret", "outside"));
    }
}

/* Where the pointers are, and how long what they point to is, as the specification has it. */
struct pointers {
    const char *name;
    uint64_t arguments[CL_WASI_MAX_ARGUMENTS]; /* with which it works */
    struct {
        uint8_t argument, size;
    } of[3];
};

TEST(each_pointer_is_good_to_the_last_byte_and_no_further)
{
    static const struct pointers rows[] = {
        {"args_get", {LIST, DATA}, {{0, 12}, {1, 21}}},
        {"args_sizes_get", {RET, RET2}, {{0, 4}, {1, 4}}},
        {"environ_get", {LIST, DATA}, {{0, 8}, {1, 7}}},
        {"environ_sizes_get", {RET, RET2}, {{0, 4}, {1, 4}}},
        {"clock_res_get", {1, RET}, {{1, 8}}},
        {"clock_time_get", {1, 0, RET}, {{2, 8}}},
        {"fd_fdstat_get", {4, DATA}, {{1, 24}}},
        {"fd_filestat_get", {4, DATA}, {{1, 64}}},
        {"fd_pread", {4, LIST, 1, 0, RET}, {{1, 8}, {4, 4}}},
        {"fd_prestat_get", {ROOT, RET}, {{1, 8}}},
        {"fd_prestat_dir_name", {ROOT, DATA, 1}, {{1, 1}}},
        {"fd_pwrite", {4, LIST, 1, 0, RET}, {{1, 8}, {4, 4}}},
        {"fd_read", {4, LIST, 1, RET}, {{1, 8}, {3, 4}}},
        {"fd_readdir", {5, DATA, 100, 0, RET}, {{1, 100}, {4, 4}}},
        {"fd_seek", {4, 0, 0, RET}, {{3, 8}}},
        {"fd_tell", {4, RET}, {{1, 8}}},
        {"fd_write", {4, LIST, 1, RET}, {{1, 8}, {3, 4}}},
        {"path_filestat_get", {ROOT, 0, PATH, 1, DATA}, {{2, 1}, {4, 64}}},
        {"path_filestat_set_times", {ROOT, 0, PATH, 1, 0, 0, 0}, {{2, 1}}},
        {"path_open", {ROOT, 0, PATH, 1, 0, READS, 0, 0, RET}, {{2, 1}, {8, 4}}},
        {"path_readlink", {ROOT, PATH2, 1, DATA, 9, RET}, {{1, 1}, {3, 9}, {5, 4}}},
        {"path_rename", {ROOT, PATH, 1, ROOT, PATH, 1}, {{1, 1}, {4, 1}}},
        {"poll_oneoff", {DATA, DATA, 1, RET}, {{0, 48}, {1, 32}, {3, 4}}},
        {"random_get", {DATA, 9}, {{0, 9}}},
    };
    CLEANUP_SCENE struct scene scene = scene_make();
    uint8_t *memory = scene.memory.base;

    CHECK(symlinkat("f", scene.root, "l") == 0);
    open_some(&scene); /* 4 and 5 */
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const struct pointers *row = &rows[i];

        for (size_t k = 0; k < 3 && row->of[k].size > 0; k++) {
            uint64_t arguments[CL_WASI_MAX_ARGUMENTS];
            const uint64_t last = MEMORY - row->of[k].size;

            memset(memory + DATA, 0, MEMORY - DATA); /* all zero is a subscription that is due */
            memset(memory + LIST, 0, 8);
            memory[PATH] = 'f';
            memory[PATH2] = 'l';
            memcpy(arguments, row->arguments, sizeof(arguments));
            CHECK(scene_call(&scene, row->name, arguments) == CL_WASI_SUCCESS);
            memset(memory + DATA, 0, MEMORY - DATA);
            arguments[row->of[k].argument] = last;
            memory[MEMORY - 1] =
                row->of[k].size == 1 ? memory[row->arguments[row->of[k].argument]] : 0;
            uint32_t r = scene_call(&scene, row->name, arguments);
            CHECK_TEXT(r == CL_WASI_SUCCESS ? row->name : "fails at the end", row->name);
            arguments[row->of[k].argument] = last + 1;
            r = scene_call(&scene, row->name, arguments);
            CHECK_TEXT(r == CL_WASI_FAULT ? row->name : "takes what is outside", row->name);
            arguments[row->of[k].argument] = UINT32_MAX;
            CHECK(scene_call(&scene, row->name, arguments) == CL_WASI_FAULT);
        }
    }
}

TEST(a_guest_without_memory_has_no_place_for_anything)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    uint8_t *base = scene.memory.base;
    const uint64_t arguments[CL_WASI_MAX_ARGUMENTS] = {0};

    scene.memory = (struct cl_wasi_memory){.base = NULL, .size_bytes = 0};
    for (size_t i = 0; i < CL_WASI_FUNCTION_COUNT; i++)
        CHECK(is_answer(&cl_wasi_functions[i],
                        scene_call(&scene, cl_wasi_functions[i].name, arguments)));
    CHECK(CALL(&scene, "random_get", 0, 1) == CL_WASI_FAULT);
    scene.memory = (struct cl_wasi_memory){.base = base, .size_bytes = MEMORY};
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_function_takes_any_argument),
        ROW(each_pointer_is_good_to_the_last_byte_and_no_further),
        ROW(a_guest_without_memory_has_no_place_for_anything),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
