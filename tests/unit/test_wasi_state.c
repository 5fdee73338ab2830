/* test_wasi_state.c - a guest's beginning and end, its descriptors, strings, clocks, numbers. */
#include <sched.h>

#include "base/fault.h"
#include "wasi_scene.h"

enum { MAX_POINTS = 64 };

/* --- beginning ----------------------------------------------------------------------------- */

static int null_fd(int flags)
{
    return open("/dev/null", flags | O_CLOEXEC);
}

/* 0 or an error, from descriptors of its own; whatever happens, they are not left. */
static int begin(const char *directory, uint32_t max_descriptors, struct cl_error *err)
{
    static const char *const argv[] = {"program", NULL};
    const struct cl_wasi_preopen preopens[2] = {
        {.name = "/", .directory = open(directory, O_PATH | O_CLOEXEC)},
        {.name = "/ro", .directory = open("/tmp", O_RDONLY | O_CLOEXEC), .is_read_only = 1},
    };
    const struct cl_wasi_setup setup = {
        .argv = argv,
        .envp = argv,
        .streams = {null_fd(O_RDONLY), -1, null_fd(O_WRONLY)},
        .preopens = preopens,
        .preopen_count = 2,
        .max_descriptors = max_descriptors,
    };
    struct cl_wasi *wasi = NULL;

    CHECK(setup.streams[0] >= 0 && preopens[0].directory >= 0 && preopens[1].directory >= 0);
    int r = cl_wasi_new(&setup, &wasi, err);
    CHECK((r == 0) == (wasi != NULL) && (r == 0 || err->code == -r));
    cl_wasi_free(wasi);
    return r;
}

TEST(what_it_is_given_is_closed_in_any_case)
{
    const int before = check_count_fds();
    struct cl_error err = {0};

    CHECK(begin("/var", 5, &err) == 0);
    CHECK(begin("/var", 4, &err) == -EINVAL);
    CHECK_HAS(err.msg, "2 directories");
    CHECK(begin("/var", 2, &err) == -EINVAL && begin("/var", 0, &err) == -EINVAL);
    CHECK(begin("/var", UINT32_MAX, &err) == -EINVAL);
    CHECK(begin("/etc/passwd", 16, &err) == -ENOTDIR);
    CHECK_HAS(err.msg, "directory / is none");
    cl_wasi_free(NULL);
    CHECK(check_count_fds() == before);
}

TEST(each_call_that_fails_at_the_beginning_is_told)
{
    static const char *const kinds[] = {"syscall", "alloc"};
    const int before = check_count_fds();

    for (size_t kind = 0; kind < CL_ARRAY_SIZE(kinds); kind++) {
        int n = 0;
        int r = -1;

        while (r < 0 && ++n < MAX_POINTS) {
            struct cl_error err = {0};
            char text[32];

            (void)snprintf(text, sizeof(text), "%s:%d", kinds[kind], n);
            cl_fault_set(text);
            r = begin("/var", 16, &err);
            /* that a stream is no terminal is no failure */
            CHECK(r == 0 || r == (kind == 0 ? -EIO : -ENOMEM));
            if (r == 0 && cl_fault_struck())
                r = -1;
        }
        CHECK(n > 4 && n < MAX_POINTS);
    }
    cl_fault_set(NULL);
    CHECK(check_count_fds() == before);
}

TEST(a_directory_is_no_stream)
{
    const struct cl_wasi_setup setup = {
        .streams = {-1, open("/tmp", O_RDONLY | O_CLOEXEC), -1},
        .max_descriptors = 3,
    };
    const int before = check_count_fds();
    struct cl_wasi *wasi = NULL;
    struct cl_error err = {0};

    CHECK(cl_wasi_new(&setup, &wasi, &err) == -EISDIR && wasi == NULL);
    CHECK(check_count_fds() == before - 1);
}

/* --- strings ------------------------------------------------------------------------------- */

