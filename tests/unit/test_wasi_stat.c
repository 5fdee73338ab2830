/* test_wasi_stat.c - what is known of files, and what lies in directories. */
#include <limits.h>

#include "base/fault.h"
#include "base/num.h"
#include "wasi_scene.h"

/* --- what is known ------------------------------------------------------------------------- */

TEST(a_file_tells_what_the_host_does)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint8_t *stat = scene.memory.base + DATA;
    struct stat st;

    scene_file(&scene, "f", "12345");
    CHECK(linkat(scene.root, "f", scene.root, "g", 0) == 0);
    CHECK(fstatat(scene.root, "f", &st, 0) == 0);
    const uint32_t fd = scene_open(&scene, "f", 0, ALL_RIGHTS);
    memset(scene.memory.base + DATA, 0xff, CL_WASI_FILESTAT_SIZE);
    CHECK(CALL(&scene, "fd_filestat_get", fd, DATA) == CL_WASI_SUCCESS);
    CHECK(cl_wasi_load64(stat) == st.st_dev && cl_wasi_load64(stat + 8) == st.st_ino);
    CHECK(cl_wasi_load64(stat + 16) == CL_WASI_TYPE_REGULAR_FILE);
    CHECK(cl_wasi_load64(stat + 24) == 2 && cl_wasi_load64(stat + 32) == 5);
    CHECK(cl_wasi_load64(stat + 48) ==
          (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec);
    CHECK(cl_wasi_load64(stat + 56) ==
          (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec);
    CHECK(CALL(&scene, "fd_filestat_get", ROOT, DATA) == CL_WASI_SUCCESS);
    CHECK(stat[16] == CL_WASI_TYPE_DIRECTORY);
    CHECK(CALL(&scene, "fd_filestat_get", 0, DATA) == CL_WASI_SUCCESS);
    CHECK(stat[16] == CL_WASI_TYPE_UNKNOWN);
    CHECK(CALL(&scene, "fd_filestat_get", 99, DATA) == CL_WASI_BADF);
    CHECK(CALL(&scene, "path_filestat_get", ROOT, 0, PATH, scene_text(&scene, PATH, "g"), DATA) ==
          CL_WASI_SUCCESS);
    CHECK(cl_wasi_load64(stat + 8) == st.st_ino);
    CHECK(CALL(&scene, "path_filestat_get", ROOT, 0, PATH, scene_text(&scene, PATH, "n"), DATA) ==
          CL_WASI_NOENT);
    cl_fault_set("syscall:1");
    CHECK(CALL(&scene, "fd_filestat_get", fd, DATA) == CL_WASI_IO && cl_fault_struck());
    cl_fault_set(NULL);
}

/* --- size and space ------------------------------------------------------------------------ */

static off_t size_of(const struct scene *scene, const char *path)
{
    struct stat st;

    return fstatat(scene->root, path, &st, 0) == 0 ? st.st_size : -1;
}

TEST(a_file_grows_and_shrinks)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);

    CHECK(CALL(&scene, "fd_filestat_set_size", fd, 100) == CL_WASI_SUCCESS);
    CHECK(size_of(&scene, "f") == 100);
    CHECK(CALL(&scene, "fd_allocate", fd, 90, 20) == CL_WASI_SUCCESS);
    CHECK(size_of(&scene, "f") == 110);
    CHECK(CALL(&scene, "fd_allocate", fd, 0, 10) == CL_WASI_SUCCESS);
    CHECK(size_of(&scene, "f") == 110);
    CHECK(CALL(&scene, "fd_filestat_set_size", fd, 3) == CL_WASI_SUCCESS);
    CHECK(size_of(&scene, "f") == 3);
    CHECK(CALL(&scene, "fd_filestat_set_size", fd, 1ULL << 63) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_allocate", fd, 0, 0) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_allocate", fd, 1ULL << 63, 1) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_allocate", fd, INT64_MAX, INT64_MAX) == CL_WASI_FBIG);
    CHECK(CALL(&scene, "fd_advise", fd, 10, 50, 0) == CL_WASI_SUCCESS);
    for (uint32_t advice = 0; advice < 6; advice++)
        CHECK(CALL(&scene, "fd_advise", fd, 0, 0, advice) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_advise", fd, 0, 0, 6) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_advise", fd, UINT64_MAX, 0, 0) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_advise", fd, 0, UINT64_MAX, 0) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_advise", 99, 0, 0, 0) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_allocate", 99, 0, 1) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_filestat_set_size", 99, 0) == CL_WASI_BADF);
    CHECK(size_of(&scene, "f") == 3);
}

TEST(files_and_directories_are_made_safe)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);

    CHECK(CALL(&scene, "fd_sync", fd) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_datasync", fd) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_sync", ROOT) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_datasync", ROOT) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_sync", 99) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_sync", 1) == CL_WASI_INVAL); /* a pipe has no disk */
    cl_fault_set("syscall:1");
    CHECK(CALL(&scene, "fd_datasync", fd) == CL_WASI_IO && cl_fault_struck());
    cl_fault_set(NULL);
}

