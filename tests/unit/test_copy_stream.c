/* test_copy_stream.c - streams that no sender of ours makes, and what fails: it is told, makes
 * nothing outside, and leaves nothing open. */
#include "base/fault.h"
#include "copy_scene.h"

enum { DATA_AT = 300000, SPARSE_SIZE = 600000 };

/* --- paths and buffers ------------------------------------------------------------------- */

TEST(paths_are_cut_where_they_end)
{
    struct cl_copy_path path = {0};
    char name[CL_COPY_NAME_MAX + 1];
    size_t ways[8];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    CHECK(cl_copy_path_enter(&path, "/") == 0);
    CHECK(cl_copy_path_enter(&path, "a") == 1);
    CHECK_TEXT(path.text, "/a");
    CHECK(cl_copy_path_enter(&path, "b") == 2);
    CHECK_TEXT(path.text, "/a/b");
    cl_copy_path_leave(&path, 2);
    CHECK_TEXT(path.text, "/a");
    for (size_t i = 0; i < CL_ARRAY_SIZE(ways); i++) {
        ways[i] = cl_copy_path_enter(&path, name);
        CHECK(path.size < sizeof(path.text) && strlen(path.text) == path.size);
    }
    CHECK(path.size == sizeof(path.text) - 1);
    for (size_t i = CL_ARRAY_SIZE(ways); i > 0; i--)
        cl_copy_path_leave(&path, ways[i - 1]);
    CHECK_TEXT(path.text, "/a");
}

/* What comes, whatever the sizes it is asked for in. */
TEST(what_is_put_is_got)
{
    static struct cl_copy_out out;
    static struct cl_copy_in in;
    static unsigned char data[3 * CL_COPY_BUFFER + 17];
    static unsigned char got[sizeof(data)];
    CL_CLEANUP_FD int fd = scene_memory("", 0);
    size_t at = 0;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    out.fd = fd;
    for (size_t size = 1; at < sizeof(data); size = size * 3 + 1) {
        const size_t part = size < sizeof(data) - at ? size : sizeof(data) - at;

        CHECK(cl_copy_put(&out, data + at, part) == 0);
        at += part;
    }
    CHECK(cl_copy_flush(&out) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    in.fd = fd;
    at = 0;
    for (size_t size = 2; at < sizeof(got); size = size * 5 + 1) {
        const size_t part = size < sizeof(got) - at ? size : sizeof(got) - at;

        CHECK(cl_copy_get(&in, got + at, part) == 0);
        at += part;
    }
    CHECK(memcmp(data, got, sizeof(data)) == 0);
    CHECK(cl_copy_get(&in, got, 1) == -EPIPE);
}

TEST(nobody_at_the_other_end_is_told)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    int ends[2];

    (void)signal(SIGPIPE, SIG_IGN);
    scene_file(&scene, "from/f", "x");
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    (void)close(ends[0]);
    CHECK(scene_send(&scene, "from/f", ends[1]) == -EPIPE);
    CHECK_TEXT(scene.err.msg, "send the copy: Broken pipe");
    (void)close(ends[1]);
    (void)signal(SIGPIPE, SIG_DFL);
}

/* --- by hand ----------------------------------------------------------------------------- */

/* With all there can be. */
static void put_everything(struct cl_buf *stream)
{
    stream_dir(stream, "");
    stream_file(stream, "f", "of f");
    stream_file(stream, "f", "again");
    stream_link(stream, "l", "d");
    stream_link(stream, "l", "f");
    stream_link(stream, "out", "/etc");
    stream_dir(stream, "d");
    stream_link(stream, "up", "../f");
    stream_entry(stream, (struct cl_copy_entry){.kind = CL_COPY_FILE, .mode = 07777}, "sparse");
    stream_number(stream, 4);
    stream_bytes(stream, "data", 4);
    stream_number(stream, CL_COPY_HOLE | 4096);
    stream_number(stream, 1);
    stream_bytes(stream, "x", 1);
    stream_number(stream, CL_COPY_HOLE | 5);
    stream_number(stream, 0);
    stream_entry(stream, (struct cl_copy_entry){.kind = CL_COPY_LEFT, .value = EACCES}, "left");
    stream_up(stream);
    stream_up(stream);
    stream_end(stream);
}

