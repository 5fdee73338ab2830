/* WASI preview 1 by its own functions: what the standard's public test suite asserts, in words of
 * our own. Works in a directory of its own, below /tmp/volume if that is there, else /tmp; ends at
 * the first answer that is another. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

enum { ROOT = 3, FOLLOW = __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW };
#define R(name) __WASI_RIGHTS_##name
#define ALL UINT64_MAX
#define READS_AND_WRITES (R(FD_READ) | R(FD_WRITE) | R(FD_SEEK) | R(FD_TELL) | R(FD_FILESTAT_GET))

static __wasi_fd_t dir; /* where all this happens */
static int checks;

static void check(int is_so, const char *what, int line, int got)
{
    if (!is_so) {
        fprintf(stderr, "line %d: %s: got %d\n", line, what, got);
        exit(1);
    }
    checks++;
}

#define SO(condition) check((condition), #condition, __LINE__, 0)
#define IS(call, answer)                                                                           \
    do {                                                                                           \
        const __wasi_errno_t got_ = (call);                                                        \
        check(got_ == __WASI_ERRNO_##answer, #call " is " #answer, __LINE__, got_);                \
    } while (0)
#define OK(call) IS(call, SUCCESS)
/* Where the suite lets several answers pass. */
#define EITHER(call, one, other)                                                                   \
    do {                                                                                           \
        const __wasi_errno_t got_ = (call);                                                        \
        check(got_ == __WASI_ERRNO_##one || got_ == __WASI_ERRNO_##other,                          \
              #call " is " #one " or " #other, __LINE__, got_);                                    \
    } while (0)

static __wasi_errno_t open_as(const char *path, int lookup, int oflags, uint64_t rights,
                              __wasi_fd_t *ret)
{
    return __wasi_path_open(dir, (__wasi_lookupflags_t)lookup, path, (__wasi_oflags_t)oflags,
                            rights, ALL, 0, ret);
}

static __wasi_errno_t try_open(const char *path, int lookup, int oflags)
{
    __wasi_fd_t fd = 0;
    __wasi_errno_t r = open_as(path, lookup, oflags, 0, &fd);

    if (r == __WASI_ERRNO_SUCCESS)
        r = __wasi_fd_close(fd);
    return r;
}

static __wasi_fd_t must_open(const char *path, int oflags, uint64_t rights)
{
    __wasi_fd_t fd = 0;

    OK(open_as(path, 0, oflags, rights, &fd));
    SO(fd > 2);
    return fd;
}

static void make_file(const char *path)
{
    OK(try_open(path, 0, __WASI_OFLAGS_CREAT));
}

static __wasi_errno_t write_some(__wasi_fd_t fd, const void *data, size_t size)
{
    const __wasi_ciovec_t part = {data, size};
    __wasi_size_t done = 0;
    const __wasi_errno_t r = __wasi_fd_write(fd, &part, 1, &done);

    if (r == __WASI_ERRNO_SUCCESS)
        SO(done == size);
    return r;
}

static __wasi_errno_t read_some(__wasi_fd_t fd, void *data, size_t size, __wasi_size_t *ret)
{
    const __wasi_iovec_t part = {data, size};

    return __wasi_fd_read(fd, &part, 1, ret);
}

/* --- directories -------------------------------------------------------------------------- */

static void a_directory_is_no_file(void)
{
    uint8_t byte = 0;
    const __wasi_iovec_t in = {&byte, 1};
    const __wasi_ciovec_t out = {&byte, 1};
    __wasi_filesize_t place;
    __wasi_filestat_t st;
    __wasi_size_t done;

    OK(__wasi_fd_filestat_get(dir, &st));
    SO(st.filetype == __WASI_FILETYPE_DIRECTORY);
    EITHER(__wasi_fd_read(dir, &in, 1, &done), ISDIR, NOTCAPABLE);
    EITHER(__wasi_fd_pread(dir, &in, 1, 0, &done), ISDIR, NOTCAPABLE);
    EITHER(__wasi_fd_write(dir, &out, 1, &done), ISDIR, NOTCAPABLE);
    EITHER(__wasi_fd_pwrite(dir, &out, 1, 0, &done), ISDIR, NOTCAPABLE);
    for (int whence = 0; whence < 3; whence++)
        EITHER(__wasi_fd_seek(dir, 0, (__wasi_whence_t)whence, &place), BADF, NOTCAPABLE);
    EITHER(__wasi_fd_tell(dir, &place), BADF, NOTCAPABLE);
    EITHER(__wasi_fd_allocate(dir, 0, 1), BADF, NOTCAPABLE);
    EITHER(__wasi_fd_filestat_set_size(dir, 0), BADF, NOTCAPABLE);
}

static void a_preopen_is_as_others(void)
{
    char name[16] = {0};
    __wasi_prestat_t prestat;
    __wasi_fdstat_t st;
    __wasi_fd_t fd;

    OK(__wasi_fd_prestat_get(ROOT, &prestat));
    SO(prestat.tag == __WASI_PREOPENTYPE_DIR && prestat.u.dir.pr_name_len == 1);
    EITHER(__wasi_fd_prestat_dir_name(ROOT, (uint8_t *)name, 0), NAMETOOLONG, INVAL);
    OK(__wasi_fd_prestat_dir_name(ROOT, (uint8_t *)name, sizeof(name)));
    SO(strcmp(name, "/") == 0);
    IS(__wasi_fd_prestat_get(ROOT + 1, &prestat), BADF);
    OK(__wasi_fd_fdstat_get(ROOT, &st));
    SO((st.fs_rights_base &
        (R(PATH_OPEN) | R(FD_READDIR) | R(PATH_SYMLINK) | R(FD_FILESTAT_SET_TIMES))) ==
       (R(PATH_OPEN) | R(FD_READDIR) | R(PATH_SYMLINK) | R(FD_FILESTAT_SET_TIMES)));
    SO((st.fs_rights_base & (R(FD_SEEK) | R(FD_FILESTAT_SET_SIZE))) == 0);
    SO((st.fs_rights_inheriting & (READS_AND_WRITES | R(POLL_FD_READWRITE))) ==
       (READS_AND_WRITES | R(POLL_FD_READWRITE)));
    OK(__wasi_path_open(ROOT, 0, ".", 0, st.fs_rights_base, st.fs_rights_inheriting, 0, &fd));
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_open(ROOT, 0, ".", 0, 0, 0, __WASI_FDFLAGS_NONBLOCK, &fd));
    OK(__wasi_fd_close(fd));
    IS(__wasi_path_open(ROOT, 0, ".", __WASI_OFLAGS_DIRECTORY, R(FD_READ) | R(FD_WRITE), 0, 0, &fd),
       ISDIR);
}

struct seen {
    int count, is_end;
    __wasi_dircookie_t last, before_last;
    char name[64]; /* of the last */
};

static struct seen list(__wasi_fd_t fd, __wasi_dircookie_t cookie)
{
    static uint8_t buffer[256];
    struct seen seen = {0};
    __wasi_size_t used = 0;
    __wasi_dirent_t entry;

    OK(__wasi_fd_readdir(fd, buffer, sizeof(buffer), cookie, &used));
    seen.is_end = used < sizeof(buffer);
    for (size_t at = 0; at + sizeof(entry) <= used; at += sizeof(entry) + entry.d_namlen) {
        memcpy(&entry, buffer + at, sizeof(entry));
        if (at + sizeof(entry) + entry.d_namlen > used)
            break;
        seen.before_last = seen.last;
        seen.last = entry.d_next;
        seen.count++;
        snprintf(seen.name, sizeof(seen.name), "%.*s", (int)entry.d_namlen,
                 (char *)buffer + at + sizeof(entry));
    }
    return seen;
}

static void directories_are_listed(void)
{
    enum { MANY = 500 };
    char name[32];
    int total = 0;

    OK(__wasi_path_create_directory(dir, "list"));
    const __wasi_fd_t fd = must_open("list", __WASI_OFLAGS_DIRECTORY, R(FD_READDIR));
    struct seen seen = list(fd, 0);
    SO(seen.is_end && seen.count == 2); /* "." and ".." */
    make_file("list/file");
    seen = list(fd, 0);
    SO(seen.is_end && seen.count == 3);
    const struct seen again = list(fd, seen.before_last);
    SO(again.is_end && again.count == 1 && strcmp(again.name, seen.name) == 0);
    OK(__wasi_path_unlink_file(dir, "list/file"));
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "list/%d", i);
        make_file(name);
    }
    for (__wasi_dircookie_t cookie = 0;; cookie = seen.last) {
        seen = list(fd, cookie);
        total += seen.count;
        if (seen.is_end)
            break;
    }
    SO(total == MANY + 2);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "list/%d", i);
        OK(__wasi_path_unlink_file(dir, name));
    }
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_remove_directory(dir, "list"));
}