/* --- times --------------------------------------------------------------------------------- */

static uint32_t set_times(struct scene *scene, const char *path, uint64_t access, uint64_t change,
                          uint32_t flags)
{
    return CALL(scene, "path_filestat_set_times", ROOT, 0, PATH, scene_text(scene, PATH, path),
                access, change, flags);
}

TEST(times_are_set)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    struct stat st;

    CHECK(symlinkat("f", scene.root, "link") == 0);
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);
    CHECK(CALL(&scene, "fd_filestat_set_times", fd, 1000000001, 2000000002,
               CL_WASI_ATIM | CL_WASI_MTIM) == CL_WASI_SUCCESS);
    CHECK(fstatat(scene.root, "f", &st, 0) == 0);
    CHECK(st.st_atim.tv_sec == 1 && st.st_atim.tv_nsec == 1);
    CHECK(st.st_mtim.tv_sec == 2 && st.st_mtim.tv_nsec == 2);
    CHECK(set_times(&scene, "f", 7, 3000000000, CL_WASI_MTIM) == CL_WASI_SUCCESS);
    CHECK(fstatat(scene.root, "f", &st, 0) == 0 && st.st_atim.tv_sec == 1 &&
          st.st_mtim.tv_sec == 3);
    CHECK(set_times(&scene, "f", 0, 0, CL_WASI_ATIM_NOW) == CL_WASI_SUCCESS);
    CHECK(fstatat(scene.root, "f", &st, 0) == 0 && st.st_atim.tv_sec > 1000000000);
    CHECK(st.st_mtim.tv_sec == 3);
    CHECK(set_times(&scene, "f", 5, 5, 0) == CL_WASI_SUCCESS);
    CHECK(fstatat(scene.root, "f", &st, 0) == 0 && st.st_mtim.tv_sec == 3);
    /* of the link, not of what it leads to */
    CHECK(set_times(&scene, "link", 0, 4000000000, CL_WASI_MTIM) == CL_WASI_SUCCESS);
    CHECK(fstatat(scene.root, "link", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtim.tv_sec == 4);
    CHECK(fstatat(scene.root, "f", &st, 0) == 0 && st.st_mtim.tv_sec == 3);
    /* a directory that is O_PATH to the host */
    CHECK(CALL(&scene, "fd_filestat_set_times", ROOT, 0, 5000000000, CL_WASI_MTIM) ==
          CL_WASI_SUCCESS);
    CHECK(fstat(scene.root, &st) == 0 && st.st_mtim.tv_sec == 5);
}

TEST(times_that_contradict_are_refused)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);
    static const uint32_t flags[] = {CL_WASI_ATIM | CL_WASI_ATIM_NOW,
                                     CL_WASI_MTIM | CL_WASI_MTIM_NOW, 0x10, 0x10000};

    for (size_t i = 0; i < CL_ARRAY_SIZE(flags); i++) {
        CHECK(set_times(&scene, "f", 0, 0, flags[i]) == CL_WASI_INVAL);
        CHECK(CALL(&scene, "fd_filestat_set_times", fd, 0, 0, flags[i]) == CL_WASI_INVAL);
    }
    CHECK(set_times(&scene, "none", 0, 0, CL_WASI_MTIM) == CL_WASI_NOENT);
    CHECK(set_times(&scene, "../secret", 0, 0, CL_WASI_MTIM) == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "fd_filestat_set_times", 99, 0, 0, 0) == CL_WASI_BADF);
}

/* --- directories --------------------------------------------------------------------------- */

enum { ENTRIES = 700, NAME_MAX_ = 64 };

struct seen {
    unsigned int dots, files, others, calls;
    uint64_t last_cookie;
    uint8_t have[ENTRIES];
};

static void see(struct seen *seen, const uint8_t *entry, const char *name)
{
    uint64_t number = 0;

    seen->last_cookie = cl_wasi_load64(entry);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        seen->dots++;
        CHECK(entry[20] == CL_WASI_TYPE_DIRECTORY);
        CHECK((cl_wasi_load64(entry + 8) == 0) == (strcmp(name, "..") == 0));
    } else if (strncmp(name, "file.", 5) == 0 && cl_parse_u64(name + 5, &number) == 0 &&
               number < ENTRIES) {
        CHECK(entry[20] == CL_WASI_TYPE_REGULAR_FILE && !seen->have[number]);
        seen->have[number] = 1;
        seen->files++;
    } else {
        seen->others++;
    }
}

/* One call with room for SIZE bytes; what is whole of its entries. 0 at the end. */
static int list_some(struct scene *scene, uint32_t fd, uint32_t size, struct seen *seen)
{
    const uint8_t *data = scene->memory.base + DATA;
    uint32_t at = 0;

    CHECK(CALL(scene, "fd_readdir", fd, DATA, size, seen->last_cookie, RET) == CL_WASI_SUCCESS);
    const uint32_t got = scene_ret(scene);
    CHECK(got <= size);
    while (at + CL_WASI_DIRENT_SIZE <= got) {
        const uint32_t length = cl_wasi_load32(data + at + 16);
        char name[NAME_MAX_] = "";

        if (length > got - at - CL_WASI_DIRENT_SIZE || length >= sizeof(name))
            break;
        memcpy(name, data + at + CL_WASI_DIRENT_SIZE, length);
        see(seen, data + at, name);
        at += CL_WASI_DIRENT_SIZE + length;
    }
    seen->calls++;
    return got == size;
}