TEST(a_command_line_has_an_end)
{
    enum { HUGE = 1 << 26 };
    CL_CLEANUP_FREE char *huge = malloc(HUGE);
    const char *const argv[] = {"x", huge, NULL};
    const struct cl_wasi_setup setup = {
        .argv = argv, .streams = {-1, null_fd(O_WRONLY), -1}, .max_descriptors = 3};
    struct cl_wasi *wasi = NULL;
    struct cl_error err = {0};
    const int before = check_count_fds();

    CL_ASSERT(huge != NULL);
    memset(huge, 'x', HUGE);
    huge[HUGE - 1] = '\0';
    CHECK(cl_wasi_new(&setup, &wasi, &err) == -E2BIG && wasi == NULL);
    CHECK_HAS(err.msg, "command line has more than");
    CHECK(check_count_fds() == before - 1);
}

TEST(arguments_and_environment_are_given)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint8_t *memory = scene.memory.base;

    CHECK(CALL(&scene, "args_sizes_get", RET, RET2) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 3 && cl_wasi_load32(memory + RET2) == 21);
    CHECK(CALL(&scene, "args_get", LIST, DATA) == CL_WASI_SUCCESS);
    CHECK(cl_wasi_load32(memory + LIST) == DATA && cl_wasi_load32(memory + LIST + 4) == DATA + 8);
    CHECK(cl_wasi_load32(memory + LIST + 8) == DATA + 20);
    CHECK(memcmp(memory + DATA, "program\0an argument\0", 21) == 0);
    CHECK(CALL(&scene, "environ_sizes_get", RET, RET2) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 2 && cl_wasi_load32(memory + RET2) == 7);
    CHECK(CALL(&scene, "environ_get", LIST, DATA) == CL_WASI_SUCCESS);
    CHECK(memcmp(memory + DATA, "A=1\0B=", 7) == 0);
    /* to the last byte, and not beyond */
    CHECK(CALL(&scene, "environ_get", LIST, MEMORY - 7) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "environ_get", LIST, MEMORY - 6) == CL_WASI_FAULT);
    CHECK(CALL(&scene, "environ_get", MEMORY - 7, DATA) == CL_WASI_FAULT);
    CHECK(CALL(&scene, "environ_get", DATA, DATA) == CL_WASI_SUCCESS); /* overlaps: no harm */
}

/* --- ends ---------------------------------------------------------------------------------- */

TEST(a_guest_ends_or_traps)
{
    static const struct {
        uint32_t signal, answer;
    } rows[] = {
        {0, CL_WASI_SUCCESS}, {1, CL_WASI_TRAPS},          {6, CL_WASI_TRAPS},
        {9, CL_WASI_TRAPS},   {11, CL_WASI_TRAPS},         {16, CL_WASI_SUCCESS},
        {18, CL_WASI_NOTSUP}, {27, CL_WASI_SUCCESS},       {30, CL_WASI_TRAPS},
        {31, CL_WASI_INVAL},  {UINT32_MAX, CL_WASI_INVAL},
    };
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(CALL(&scene, "proc_exit", 77) == CL_WASI_ENDS && cl_wasi_exit_code(scene.wasi) == 77);
    CHECK(CALL(&scene, "proc_exit", UINT32_MAX) == CL_WASI_ENDS);
    CHECK(cl_wasi_exit_code(scene.wasi) == UINT32_MAX);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        CHECK(CALL(&scene, "proc_raise", rows[i].signal) == rows[i].answer);
    CHECK(CALL(&scene, "sched_yield", 0) == CL_WASI_SUCCESS);
}

/* --- clocks and random numbers ------------------------------------------------------------- */

TEST(clocks_tell_the_time)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    struct timespec now;

    for (uint32_t id = 0; id < 4; id++) {
        CHECK(CALL(&scene, "clock_res_get", id, RET) == CL_WASI_SUCCESS);
        CHECK(scene_ret64(&scene, RET) > 0);
        CHECK(CALL(&scene, "clock_time_get", id, 0, RET) == CL_WASI_SUCCESS);
        CHECK(scene_ret64(&scene, RET) > 0);
    }
    CHECK(CALL(&scene, "clock_time_get", CL_WASI_MONOTONIC, UINT64_MAX, RET) == CL_WASI_SUCCESS);
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    const uint64_t later = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    CHECK(scene_ret64(&scene, RET) <= later);
    CHECK(CALL(&scene, "clock_time_get", 4, 0, RET) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "clock_res_get", UINT32_MAX, RET) == CL_WASI_INVAL);
}