/* --- paths -------------------------------------------------------------------------------- */

static void paths_are_taken_as_written(void)
{
    OK(__wasi_path_create_directory(dir, "d"));
    OK(__wasi_path_create_directory(dir, "d/e"));
    make_file("d/e/f");
    IS(try_open("/d/e/f", 0, 0), NOTCAPABLE);
    OK(try_open("d/.//e/../../d/e/../e///./f", 0, 0));
    EITHER(try_open("d/e/f/", 0, 0), NOTDIR, NOENT);
    EITHER(try_open("d/e/f///", 0, 0), NOTDIR, NOENT);
    OK(try_open("d/e/", 0, 0));
    OK(try_open("d/e///", 0, __WASI_OFLAGS_DIRECTORY));
    IS(try_open("d/e/../../../x", 0, 0), NOTCAPABLE);
    IS(try_open("none", 0, 0), NOENT);
    IS(try_open("d/e/f", 0, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL), EXIST);
    IS(try_open("d/e/f", 0, __WASI_OFLAGS_DIRECTORY), NOTDIR);
    IS(__wasi_path_remove_directory(dir, "d"), NOTEMPTY);
    IS(__wasi_path_unlink_file(dir, "d/e"), ISDIR);
    IS(__wasi_path_unlink_file(dir, "d/e/"), ISDIR);
    IS(__wasi_path_unlink_file(dir, "d/e/f/"), NOTDIR);
    IS(__wasi_path_remove_directory(dir, "d/e/f"), NOTDIR);
    IS(__wasi_path_remove_directory(dir, "d/e/f/"), NOTDIR);
    const __wasi_fd_t file = must_open("d/e/f", 0, ALL & ~R(FD_WRITE));
    __wasi_fd_t fd;
    EITHER(__wasi_path_open(file, 0, "x", __WASI_OFLAGS_CREAT, 0, 0, 0, &fd), NOTDIR, NOTCAPABLE);
    OK(__wasi_fd_close(file));
    OK(__wasi_path_unlink_file(dir, "d/e/f"));
    OK(__wasi_path_remove_directory(dir, "d/e/"));
    OK(__wasi_path_remove_directory(dir, "d"));
}