TEST(a_stream_by_hand_is_taken)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;

    put_everything(&stream);
    CHECK(stream_take(&scene, &stream, "it") == 0);
    scene_holds(&scene, "to/it/f", "again");
    scene_links(&scene, "to/it/l", "f");
    CHECK(scene_stat(&scene, "to/it/d/sparse").st_size == 4 + 4096 + 1 + 5);
    CHECK(scene_mode(&scene, "to/it/d/sparse") == 0777);
    CHECK(scene.left == 2 && scene.why == EACCES);
    CHECK_HAS(scene.what, "/to/it/d/left");
    CHECK(scene.entries == 10);
    scene_check(&scene);
}

/* Every beginning but the whole. */
TEST(a_stream_that_ends_early_is_told)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;
    const int fds = check_count_fds();
    char name[32];

    put_everything(&stream);
    const size_t whole = stream.size;
    for (stream.size = 0; stream.size < whole; stream.size++) {
        (void)snprintf(name, sizeof(name), "%zu", stream.size);
        CHECK(stream_take(&scene, &stream, name) == -EPIPE);
        CHECK_TEXT(scene.err.msg, "the copy ends early");
        CHECK(check_count_fds() == fds);
    }
    scene_check(&scene);
    stream.size = whole;
    CHECK(stream_take(&scene, &stream, "whole") == 0);
}

/* Every byte is another one: an error, or another tree, and nothing outside. */
TEST(a_stream_that_is_changed_makes_nothing_outside)
{
    static const unsigned char changes[] = {0x01, 0x04, 0x2f, 0x80, 0xff};
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;
    const int fds = check_count_fds();
    unsigned int refused = 0;
    char name[32];

    scene.most_bytes = 1 << 20;
    put_everything(&stream);
    for (size_t at = 0; at < stream.size; at++) {
        for (size_t i = 0; i < CL_ARRAY_SIZE(changes); i++) {
            stream.data[at] = (char)((unsigned char)stream.data[at] ^ changes[i]);
            (void)snprintf(name, sizeof(name), "%zu-%zu", at, i);
            refused += stream_take(&scene, &stream, name) < 0;
            stream.data[at] = (char)((unsigned char)stream.data[at] ^ changes[i]);
        }
        CHECK(check_count_fds() == fds);
    }
    CHECK(refused > stream.size);
    scene_check(&scene);
}

static const char no_copy[] = "what came is no copy of files";

TEST(names_that_are_no_names_are_refused)
{
    static const char *const names[] = {"", ".", "..", "/", "a/b", "../a", "/a", "a/"};
    static const enum cl_copy_kind kinds[] = {CL_COPY_DIR, CL_COPY_FILE, CL_COPY_LINK,
                                              CL_COPY_LEFT};

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        for (size_t j = 0; j < CL_ARRAY_SIZE(kinds); j++) {
            CLEANUP_SCENE struct scene scene = scene_make();
            CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;

            stream_dir(&stream, "");
            stream_entry(&stream, (struct cl_copy_entry){.kind = (uint16_t)kinds[j], .value = 1},
                         names[i]);
            stream_bytes(&stream, "xxxxxxxx", 8);
            stream_refused(&scene, &stream, EPROTO, no_copy);
            CHECK(scene.left == 0 && check_count_entries(scene_path(&scene, "to/it")) == 0);
        }
    }
}

/* An entry with a NUL in its name, which SIZE counts. */
TEST(a_nul_in_a_name_or_target_is_refused)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;
    const struct cl_copy_entry file = {.kind = CL_COPY_FILE, .name_size = 3};
    const struct cl_copy_entry link = {.kind = CL_COPY_LINK, .name_size = 1, .value = 3};

    stream_dir(&stream, "");
    const size_t dir = stream.size;
    stream_bytes(&stream, &file, sizeof(file));
    stream_bytes(&stream, "a\0b", 3);
    stream_refused(&scene, &stream, EPROTO, no_copy);
    stream.size = dir;
    stream_bytes(&stream, &link, sizeof(link));
    stream_bytes(&stream, "la\0b", 4);
    stream_refused(&scene, &stream, EPROTO, no_copy);
    CHECK(check_count_entries(scene_path(&scene, "to/it")) == 0);
}