TEST(random_numbers_fill_all_of_the_memory)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    uint32_t zeros = 0;

    CHECK(CALL(&scene, "random_get", 0, MEMORY) == CL_WASI_SUCCESS);
    for (uint32_t i = 0; i < MEMORY; i++)
        zeros += scene.memory.base[i] == 0;
    CHECK(zeros < MEMORY / 64);
    CHECK(CALL(&scene, "random_get", MEMORY, 0) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "random_get", 1, MEMORY) == CL_WASI_FAULT);
    CHECK(CALL(&scene, "random_get", UINT32_MAX, UINT32_MAX) == CL_WASI_FAULT);
    cl_fault_set("syscall:1:4"); /* a signal came */
    CHECK(CALL(&scene, "random_get", DATA, 8) == CL_WASI_SUCCESS && cl_fault_struck());
    cl_fault_set("syscall:1");
    CHECK(CALL(&scene, "random_get", DATA, 8) == CL_WASI_IO);
    cl_fault_set(NULL);
}

/* --- descriptors --------------------------------------------------------------------------- */

TEST(descriptors_are_closed_and_the_lowest_comes_next)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const int before = check_count_fds();

    const uint32_t first = scene_open(&scene, "a", CL_WASI_CREAT, ALL_RIGHTS);
    const uint32_t second = scene_open(&scene, "a", 0, READS);
    CHECK(first == 4 && second == 5 && check_count_fds() == before + 2);
    CHECK(CALL(&scene, "fd_close", first) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_close", first) == CL_WASI_BADF);
    CHECK(scene_open(&scene, "a", 0, READS) == first);
    CHECK(CALL(&scene, "fd_close", 99) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_close", UINT32_MAX) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_close", 0) == CL_WASI_SUCCESS);
    CHECK(scene_open(&scene, "a", 0, READS) == 0);
}

TEST(descriptors_end_at_their_most)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    for (uint32_t i = 4; i < MOST; i++)
        CHECK(scene_open(&scene, ".", 0, READS) == i);
    const int before = check_count_fds();
    CHECK(scene_try_open(&scene, ROOT, ".", 0, READS) == CL_WASI_NFILE);
    CHECK(scene_try_open(&scene, ROOT, "new", CL_WASI_CREAT, READS) == CL_WASI_NFILE);
    CHECK(!scene_there(&scene, "new") && check_count_fds() == before);
    CHECK(CALL(&scene, "fd_close", 9) == CL_WASI_SUCCESS);
    CHECK(scene_open(&scene, ".", 0, READS) == 9);
}

TEST(a_number_is_given_to_another)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t a = scene_open(&scene, "a", CL_WASI_CREAT, ALL_RIGHTS);
    const uint32_t b = scene_open(&scene, "b", CL_WASI_CREAT, READS);

    CHECK(CALL(&scene, "fd_renumber", a, a) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_renumber", a, b) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_close", a) == CL_WASI_BADF);
    CHECK(scene_write(&scene, b, "of a") == CL_WASI_SUCCESS && scene_holds(&scene, "a", "of a"));
    CHECK(CALL(&scene, "fd_renumber", a, b) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_renumber", b, a) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_renumber", b, MOST) == CL_WASI_BADF);
    /* over a preopen: its name goes */
    CHECK(CALL(&scene, "fd_renumber", b, ROOT) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_prestat_get", ROOT, RET) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_renumber", 1, 0) == CL_WASI_SUCCESS);
    CHECK(scene_write(&scene, 0, "four") == CL_WASI_SUCCESS);
    CHECK(cl_wasi_written(scene.wasi, 1) == 4 && cl_wasi_written(scene.wasi, 2) == 0);
}