static void names_are_moved(void)
{
    OK(__wasi_path_create_directory(dir, "from"));
    OK(__wasi_path_rename(dir, "from", dir, "to"));
    IS(try_open("from", 0, __WASI_OFLAGS_DIRECTORY), NOENT);
    OK(__wasi_path_create_directory(dir, "from"));
    OK(__wasi_path_rename(dir, "from", dir, "to")); /* in place of an empty one */
    OK(__wasi_path_create_directory(dir, "from"));
    make_file("to/file");
    IS(__wasi_path_rename(dir, "from", dir, "to"), NOTEMPTY);
    IS(__wasi_path_rename(dir, "from", dir, "to/file"), NOTDIR);
    IS(__wasi_path_rename(dir, "to/file", dir, "from"), ISDIR);
    OK(__wasi_path_rename(dir, "to/file", dir, "file"));
    make_file("other");
    OK(__wasi_path_rename(dir, "file", dir, "other"));
    IS(try_open("file", 0, 0), NOENT);
    OK(try_open("other", 0, 0));
    OK(__wasi_path_remove_directory(dir, "to"));
    OK(__wasi_path_rename(dir, "from/", dir, "to"));
    OK(__wasi_path_rename(dir, "to", dir, "from/"));
    OK(__wasi_path_rename(dir, "from/", dir, "to/"));
    OK(__wasi_path_remove_directory(dir, "to"));
    OK(__wasi_path_unlink_file(dir, "other"));
}