TEST(numbers_out_of_bounds_are_refused)
{
    static const struct cl_copy_entry entries[] = {
        {.kind = 0},
        {.kind = CL_COPY_END + 1},
        {.kind = UINT16_MAX},
        {.kind = CL_COPY_FILE, .name_size = CL_COPY_NAME_MAX + 1},
        {.kind = CL_COPY_FILE, .name_size = UINT16_MAX},
        {.kind = CL_COPY_FILE, .name_size = 1, .mtime_ns = 1000000000},
        {.kind = CL_COPY_DIR, .name_size = 1, .mtime_ns = (1 << 30) - 1}, /* UTIME_NOW */
        {.kind = CL_COPY_LINK, .name_size = 1},
        {.kind = CL_COPY_LINK, .name_size = 1, .value = CL_COPY_TARGET_MAX + 1},
        {.kind = CL_COPY_LINK, .name_size = 1, .value = UINT32_MAX},
        {.kind = CL_COPY_END},
    };
    static const char rest[70000] = "x";

    for (size_t i = 0; i < CL_ARRAY_SIZE(entries); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;

        stream_dir(&stream, "");
        stream_bytes(&stream, &entries[i], sizeof(entries[i]));
        stream_bytes(&stream, rest, sizeof(rest));
        stream_refused(&scene, &stream, EPROTO, no_copy);
        CHECK(check_count_entries(scene_path(&scene, "to/it")) == 0);
    }
}

TEST(the_top_is_a_file_or_a_directory)
{
    static const enum cl_copy_kind kinds[] = {CL_COPY_LINK, CL_COPY_LEFT, CL_COPY_UP, CL_COPY_END};

    for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;

        stream_entry(&stream, (struct cl_copy_entry){.kind = (uint16_t)kinds[i], .value = 1}, "");
        stream_bytes(&stream, "x", 1);
        stream_end(&stream);
        stream_refused(&scene, &stream, EPROTO, no_copy);
        CHECK(!scene_has(&scene, "to/it"));
    }
}

TEST(what_comes_behind_the_tree_is_refused)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;

    stream_dir(&stream, "");
    stream_up(&stream);
    stream_file(&stream, "f", "x");
    stream_refused(&scene, &stream, EPROTO, no_copy);
    CHECK(!scene_has(&scene, "to/f"));
}

TEST(a_tree_that_is_too_deep_is_refused)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;
    const int fds = check_count_fds();

    for (int level = 0; level < CL_COPY_DEPTH_MAX + 1; level++)
        stream_dir(&stream, "d");
    stream_refused(&scene, &stream, EPROTO, no_copy);
    CHECK(check_count_fds() == fds);
}

/* The porter that sends them would have gone wrong; the client must not hang in them. */
TEST(holes_of_nothing_are_refused)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;

    stream_entry(&stream, (struct cl_copy_entry){.kind = CL_COPY_FILE, .mode = 0644}, "");
    stream_number(&stream, CL_COPY_HOLE);
    stream_number(&stream, 0);
    stream_end(&stream);
    stream_refused(&scene, &stream, EPROTO, no_copy);
}

TEST(sizes_do_not_wrap)
{
    static const uint64_t heads[] = {INT64_MAX, CL_COPY_HOLE | INT64_MAX, 11, CL_COPY_HOLE | 11};

    for (size_t i = 0; i < CL_ARRAY_SIZE(heads); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;

        scene.most_bytes = 20;
        stream_entry(&stream, (struct cl_copy_entry){.kind = CL_COPY_FILE, .mode = 0644}, "");
        stream_number(&stream, CL_COPY_HOLE | 10);
        stream_number(&stream, heads[i]);
        stream_bytes(&stream, "xxxxxxxxxxxxxxxxxxxx", 20);
        stream_refused(&scene, &stream, EMSGSIZE, "more than 20 bytes are to be copied");
        CHECK(scene.bytes == 10 && scene_stat(&scene, "to/it").st_size == 0);
    }
}

/* --- a place that is spoilt, as a stream can spoil it ------------------------------------- */

TEST(a_directory_in_the_place_of_a_link_is_refused)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;

    stream_dir(&stream, "");
    stream_dir(&stream, "real");
    stream_up(&stream);
    stream_link(&stream, "l", "real");
    stream_dir(&stream, "l");
    stream_file(&stream, "f", "x");
    stream_refused(&scene, &stream, ENOTDIR, "/to/it/l: something else is there");
    CHECK(!scene_has(&scene, "to/it/real/f"));
}