TEST(a_preopen_tells_its_name)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(CALL(&scene, "fd_prestat_get", ROOT, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 0 && cl_wasi_load32(scene.memory.base + RET + 4) == 1);
    CHECK(CALL(&scene, "fd_prestat_dir_name", ROOT, DATA, 1) == CL_WASI_SUCCESS);
    CHECK_TEXT(scene_data(&scene), "/");
    CHECK(CALL(&scene, "fd_prestat_dir_name", ROOT, DATA, 9) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_prestat_dir_name", ROOT, DATA, 0) == CL_WASI_NAMETOOLONG);
    CHECK(CALL(&scene, "fd_prestat_get", 0, RET) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_prestat_get", 4, RET) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_prestat_dir_name", 0, DATA, 9) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_prestat_get", scene_open(&scene, ".", 0, READS), RET) == CL_WASI_BADF);
}

/* --- rights and flags ---------------------------------------------------------------------- */

static uint64_t base_of(struct scene *scene, uint32_t fd)
{
    CHECK(CALL(scene, "fd_fdstat_get", fd, RET) == CL_WASI_SUCCESS);
    return scene_ret64(scene, RET + 8);
}

TEST(a_descriptor_tells_what_it_is)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint8_t *stat = scene.memory.base + RET;

    CHECK((base_of(&scene, ROOT) & (CL_WASI_RIGHT_PATH_OPEN | CL_WASI_RIGHT_FD_READ)) ==
          CL_WASI_RIGHT_PATH_OPEN);
    CHECK(stat[0] == CL_WASI_TYPE_DIRECTORY && cl_wasi_load16(stat + 2) == 0);
    CHECK((cl_wasi_load64(stat + 16) & CL_WASI_RIGHT_FD_WRITE) != 0);
    CHECK((base_of(&scene, 0) & (CL_WASI_RIGHT_FD_READ | CL_WASI_RIGHT_FD_WRITE)) ==
          CL_WASI_RIGHT_FD_READ);
    CHECK(stat[0] == CL_WASI_TYPE_UNKNOWN);
    CHECK((base_of(&scene, 1) & (CL_WASI_RIGHT_FD_READ | CL_WASI_RIGHT_FD_WRITE)) ==
          CL_WASI_RIGHT_FD_WRITE);
    const uint32_t file = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);
    CHECK((base_of(&scene, file) & CL_WASI_RIGHT_PATH_OPEN) == 0);
    CHECK(stat[0] == CL_WASI_TYPE_REGULAR_FILE && cl_wasi_load64(stat + 16) == 0);
    CHECK(CALL(&scene, "fd_fdstat_get", 99, RET) == CL_WASI_BADF);
}

TEST(rights_only_shrink)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, READS | CL_WASI_RIGHT_FD_WRITE);
    const uint64_t base = base_of(&scene, fd);

    CHECK(base == (CL_WASI_RIGHT_FD_READ | CL_WASI_RIGHT_FD_SEEK | CL_WASI_RIGHT_FD_WRITE));
    CHECK(CALL(&scene, "fd_fdstat_set_rights", fd, base | CL_WASI_RIGHT_FD_SYNC, 0) ==
          CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "fd_fdstat_set_rights", fd, base, 1) == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "fd_fdstat_set_rights", fd, ALL_RIGHTS, 0) == CL_WASI_NOTCAPABLE);
    CHECK(base_of(&scene, fd) == base);
    CHECK(CALL(&scene, "fd_fdstat_set_rights", fd, CL_WASI_RIGHT_FD_WRITE, 0) == CL_WASI_SUCCESS);
    CHECK(base_of(&scene, fd) == CL_WASI_RIGHT_FD_WRITE);
    CHECK(scene_read(&scene, fd, 1) == CL_WASI_NOTCAPABLE);
    CHECK(scene_write(&scene, fd, "x") == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_fdstat_set_rights", fd, base, 0) == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "fd_fdstat_set_rights", 99, 0, 0) == CL_WASI_BADF);
}