static struct seen list_all(struct scene *scene, uint32_t fd, uint32_t size)
{
    struct seen seen = {0};

    while (seen.calls < 5 * ENTRIES && list_some(scene, fd, size, &seen))
        continue;
    return seen;
}

TEST(an_empty_directory_has_two_names)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    struct seen seen = list_all(&scene, ROOT, 256);

    CHECK(seen.dots == 2 && seen.files == 0 && seen.others == 0 && seen.calls == 1);
    CHECK(CALL(&scene, "fd_readdir", ROOT, DATA, 0, 0, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 0);
    CHECK(CALL(&scene, "fd_readdir", ROOT, DATA, 256, UINT64_MAX, RET) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_readdir", 0, DATA, 256, 0, RET) == CL_WASI_NOTDIR);
    CHECK(CALL(&scene, "fd_readdir", 99, DATA, 256, 0, RET) == CL_WASI_BADF);
    /* a cookie that nobody gave does no harm */
    CHECK(CALL(&scene, "fd_readdir", ROOT, DATA, 256, 12345678, RET) != CL_WASI_FAULT);
}

TEST(a_large_directory_is_listed_in_pieces_of_any_size)
{
    static const uint32_t sizes[] = {40, 64, 100, 256, 4096, 65536 / 2};
    CLEANUP_SCENE struct scene scene = scene_make();
    char name[NAME_MAX_];

    for (unsigned int i = 0; i < ENTRIES; i++) {
        (void)snprintf(name, sizeof(name), "file.%u", i);
        scene_file(&scene, name, "");
    }
    const uint32_t opened = scene_open(&scene, ".", CL_WASI_DIRECTORY, READS);
    for (size_t i = 0; i < CL_ARRAY_SIZE(sizes); i++) {
        struct seen seen = list_all(&scene, i % 2 == 0 ? ROOT : opened, sizes[i]);

        CHECK(seen.dots == 2 && seen.files == ENTRIES && seen.others == 0);
    }
}

TEST(a_cookie_is_gone_back_to)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    struct seen first = {0};
    struct seen again = {0};

    scene_file(&scene, "file.1", "");
    scene_file(&scene, "file.2", "");
    CHECK(list_some(&scene, ROOT, 60, &first) == 1); /* two entries and a piece of one */
    const uint64_t cookie = first.last_cookie;
    CHECK(list_some(&scene, ROOT, 1000, &first) == 0);
    CHECK(first.dots == 2 && first.files == 2);
    again.last_cookie = cookie;
    CHECK(list_some(&scene, ROOT, 1000, &again) == 0);
    CHECK(again.dots + again.files > 0 && again.dots + again.files < 4);
    /* and from the start what is new is seen */
    scene_file(&scene, "file.3", "");
    again = (struct seen){0};
    CHECK(list_some(&scene, ROOT, 1000, &again) == 0 && again.files == 3 && again.dots == 2);
}

TEST(what_fits_of_an_entry_is_given)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    memset(scene.memory.base + DATA, 0xee, 64);
    CHECK(CALL(&scene, "fd_readdir", ROOT, DATA, 10, 0, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 10 && scene.memory.base[DATA + 10] == 0xee);
    CHECK(CALL(&scene, "fd_readdir", ROOT, MEMORY - 10, 10, 0, RET) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_readdir", ROOT, MEMORY - 10, 11, 0, RET) == CL_WASI_FAULT);
}

TEST(a_listing_that_fails_is_told)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const int before = check_count_fds();
    uint32_t r = CL_WASI_IO;
    int n = 0;

    while (r != CL_WASI_SUCCESS && ++n < 8) {
        char text[32];

        (void)snprintf(text, sizeof(text), "syscall:%d", n);
        cl_fault_set(text);
        r = CALL(&scene, "fd_readdir", ROOT, DATA, 256, 0, RET);
        CHECK(r == (cl_fault_struck() ? CL_WASI_IO : CL_WASI_SUCCESS));
        cl_fault_set(NULL);
    }
    CHECK(n > 3 && n < 8 && check_count_fds() == before);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_file_tells_what_the_host_does),
        ROW(a_file_grows_and_shrinks),
        ROW(files_and_directories_are_made_safe),
        ROW(times_are_set),
        ROW(times_that_contradict_are_refused),
        ROW(an_empty_directory_has_two_names),
        ROW(a_large_directory_is_listed_in_pieces_of_any_size),
        ROW(a_cookie_is_gone_back_to),
        ROW(what_fits_of_an_entry_is_given),
        ROW(a_listing_that_fails_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