static void symbolic_links(void)
{
    uint8_t text[10] = {0};
    __wasi_size_t used;

    IS(__wasi_path_symlink("target", dir, "link/"), NOENT);
    OK(__wasi_path_symlink("target", dir, "link"));
    EITHER(try_open("link", 0, __WASI_OFLAGS_DIRECTORY), NOTDIR, LOOP);
    IS(try_open("link", 0, 0), LOOP);
    IS(try_open("link", FOLLOW, 0), NOENT);
    OK(__wasi_path_readlink(dir, "link", text, sizeof(text), &used));
    SO(used == 6 && memcmp(text, "target\0\0\0", 10) == 0);
    memset(text, 0, sizeof(text));
    OK(__wasi_path_readlink(dir, "link", text, 4, &used));
    SO(used == 4 && memcmp(text, "targ\0", 6) == 0);
    OK(__wasi_path_create_directory(dir, "target"));
    OK(try_open("link", FOLLOW, __WASI_OFLAGS_DIRECTORY));
    IS(try_open("link", 0, 0), LOOP);
    IS(__wasi_path_symlink("x", dir, "target"), EXIST);
    IS(__wasi_path_symlink("x", dir, "target/"), EXIST);
    OK(__wasi_path_remove_directory(dir, "target"));
    make_file("target");
    IS(try_open("link", FOLLOW, __WASI_OFLAGS_DIRECTORY), NOTDIR);
    OK(try_open("link", FOLLOW, 0));
    EITHER(__wasi_path_symlink("x", dir, "target/"), NOTDIR, EXIST);
    IS(__wasi_path_symlink("x", dir, "target"), EXIST);
    SO(__wasi_path_symlink("/", dir, "root") != __WASI_ERRNO_SUCCESS);
    OK(__wasi_path_symlink("loop", dir, "loop"));
    IS(try_open("loop", FOLLOW, 0), LOOP);
    OK(__wasi_path_unlink_file(dir, "loop"));
    OK(__wasi_path_unlink_file(dir, "link"));
    OK(__wasi_path_unlink_file(dir, "target"));
}

static void hard_links(void)
{
    __wasi_filestat_t one, other;

    make_file("file");
    OK(__wasi_path_create_directory(dir, "sub"));
    OK(__wasi_path_link(dir, 0, "file", dir, "sub/link"));
    OK(__wasi_path_filestat_get(dir, 0, "file", &one));
    OK(__wasi_path_filestat_get(dir, 0, "sub/link", &other));
    SO(one.ino == other.ino && one.dev == other.dev && other.nlink == 2);
    IS(__wasi_path_link(dir, 0, "file", dir, "sub/link"), EXIST);
    IS(__wasi_path_link(dir, 0, "file", dir, "file"), EXIST);
    IS(__wasi_path_link(dir, 0, "file", dir, "sub"), EXIST);
    IS(__wasi_path_link(dir, 0, "file", dir, "new/"), NOENT);
    EITHER(__wasi_path_link(dir, 0, "sub", dir, "new"), PERM, ACCES);
    OK(__wasi_path_symlink("nothing", dir, "soft"));
    OK(__wasi_path_link(dir, 0, "soft", dir, "new"));
    IS(__wasi_path_link(dir, 0, "file", dir, "soft"), EXIST);
    EITHER(__wasi_path_link(dir, FOLLOW, "soft", dir, "followed"), INVAL, NOENT);
    OK(__wasi_path_unlink_file(dir, "new"));
    OK(__wasi_path_unlink_file(dir, "soft"));
    OK(__wasi_path_unlink_file(dir, "sub/link"));
    OK(__wasi_path_remove_directory(dir, "sub"));
    OK(__wasi_path_unlink_file(dir, "file"));
}

/* --- files -------------------------------------------------------------------------------- */

static void places_in_files(void)
{
    static const uint8_t data[100] = {7};
    uint8_t buffer[100];
    __wasi_filesize_t place = 9;
    __wasi_size_t done;
    const __wasi_fd_t fd = must_open("file", __WASI_OFLAGS_CREAT, READS_AND_WRITES);
    const __wasi_ciovec_t out[2] = {{data, 2}, {data + 2, 2}};
    const __wasi_iovec_t in[2] = {{buffer, 3}, {buffer + 3, 10}};

    OK(__wasi_fd_tell(fd, &place));
    SO(place == 0);
    OK(write_some(fd, data, sizeof(data)));
    OK(__wasi_fd_seek(fd, -50, __WASI_WHENCE_CUR, &place));
    SO(place == 50);
    OK(__wasi_fd_seek(fd, 1000, __WASI_WHENCE_END, &place));
    SO(place == 1100);
    IS(__wasi_fd_seek(fd, -2000, __WASI_WHENCE_CUR, &place), INVAL);
    OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &place));
    OK(read_some(fd, buffer, sizeof(buffer), &done));
    SO(done == 100 && buffer[0] == 7);
    OK(__wasi_fd_tell(fd, &place));
    SO(place == 100);
    OK(__wasi_fd_pwrite(fd, out, 2, 98, &done));
    SO(done == 4);
    OK(__wasi_fd_pread(fd, in, 2, 98, &done));
    SO(done == 4 && buffer[0] == 7 && buffer[1] == 0);
    OK(__wasi_fd_pread(fd, in, 2, 200, &done));
    SO(done == 0);
    OK(__wasi_fd_tell(fd, &place));
    SO(place == 100);
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_unlink_file(dir, "file"));
}