/* Each function that takes a descriptor, on one that has no rights. */
TEST(without_rights_nothing_is_done)
{
    static const char *const on_files[] = {
        "fd_advise",
        "fd_allocate",
        "fd_datasync",
        "fd_fdstat_set_flags",
        "fd_filestat_get",
        "fd_filestat_set_size",
        "fd_filestat_set_times",
        "fd_pread",
        "fd_pwrite",
        "fd_read",
        "fd_seek",
        "fd_sync",
        "fd_tell",
        "fd_write",
    };
    static const char *const on_directories[] = {
        "fd_readdir",        "path_create_directory",
        "path_filestat_get", "path_filestat_set_times",
        "path_link",         "path_open",
        "path_readlink",     "path_remove_directory",
        "path_rename",       "path_unlink_file",
        "fd_read",           "fd_write",
        "fd_seek",           "fd_tell",
        "fd_allocate",       "fd_filestat_set_size",
    };
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t file = scene_open(&scene, "f", CL_WASI_CREAT, 0);
    const uint32_t directory = scene_open(&scene, ".", 0, 0);

    for (size_t i = 0; i < CL_ARRAY_SIZE(on_files); i++)
        CHECK(CALL(&scene, on_files[i], file) == CL_WASI_NOTCAPABLE);
    for (size_t i = 0; i < CL_ARRAY_SIZE(on_directories); i++)
        CHECK(CALL(&scene, on_directories[i], directory) == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "path_symlink", PATH, 1, directory, PATH, 1) == CL_WASI_NOTCAPABLE);
    /* of two directories, either */
    CHECK(CALL(&scene, "path_rename", ROOT, PATH, 1, directory, PATH, 1) == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "path_link", ROOT, 0, PATH, 1, directory, PATH, 1) == CL_WASI_NOTCAPABLE);
    /* and a file is no directory */
    for (size_t i = 0; i < 10; i++)
        CHECK(CALL(&scene, on_directories[i], file) == CL_WASI_NOTDIR);
}

TEST(flags_that_can_change_do)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);

    CHECK(scene_write(&scene, fd, "one") == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", fd, CL_WASI_APPEND) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_fdstat_get", fd, RET) == CL_WASI_SUCCESS);
    CHECK(cl_wasi_load16(scene.memory.base + RET + 2) == CL_WASI_APPEND);
    CHECK(CALL(&scene, "fd_seek", fd, 0, CL_WASI_WHENCE_SET, RET) == CL_WASI_SUCCESS);
    CHECK(scene_write(&scene, fd, " two") == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", fd, CL_WASI_NONBLOCK) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_seek", fd, 0, CL_WASI_WHENCE_SET, RET) == CL_WASI_SUCCESS);
    CHECK(scene_write(&scene, fd, "O") == CL_WASI_SUCCESS);
    CHECK(scene_holds(&scene, "f", "One two"));
    CHECK(CALL(&scene, "fd_fdstat_set_flags", fd, CL_WASI_DSYNC) == CL_WASI_NOTSUP);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", fd, CL_WASI_SYNC) == CL_WASI_NOTSUP);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", fd, 0x20) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", fd, 0x10000) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", ROOT, CL_WASI_APPEND) == CL_WASI_SUCCESS);
    /* what it was opened with stays, and may be said again */
    CHECK(CALL(&scene, "path_open", ROOT, 0, PATH, scene_text(&scene, PATH, "f"), 0, ALL_RIGHTS, 0,
               CL_WASI_DSYNC | CL_WASI_APPEND, RET) == CL_WASI_SUCCESS);
    const uint32_t synchronous = scene_ret(&scene);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", synchronous, CL_WASI_DSYNC) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", synchronous, 0) == CL_WASI_NOTSUP);
}

/* --- random numbers in pieces -------------------------------------------------------------- */

enum { PIECE = 1 << 20, LARGE = 3 * PIECE };

static void enlarge_memory(struct scene *scene)
{
    free(scene->memory.base);
    scene->memory = (struct cl_wasi_memory){.base = calloc(1, LARGE), .size_bytes = LARGE};
    CL_ASSERT(scene->memory.base != NULL);
}