TEST(a_file_in_the_place_of_a_link_is_a_file)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;

    stream_dir(&stream, "");
    stream_file(&stream, "f", "old");
    stream_link(&stream, "l", "f");
    stream_file(&stream, "l", "new");
    stream_up(&stream);
    stream_end(&stream);
    CHECK(stream_take(&scene, &stream, "it") == 0);
    scene_holds(&scene, "to/it/f", "old");
    scene_holds(&scene, "to/it/l", "new");
    scene_check(&scene);
}

TEST(a_directory_is_replaced_by_nothing)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;

    stream_dir(&stream, "");
    stream_dir(&stream, "d");
    stream_up(&stream);
    const size_t before = stream.size;
    stream_link(&stream, "d", "x");
    stream_refused(&scene, &stream, EISDIR, "make the link ");
    stream.size = before;
    stream_file(&stream, "d", "x");
    stream_refused(&scene, &stream, EISDIR, "replace ");
    CHECK(S_ISDIR(scene_stat(&scene, "to/it/d").st_mode));
}

/* --- what fails -------------------------------------------------------------------------- */

#ifdef CL_FAULTS
static const int calls[] = {SYS_openat,    SYS_fstat,     SYS_newfstatat, SYS_read,
                            SYS_write,     SYS_lseek,     SYS_readlinkat, SYS_getdents64,
                            SYS_mkdirat,   SYS_unlinkat,  SYS_symlinkat,  SYS_fchmod,
                            SYS_utimensat, SYS_ftruncate, SYS_close};

static void make_tree(const struct scene *scene)
{
    CL_CLEANUP_FD int fd = -1;

    scene_dir(scene, "from/d", 0755);
    scene_dir(scene, "from/d/e", 0755);
    scene_file(scene, "from/d/e/f", "of f");
    scene_link(scene, "from/d/l", "e/f");
    scene_link(scene, "from/d/out", "/");
    fd = openat(scene->root, "from/d/sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && ftruncate(fd, SPARSE_SIZE) == 0 && pwrite(fd, "data", 4, DATA_AT) == 4);
}

static void set_fault(int call, int n, int error)
{
    char fault[64];

    (void)snprintf(fault, sizeof(fault), "lacks:%d#%d=%d", call, n, error);
    cl_fault_set(fault);
}

static int fault_is_over(void)
{
    const int struck = cl_fault_struck();

    cl_fault_set(NULL);
    return !struck;
}
#endif

/* Each call of each kind fails once: what was to be sent then is left out, and that is sent, or
 * the copy has failed. */
TEST(a_sender_tells_what_fails)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CLEANUP_SCENE struct scene scene = scene_make();
    const int fds = check_count_fds();

    make_tree(&scene);
    for (size_t i = 0; i < CL_ARRAY_SIZE(calls); i++) {
        for (int n = 1, over = 0; !over; n++) {
            CL_CLEANUP_FD int stream = scene_memory("", 0);

            scene.left = 0;
            set_fault(calls[i], n, ENOSPC);
            int r = scene_send(&scene, "from/d", stream);
            over = fault_is_over();
            CHECK(over || calls[i] == SYS_close ? r == 0 && scene.left == 0
                                                : r == -ENOSPC || (r == 0 && scene.left == 1));
            CHECK(r == 0 || strstr(scene.err.msg, ": No space left on device") != NULL);
            CHECK(scene.left == 0 || scene.why == ENOSPC);
            cl_fd_close(&stream);
            CHECK(check_count_fds() == fds);
        }
    }
#endif
}

TEST(a_taker_tells_what_fails)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;

    put_everything(&stream);
    for (size_t i = 0; i < CL_ARRAY_SIZE(calls); i++) {
        for (int n = 1, over = 0; !over; n++) {
            CLEANUP_SCENE struct scene scene = scene_make();
            CL_CLEANUP_FD int fd = scene_memory(stream.data, stream.size);
            const int fds = check_count_fds();

            set_fault(calls[i], n, ENOSPC);
            int r = scene_take(&scene, fd, "to", "it");
            over = fault_is_over();
            CHECK(r == (over || calls[i] == SYS_close ? 0 : -ENOSPC));
            CHECK(r == 0 || strstr(scene.err.msg, ": No space left on device") != NULL);
            CHECK(check_count_fds() == fds);
            scene_check(&scene);
        }
    }