static void files_are_appended_to(void)
{
    static const uint8_t ones[10] = {1};
    __wasi_filesize_t place;
    __wasi_filestat_t st;
    __wasi_fdstat_t fdstat;
    __wasi_fd_t fd;

    OK(__wasi_path_open(dir, 0, "file", __WASI_OFLAGS_CREAT, ALL, 0,
                        __WASI_FDFLAGS_APPEND | __WASI_FDFLAGS_SYNC, &fd));
    OK(__wasi_fd_fdstat_get(fd, &fdstat));
    SO(fdstat.fs_flags == (__WASI_FDFLAGS_APPEND | __WASI_FDFLAGS_SYNC));
    for (int i = 0; i < 2; i++) {
        OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &place));
        OK(write_some(fd, ones, sizeof(ones)));
    }
    OK(__wasi_fd_filestat_get(fd, &st));
    SO(st.size == 20);
    OK(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_SYNC));
    OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &place));
    OK(write_some(fd, ones, sizeof(ones)));
    OK(__wasi_fd_filestat_get(fd, &st));
    SO(st.size == 20);
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_unlink_file(dir, "file"));
}

static void sizes_and_times(void)
{
    __wasi_filestat_t st, now;
    const __wasi_fd_t fd = must_open("file", __WASI_OFLAGS_CREAT, ALL);

    OK(__wasi_fd_filestat_set_size(fd, 100));
    OK(__wasi_fd_advise(fd, 10, 50, __WASI_ADVICE_NORMAL));
    OK(__wasi_fd_allocate(fd, 10, 10));
    OK(__wasi_fd_filestat_get(fd, &st));
    SO(st.size == 100 && st.filetype == __WASI_FILETYPE_REGULAR_FILE && st.nlink == 1);
    OK(__wasi_fd_allocate(fd, 90, 20));
    OK(__wasi_fd_filestat_get(fd, &st));
    SO(st.size == 110);
    OK(__wasi_fd_filestat_set_times(fd, 0, st.mtim - 100, __WASI_FSTFLAGS_MTIM));
    OK(__wasi_fd_filestat_get(fd, &now));
    SO(now.mtim == st.mtim - 100 && now.atim == st.atim && now.size == 110);
    IS(__wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_MTIM_NOW),
       INVAL);
    IS(__wasi_path_filestat_set_times(dir, 0, "file", 0, 0,
                                      __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_ATIM_NOW),
       INVAL);
    OK(__wasi_path_symlink("file", dir, "link"));
    OK(__wasi_path_filestat_get(dir, 0, "link", &st));
    SO(st.filetype == __WASI_FILETYPE_SYMBOLIC_LINK);
    OK(__wasi_path_filestat_set_times(dir, 0, "link", 0, 5000, __WASI_FSTFLAGS_MTIM));
    OK(__wasi_path_filestat_get(dir, 0, "link", &st));
    SO(st.mtim == 5000);
    OK(__wasi_path_filestat_get(dir, FOLLOW, "link", &st));
    SO(st.mtim == now.mtim && st.ino == now.ino);
    OK(__wasi_path_filestat_set_times(dir, FOLLOW, "link", 0, 7000, __WASI_FSTFLAGS_MTIM));
    OK(__wasi_fd_filestat_get(fd, &st));
    SO(st.mtim == 7000);
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_unlink_file(dir, "link"));
    OK(__wasi_path_unlink_file(dir, "file"));
}

/* --- rights and numbers ------------------------------------------------------------------- */