/* How many bytes from AT on are none that were drawn: sixteen zeros begin them. */
static uint64_t first_blank(const struct scene *scene, uint64_t at)
{
    static const uint8_t blank[16];

    while (at < LARGE &&
           memcmp(scene->memory.base + at, blank, cl_min_u64(sizeof(blank), LARGE - at)) != 0)
        at++;
    return at;
}

static int waits_for_nothing(const struct scene *scene)
{
    const struct cl_wasi_wait *wait = cl_wasi_waits_for(scene->wasi);

    return wait->count == 0 && wait->deadline_ns == 0;
}

TEST(many_random_numbers_come_in_pieces)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t size = 2 * PIECE + PIECE / 2;

    enlarge_memory(&scene);
    for (uint64_t pieces = 1; pieces <= 2; pieces++) {
        CHECK(CALL(&scene, "random_get", 100, size) == CL_WASI_WAITS && waits_for_nothing(&scene));
        CHECK(first_blank(&scene, 100) == 100 + pieces * PIECE);
        CHECK(CALL(&scene, "clock_time_get", 1, 0, RET) == CL_WASI_SUCCESS); /* another's turn */
        cl_wasi_store64(scene.memory.base + RET, 0);
    }
    CHECK(CALL(&scene, "random_get", 100, size) == CL_WASI_SUCCESS);
    CHECK(first_blank(&scene, 0) == 0 && first_blank(&scene, 100) == 100 + size);
}

TEST(a_piece_of_random_numbers_is_a_megabyte)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    enlarge_memory(&scene);
    CHECK(CALL(&scene, "random_get", 0, PIECE) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "random_get", 0, PIECE + 1) == CL_WASI_WAITS);
    CHECK(CALL(&scene, "random_get", 0, PIECE + 1) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "random_get", 0, PIECE + 1) == CL_WASI_WAITS); /* it was done */
}

TEST(other_random_numbers_begin_anew)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t size = PIECE + PIECE / 2;

    enlarge_memory(&scene);
    CHECK(CALL(&scene, "random_get", 0, size) == CL_WASI_WAITS);
    CHECK(CALL(&scene, "random_get", PIECE, size) == CL_WASI_WAITS); /* elsewhere */
    memset(scene.memory.base, 0, LARGE);
    CHECK(CALL(&scene, "random_get", PIECE, size - 1) == CL_WASI_WAITS); /* fewer */
    CHECK(first_blank(&scene, PIECE) == 2ULL * PIECE);
    CHECK(CALL(&scene, "random_get", PIECE, LARGE) == CL_WASI_FAULT);
    CHECK(CALL(&scene, "random_get", PIECE, size - 1) == CL_WASI_WAITS); /* that was between */
    cl_fault_set("syscall:1");
    CHECK(CALL(&scene, "random_get", PIECE, size - 1) == CL_WASI_IO && cl_fault_struck());
    cl_fault_set("syscall:1:4"); /* a signal came */
    CHECK(CALL(&scene, "random_get", PIECE, size - 1) == CL_WASI_WAITS && cl_fault_struck());
    cl_fault_set(NULL);
    CHECK(CALL(&scene, "random_get", PIECE, size - 1) == CL_WASI_SUCCESS);
    CHECK(first_blank(&scene, PIECE) == PIECE + size - 1);
}

/* --- where a guest has been ---------------------------------------------------------------- */

struct walk {
    const char *name;
    uint64_t arguments[CL_WASI_MAX_ARGUMENTS];
};

static int walks(const struct walk *walk)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene.memory.base[PATH] = 'f';
    scene.memory.base[PATH2] = 'g';
    CHECK(!cl_wasi_has_walked(scene.wasi));
    (void)scene_call(&scene, walk->name, walk->arguments); /* most of them find nothing there */
    return cl_wasi_has_walked(scene.wasi);
}