#endif
}

TEST(allocations_fail_as_well)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;
    CL_CLEANUP_FD int sent = scene_memory("", 0);

    make_tree(&scene);
    put_everything(&stream);
    CL_CLEANUP_FD int fd = scene_memory(stream.data, stream.size);
    const int fds = check_count_fds();
    cl_fault_set("alloc:1");
    CHECK(scene_send(&scene, "from/d", sent) == -ENOMEM && cl_fault_struck());
    cl_fault_set("alloc:1");
    CHECK(scene_take(&scene, fd, "to", "it") == -ENOMEM && cl_fault_struck());
    cl_fault_set("alloc:2");
    CHECK(scene_take(&scene, fd, "to", "it") == 0 && !cl_fault_struck());
    cl_fault_set(NULL);
    CHECK(check_count_fds() == fds);
#endif
}

TEST(interrupted_calls_go_on)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    static const int interrupted[] = {SYS_read, SYS_write};
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;

    make_tree(&scene);
    put_everything(&stream);
    for (size_t i = 0; i < CL_ARRAY_SIZE(interrupted); i++) {
        CL_CLEANUP_FD int fd = scene_memory(stream.data, stream.size);
        CL_CLEANUP_FD int sent = scene_memory("", 0);

        set_fault(interrupted[i], 1, EINTR);
        CHECK(scene_send(&scene, "from/d", sent) == 0 && !fault_is_over());
        set_fault(interrupted[i], 1, EINTR);
        CHECK(scene_take(&scene, fd, "to", "it") == 0 && !fault_is_over());
    }
    scene_holds(&scene, "to/it/f", "again");
#endif
}

/* What goes while it is looked at. */
TEST(what_is_removed_meanwhile_was_not_there)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    static const struct {
        int call, n, error;
    } races[] = {
        {SYS_newfstatat, 1, ENOENT}, /* an entry that is gone */
        {SYS_openat, 3, ENOENT},     /* the same a little later, file or directory */
        {SYS_openat, 4, ENOENT},     {SYS_readlinkat, 1, ENOENT},
        {SYS_getdents64, 2, ENOENT}, /* a directory that is gone while it is read */
        {SYS_lseek, 2, ENXIO},       /* a sparse file that is cut */
    };
    CLEANUP_SCENE struct scene scene = scene_make();

    make_tree(&scene);
    for (size_t i = 0; i < CL_ARRAY_SIZE(races); i++) {
        CL_CLEANUP_FD int sent = scene_memory("", 0);

        set_fault(races[i].call, races[i].n, races[i].error);
        int r = scene_send(&scene, "from/d", sent);
        CHECK(!fault_is_over());
        CHECK(r == 0 && scene.left == 0);
        if (r < 0 || scene.left > 0)
            printf("# %zu: %s %s\n", i, scene.err.msg, scene.what);
        scene.left = 0;
    }
#endif
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(paths_are_cut_where_they_end),
        ROW(what_is_put_is_got),
        ROW(nobody_at_the_other_end_is_told),
        ROW(a_stream_by_hand_is_taken),
        ROW(a_stream_that_ends_early_is_told),
        ROW(a_stream_that_is_changed_makes_nothing_outside),
        ROW(names_that_are_no_names_are_refused),
        ROW(a_nul_in_a_name_or_target_is_refused),
        ROW(numbers_out_of_bounds_are_refused),
        ROW(the_top_is_a_file_or_a_directory),
        ROW(what_comes_behind_the_tree_is_refused),
        ROW(a_tree_that_is_too_deep_is_refused),
        ROW(holes_of_nothing_are_refused),
        ROW(sizes_do_not_wrap),
        ROW(a_directory_in_the_place_of_a_link_is_refused),
        ROW(a_file_in_the_place_of_a_link_is_a_file),
        ROW(a_directory_is_replaced_by_nothing),
        ROW(a_sender_tells_what_fails),
        ROW(a_taker_tells_what_fails),
        ROW(allocations_fail_as_well),
        ROW(interrupted_calls_go_on),
        ROW(what_is_removed_meanwhile_was_not_there),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