static void rights_are_given_up(void)
{
    uint8_t byte;
    __wasi_size_t done;
    __wasi_fdstat_t st;
    __wasi_fd_t fd = must_open("file", __WASI_OFLAGS_CREAT, R(FD_READ));

    OK(__wasi_fd_fdstat_get(fd, &st));
    SO((st.fs_rights_base & (R(FD_READ) | R(FD_WRITE))) == R(FD_READ));
    EITHER(write_some(fd, "x", 1), BADF, NOTCAPABLE);
    OK(__wasi_fd_close(fd));
    fd = must_open("file", 0, R(FD_WRITE));
    EITHER(read_some(fd, &byte, 1, &done), BADF, NOTCAPABLE);
    OK(write_some(fd, "x", 1));
    OK(__wasi_fd_close(fd));
    fd = must_open("file", 0, READS_AND_WRITES);
    OK(read_some(fd, &byte, 1, &done));
    OK(__wasi_fd_fdstat_get(fd, &st));
    OK(__wasi_fd_fdstat_set_rights(fd, st.fs_rights_base & ~(R(FD_READ) | R(FD_WRITE)),
                                   st.fs_rights_inheriting));
    EITHER(read_some(fd, &byte, 1, &done), BADF, NOTCAPABLE);
    EITHER(write_some(fd, "x", 1), BADF, NOTCAPABLE);
    IS(__wasi_fd_fdstat_set_rights(fd, st.fs_rights_base, st.fs_rights_inheriting), NOTCAPABLE);
    OK(__wasi_fd_close(fd));

    OK(open_as(".", 0, __WASI_OFLAGS_DIRECTORY, ALL & ~R(FD_WRITE), &fd));
    OK(__wasi_fd_fdstat_get(fd, &st));
    SO(st.fs_flags == 0);
    OK(__wasi_fd_fdstat_set_rights(fd, st.fs_rights_base,
                                   st.fs_rights_inheriting & ~R(FD_FILESTAT_SET_SIZE)));
    __wasi_fd_t cut;
    OK(__wasi_path_open(fd, 0, "file", __WASI_OFLAGS_TRUNC, 0, 0, 0, &cut));
    OK(__wasi_fd_close(cut));
    OK(__wasi_fd_fdstat_set_rights(fd, st.fs_rights_base & ~R(PATH_FILESTAT_SET_SIZE), 0));
    IS(__wasi_path_open(fd, 0, "file", __WASI_OFLAGS_TRUNC, 0, 0, 0, &cut), NOTCAPABLE);
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_unlink_file(dir, "file"));
}

static void descriptors_are_renumbered(void)
{
    __wasi_fdstat_t st;
    __wasi_filestat_t before, after;
    __wasi_fd_t from = must_open("one", __WASI_OFLAGS_CREAT, R(FD_READ) | R(FD_FILESTAT_GET));
    const __wasi_fd_t to = must_open("two", __WASI_OFLAGS_CREAT, R(FD_WRITE));

    OK(__wasi_fd_filestat_get(from, &before));
    OK(__wasi_fd_renumber(from, to));
    IS(__wasi_fd_close(from), BADF);
    OK(__wasi_fd_filestat_get(to, &after));
    SO(before.ino == after.ino);
    OK(__wasi_fd_fdstat_get(to, &st));
    SO((st.fs_rights_base & R(FD_WRITE)) == 0);
    IS(__wasi_fd_renumber(to, from), BADF);
    OK(__wasi_fd_renumber(to, to));
    OK(__wasi_fd_close(to));
    /* a stream becomes another number, and is still that */
    from = must_open("two", 0, R(FD_WRITE));
    OK(__wasi_fd_renumber(0, from));
    IS(__wasi_fd_fdstat_get(0, &st), BADF);
    OK(__wasi_fd_fdstat_get(from, &st));
    OK(open_as("two", 0, 0, R(FD_READ), &from));
    SO(from == 0);
    OK(__wasi_path_unlink_file(dir, "one"));
    OK(__wasi_path_unlink_file(dir, "two"));
}

/* --- the rest ----------------------------------------------------------------------------- */