/* Its directory can be the next guest's only if nothing was done there. */
TEST(a_guest_that_was_in_its_directory_is_known)
{
    static const struct walk rows[] = {
        {"path_open", {ROOT, 0, PATH, 1, CL_WASI_CREAT, ALL_RIGHTS, ALL_RIGHTS, 0, RET}},
        {"path_create_directory", {ROOT, PATH, 1}},
        {"path_filestat_get", {ROOT, 0, PATH, 1, DATA}},
        {"path_filestat_set_times", {ROOT, 0, PATH, 1, 1, 1, 5}},
        {"path_link", {ROOT, 0, PATH, 1, ROOT, PATH2, 1}},
        {"path_readlink", {ROOT, PATH, 1, DATA, 9, RET}},
        {"path_remove_directory", {ROOT, PATH, 1}},
        {"path_rename", {ROOT, PATH, 1, ROOT, PATH2, 1}},
        {"path_symlink", {PATH2, 1, ROOT, PATH, 1}},
        {"path_unlink_file", {ROOT, PATH, 1}},
        {"fd_readdir", {ROOT, DATA, 100, 0, RET}},
        {"fd_filestat_set_times", {ROOT, 1, 1, 5}}, /* the next one could look at them */
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (!walks(&rows[i]))
            printf("# %s\n", rows[i].name);
        CHECK(walks(&rows[i]));
    }
}

TEST(a_guest_that_was_not_in_its_directory_is_known)
{
    static const struct walk rows[] = {
        {"args_get", {LIST, DATA}},
        {"environ_get", {LIST, DATA}},
        {"fd_prestat_get", {ROOT, RET}},
        {"fd_prestat_dir_name", {ROOT, DATA, 1}},
        {"fd_fdstat_get", {ROOT, DATA}},
        {"fd_filestat_get", {ROOT, DATA}},
        {"fd_write", {1, LIST, 1, RET}},
        {"fd_filestat_set_times", {1, 1, 1, 5}},
        {"fd_close", {ROOT}},
        {"path_open", {1, 0, PATH, 1, CL_WASI_CREAT, ALL_RIGHTS, ALL_RIGHTS, 0, RET}},
        {"random_get", {DATA, 9}},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (walks(&rows[i]))
            printf("# %s\n", rows[i].name);
        CHECK(!walks(&rows[i]));
    }
}

TEST(the_table_is_in_order)
{
    for (size_t i = 0; i < CL_WASI_FUNCTION_COUNT; i++) {
        const struct cl_wasi_function *function = &cl_wasi_functions[i];

        CHECK(function->call != NULL && strlen(function->parameters) <= CL_WASI_MAX_ARGUMENTS);
        CHECK(strspn(function->parameters, "iI") == strlen(function->parameters));
        CHECK(function->has_result == (strcmp(function->name, "proc_exit") != 0));
        for (size_t k = 0; k < i; k++)
            CHECK(strcmp(function->name, cl_wasi_functions[k].name) != 0);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_it_is_given_is_closed_in_any_case),
        ROW(each_call_that_fails_at_the_beginning_is_told),
        ROW(a_directory_is_no_stream),
        ROW(a_command_line_has_an_end),
        ROW(arguments_and_environment_are_given),
        ROW(a_guest_ends_or_traps),
        ROW(clocks_tell_the_time),
        ROW(random_numbers_fill_all_of_the_memory),
        ROW(descriptors_are_closed_and_the_lowest_comes_next),
        ROW(descriptors_end_at_their_most),
        ROW(a_number_is_given_to_another),
        ROW(a_preopen_tells_its_name),
        ROW(a_descriptor_tells_what_it_is),
        ROW(rights_only_shrink),
        ROW(without_rights_nothing_is_done),
        ROW(flags_that_can_change_do),
        ROW(many_random_numbers_come_in_pieces),
        ROW(a_piece_of_random_numbers_is_a_megabyte),
        ROW(other_random_numbers_begin_anew),
        ROW(a_guest_that_was_in_its_directory_is_known),
        ROW(a_guest_that_was_not_in_its_directory_is_known),
        ROW(the_table_is_in_order),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