static void clocks_and_chance(void)
{
    static uint8_t large[1 << 20];
    __wasi_timestamp_t one, other, resolution;

    OK(__wasi_clock_res_get(__WASI_CLOCKID_MONOTONIC, &resolution));
    SO(resolution > 0 && resolution < 1000000000);
    OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &one));
    OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &other));
    SO(one <= other);
    OK(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 0, &one));
    SO(one > 1600000000ULL * 1000000000);
    IS(__wasi_clock_time_get(99, 0, &one), INVAL);
    OK(__wasi_random_get(large, sizeof(large)));
    size_t zeros = 0;
    for (size_t i = 0; i < sizeof(large); i++)
        zeros += large[i] == 0;
    SO(zeros > 2048 && zeros < 8192);
    OK(__wasi_sched_yield());
    IS(__wasi_sock_shutdown(1, __WASI_SDFLAGS_RD), NOTSOCK);
    IS(__wasi_sock_shutdown(dir, __WASI_SDFLAGS_RD), NOTSOCK);
    IS(__wasi_sock_shutdown(99, __WASI_SDFLAGS_RD), BADF);
}

static void waiting(void)
{
    const __wasi_subscription_t both[2] = {
        {.userdata = 1, .u = {.tag = __WASI_EVENTTYPE_FD_WRITE, .u.fd_write.file_descriptor = 1}},
        {.userdata = 2,
         .u = {.tag = __WASI_EVENTTYPE_CLOCK,
               .u.clock = {.id = __WASI_CLOCKID_MONOTONIC, .timeout = 10000000000}}},
    };
    const __wasi_subscription_t clock = {
        .userdata = 3,
        .u = {.tag = __WASI_EVENTTYPE_CLOCK,
              .u.clock = {.id = __WASI_CLOCKID_MONOTONIC, .timeout = 20000000}}};
    const __wasi_subscription_t closed = {
        .userdata = 4, .u = {.tag = __WASI_EVENTTYPE_FD_READ, .u.fd_read.file_descriptor = 99}};
    __wasi_timestamp_t before, after;
    __wasi_event_t events[2];
    __wasi_size_t count;

    OK(__wasi_poll_oneoff(both, events, 2, &count));
    SO(count == 1 && events[0].userdata == 1 && events[0].error == 0 &&
       events[0].type == __WASI_EVENTTYPE_FD_WRITE);
    OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &before));
    OK(__wasi_poll_oneoff(&clock, events, 1, &count));
    OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &after));
    SO(count == 1 && events[0].userdata == 3 && events[0].error == 0 && after - before >= 20000000);
    OK(__wasi_poll_oneoff(&closed, events, 1, &count));
    SO(count == 1 && events[0].userdata == 4 && events[0].error == __WASI_ERRNO_BADF);
    IS(__wasi_poll_oneoff(&closed, events, 0, &count), INVAL);
}

/* ROOT has it as this in the end. */
static char work[64];

static void open_work(void)
{
    const char *place = "tmp/volume";
    __wasi_filestat_t st;

    if (__wasi_path_filestat_get(ROOT, 0, place, &st) != __WASI_ERRNO_SUCCESS)
        place = "tmp";
    snprintf(work, sizeof(work), "%s/work", place);
    OK(__wasi_path_create_directory(ROOT, work));
    OK(__wasi_path_open(ROOT, 0, work, __WASI_OFLAGS_DIRECTORY, ALL & ~R(FD_WRITE), ALL, 0, &dir));
}

/* The directory has gone by then, its descriptor comes in the preopen's place. */
static void a_preopen_is_overwritten(void)
{
    __wasi_filestat_t st;

    OK(__wasi_path_remove_directory(ROOT, work));
    IS(try_open("new", 0, __WASI_OFLAGS_CREAT), NOENT);
    OK(__wasi_fd_renumber(dir, ROOT));
    IS(__wasi_fd_filestat_get(dir, &st), BADF);
    OK(__wasi_fd_filestat_get(ROOT, &st));
    SO(st.filetype == __WASI_FILETYPE_DIRECTORY);
    OK(__wasi_fd_close(ROOT));
    IS(__wasi_fd_filestat_get(ROOT, &st), BADF);
}

int main(void)
{
    open_work();
    a_directory_is_no_file();
    a_preopen_is_as_others();
    directories_are_listed();
    paths_are_taken_as_written();
    names_are_moved();
    symbolic_links();
    hard_links();
    places_in_files();
    files_are_appended_to();
    sizes_and_times();
    rights_are_given_up();
    clocks_and_chance();
    waiting();
    descriptors_are_renumbered();
    a_preopen_is_overwritten();
    printf("%d checks\n", checks);
    return 0;
}
