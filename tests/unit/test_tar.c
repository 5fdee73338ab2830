/* test_tar.c - tar archives as they come, and as they should not. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/image/tar_parts.h"
#include "tar_writer.h"

/* --- a reader on what was made -------------------------------------------------------------- */

struct reading {
    struct cl_tar tar;
    int stream;
    struct cl_tar_entry entry;
    struct cl_error err;
};

static void reading_done(struct reading *reading)
{
    cl_tar_done(&reading->tar);
    cl_fd_close(&reading->stream);
}
#define CLEANUP_READING CL_CLEANUP(reading_done)

static void read_archive(struct reading *ret, const struct cl_buf *tar)
{
    *ret = (struct reading){.stream = cl_sys_memfd_create("tar", 1 /* MFD_CLOEXEC */)};
    CHECK(cl_write_all(ret->stream, tar->data, tar->size) == 0);
    CHECK(lseek(ret->stream, 0, SEEK_SET) == 0);
    CHECK(cl_tar_start(&ret->tar, ret->stream, &ret->err) == 0);
}

static int next(struct reading *reading)
{
    int r = cl_tar_next(&reading->tar, &reading->entry, &reading->err);

    if (r < 0)
        printf("# %s\n", reading->err.msg);
    return r;
}

static void check_name(const struct cl_tar_text *text, const char *expected)
{
    char name[512];

    (void)snprintf(name, sizeof(name), "%.*s", (int)text->size, text->data);
    CHECK_TEXT(name, expected);
}

/* All of the entry's content, in holes zeros. */
static size_t content(struct reading *reading, char *ret, size_t size)
{
    struct cl_tar_data data;
    size_t end = 0;
    int r;

    memset(ret, 0, size);
    while ((r = cl_tar_read(&reading->tar, &data, &reading->err)) > 0) {
        CHECK(data.offset >= end && data.offset + data.size <= size);
        memcpy(ret + data.offset, data.data, data.size);
        end = data.offset + data.size;
    }
    CHECK(r == 0);
    return end;
}

/* The archive, with an end, is refused in these words. */
static void refused(struct cl_buf *tar, int code, const char *needle)
{
    CLEANUP_READING struct reading reading;
    int r;

    tar_end(tar);
    read_archive(&reading, tar);
    do
        r = cl_tar_next(&reading.tar, &reading.entry, &reading.err);
    while (r > 0);
    if (r != -code)
        printf("# %d %s\n", r, reading.err.msg);
    CHECK(r == -code);
    CHECK_HAS(reading.err.msg, needle);
    tar->size = 0;
}

/* --- headers ------------------------------------------------------------------------------------
 */

TEST(names_have_prefixes)
{
    static char posix[167] = "the/prefix", star[167] = "the/prefix", gnu[167] = "", go[167] = "";
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CLEANUP_READING struct reading reading;
    static char name[101];

    memset(name, 'n', 100);
    memset(star + 10, 'x', 131 - 10); /* and times behind */
    memcpy(star + 131, "00000000017", 12);
    memcpy(star + 163, "tar", 4);
    memcpy(gnu,
           "00000000017\0"
           "00000000017",
           24); /* times of access and change */
    tar_text(go, "not/a/time/but/a/prefix");
    TAR(&tar, .name = "name", .tail = posix);
    TAR(&tar, .name = name, .tail = posix);
    TAR(&tar, .name = "name", .tail = star);
    TAR(&tar, .name = "name", .tail = gnu, .magic = TAR_GNU);
    TAR(&tar, .name = "name", .tail = go, .magic = TAR_GNU);
    TAR(&tar, .name = "name", .tail = posix, .magic = "\0\0\0\0\0\0\0\0");
    tar_end(&tar);
    read_archive(&reading, &tar);
    CHECK(next(&reading) == 1);
    check_name(&reading.entry.name, "the/prefix/name");
    CHECK(next(&reading) == 1 && reading.entry.name.size == 10 + 1 + 100);
    CHECK(next(&reading) == 1 && reading.entry.name.size == 136);
    CHECK(next(&reading) == 1);
    check_name(&reading.entry.name, "name");
    CHECK(next(&reading) == 1);
    check_name(&reading.entry.name, "not/a/time/but/a/prefix/name");
    CHECK(next(&reading) == 1);
    check_name(&reading.entry.name, "name");
    CHECK(next(&reading) == 0 && next(&reading) == 0);
}

TEST(extended_headers_speak_of_the_next_entry)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;
    CLEANUP_READING struct reading reading;

    tar_record(&body, "path", "of/pax");
    tar_record(&body, "linkpath", "target/of/pax");
    tar_record(&body, "uid", "4000000000");
    tar_record(&body, "gid", "5");
    tar_record(&body, "mtime", "3.25");
    tar_record(&body, "size", "3");
    tar_record(&body, "comment", "path=other");
    tar_record(&body, "uname", "root");
    tar_record(&body, "hdrcharset", "ISO-IR 8859 1 1998");
    tar_record(&body, "SCHILY.xattr.user.x", "value");
    tar_pax(&tar, &body);
    TAR(&tar, .name = "own", .link = "own", .content = "abc", .said_size = 1, .uid = 7, .mtime = 9);
    TAR(&tar, .name = "own", .content = "abc", .uid = 7, .gid = 8, .mtime = 9);
    tar_pax_one(&tar, "path", "of/pax", 6);
    tar_long(&tar, 'L', "of/gnu");
    tar_long(&tar, 'K', "target/of/gnu");
    TAR(&tar, .name = "own", .type = '2', .link = "own");
    tar_end(&tar);
    read_archive(&reading, &tar);
    CHECK(next(&reading) == 1 && reading.entry.type == CL_TAR_FILE);
    check_name(&reading.entry.name, "of/pax");
    check_name(&reading.entry.link, "target/of/pax");
    CHECK(reading.entry.uid == 4000000000 && reading.entry.gid == 5 && reading.entry.size == 3);
    CHECK(reading.entry.mtime.tv_sec == 3 && reading.entry.mtime.tv_nsec == 250000000);
    CHECK(reading.entry.xattr_count == 1 && reading.entry.xattrs[0].size == 5);
    CHECK_TEXT(reading.entry.xattrs[0].name, "user.x");
    CHECK(next(&reading) == 1);
    check_name(&reading.entry.name, "own");
    CHECK(reading.entry.uid == 7 && reading.entry.gid == 8 && reading.entry.mtime.tv_sec == 9);
    CHECK(reading.entry.xattr_count == 0);
    CHECK(next(&reading) == 1 && reading.entry.type == CL_TAR_SYMLINK);
    check_name(&reading.entry.name, "of/gnu");
    check_name(&reading.entry.link, "target/of/gnu");
    CHECK(next(&reading) == 0);
}

TEST(what_stands_later_wins)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;
    CLEANUP_READING struct reading reading;

    tar_record(&body, "path", "first");
    tar_record(&body, "path", "second");
    tar_record(&body, "uid", "5");
    tar_record(&body, "uid", ""); /* as if it weren't there */
    tar_pax(&tar, &body);
    TAR(&tar, .name = "own", .uid = 9);
    tar_record(&body, "path", "first");
    tar_record(&body, "gid", "5");
    tar_pax(&tar, &body);
    tar_pax_one(&tar, "path", "second", 6);
    TAR(&tar, .name = "own", .gid = 9);
    tar_long(&tar, 'L', "first");
    tar_long(&tar, 'L', "second");
    tar_file(&tar, "own", "");
    TAR(&tar, .name = "global", .type = 'g', .content = "19 path=all-of-them\n");
    tar_file(&tar, "own", "");
    tar_end(&tar);
    read_archive(&reading, &tar);
    CHECK(next(&reading) == 1 && reading.entry.uid == 9);
    check_name(&reading.entry.name, "second");
    CHECK(next(&reading) == 1 && reading.entry.gid == 9); /* the first header is forgotten */
    check_name(&reading.entry.name, "second");
    CHECK(next(&reading) == 1);
    check_name(&reading.entry.name, "second");
    CHECK(next(&reading) == 1);
    check_name(&reading.entry.name, "own");
}

TEST(types_have_content_or_none)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CLEANUP_READING struct reading reading;
    char text[64];
    static const struct {
        char type;
        const char *name;
        enum cl_tar_type is;
        int content;
    } rows[] = {
        {'0', "f", CL_TAR_FILE, 1},       {'-', "f", CL_TAR_FILE, 1},
        {'7', "f", CL_TAR_FILE, 1},       {'0', "d/", CL_TAR_FILE, 1},
        {'-', "d/", CL_TAR_DIRECTORY, 1}, {'1', "f", CL_TAR_HARD_LINK, 0},
        {'2', "f", CL_TAR_SYMLINK, 0},    {'3', "f", CL_TAR_DEVICE, 0},
        {'4', "f", CL_TAR_DEVICE, 0},     {'5', "f", CL_TAR_DIRECTORY, 0},
        {'6', "f", CL_TAR_FIFO, 0},
    };

    /* Those that can have none say that they have, and nothing follows. */
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        TAR(&tar, .name = rows[i].name, .type = rows[i].type, .link = "x", .said_size = 7,
            .content = rows[i].content ? "content" : NULL);
    tar_end(&tar);
    read_archive(&reading, &tar);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const int is_file = rows[i].is == CL_TAR_FILE;

        CHECK(next(&reading) == 1 && reading.entry.type == rows[i].is);
        CHECK(reading.entry.size == (is_file ? 7 : 0));
        if (i % 2 == 0) /* or it is passed over */
            CHECK(content(&reading, text, sizeof(text)) == (is_file ? 7 : 0));
    }
    CHECK(next(&reading) == 0);
}

TEST(unknown_types_are_refused_by_name)
{
    static const char types[] = "8MVNDAXEISQ z\xff";

    for (size_t i = 0; i < strlen(types); i++) {
        CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
        char needle[64];

        TAR(&tar, .name = "dir/strange", .type = types[i]);
        (void)snprintf(needle, sizeof(needle),
                       types[i] > 0 ? "\"dir/strange\" is an entry of type \"%c\""
                                    : "\"dir/strange\" is an entry of type \"\\xff\"",
                       types[i]);
        refused(&tar, EINVAL, needle);
    }
}

TEST(sums_of_signed_bytes_hold)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CLEANUP_READING struct reading reading;
    unsigned int sum = 0;
    char digits[16];

    tar_file(&tar, "\xff\xfe", "");
    for (size_t i = 0; i < 512; i++)
        sum += i >= 148 && i < 156 ? ' ' : (unsigned int)(signed char)tar.data[i];
    (void)snprintf(digits, sizeof(digits), "%06o", sum);
    CHECK(strncmp(digits, tar.data + 148, 6) != 0);
    memcpy(tar.data + 148, digits, 7);
    read_archive(&reading, &tar);
    CHECK(next(&reading) == 1);
    tar.data[148]++;
    refused(&tar, EINVAL, "it is no tar archive: it begins with no header");
}

TEST(damage_is_told_with_its_place)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_file(&tar, "a", "x");
    TAR(&tar, .name = "b", .bad_checksum = 1);
    refused(&tar, EINVAL, "damaged tar archive: a header whose checksum is wrong, at byte 1024");
    tar_file(&tar, "a", "x");
    CHECK(cl_buf_grow(&tar, 512) == 0);
    tar_file(&tar, "b", "x");
    refused(&tar, EINVAL, "a block of zeros between entries, at byte 1024");
    TAR(&tar, .name = "a", .size_field = "12345678x\0\0\0");
    refused(&tar, EINVAL, "a size that is none, at byte 0");
    TAR(&tar, .name = "a", .size_field = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    refused(&tar, EINVAL, "a size that is none");
    TAR(&tar, .name = "a", .said_size = 100000);
    refused(&tar, ENODATA, "the tar archive ends in the middle of an entry");
    tar_file(&tar, "a", "x");
    tar.data[101] = '9'; /* its mode */
    tar_checksum(tar.data);
    refused(&tar, EINVAL, "a header with a number that is none");
    tar_pax_one(&tar, "path", "x", 1);
    refused(&tar, EINVAL, "an extended header without its entry");
}

/* --- headers that want memory --------------------------------------------------------------------
 */

TEST(extended_headers_have_bounds)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;
    static char big[CL_TAR_MAX_PAX + 1];

    memset(big, 'x', sizeof(big));
    TAR(&tar, .name = "p", .type = 'x', .size_field = "77777777777");
    refused(&tar, EINVAL, "an extended header of more than a MiB");
    TAR(&tar, .name = "p", .type = 'x', .content = big, .size = sizeof(big));
    refused(&tar, EINVAL, "an extended header of more than a MiB");
    TAR(&tar, .name = "p", .type = 'g', .content = big, .size = sizeof(big));
    refused(&tar, EINVAL, "an extended header of more than a MiB");
    TAR(&tar, .name = "p", .type = 'L', .content = big, .size = CL_TAR_MAX_LONG + 1);
    refused(&tar, EINVAL, "a name of 8193 bytes, at byte 0 of the tar archive");
    TAR(&tar, .name = "p", .type = 'K', .size_field = "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    refused(&tar, EINVAL, "an extended header of more than a MiB");
    for (int i = 0; i <= CL_TAR_MAX_HEADERS; i++)
        tar_pax_one(&tar, "path", "x", 1);
    tar_file(&tar, "a", "");
    refused(&tar, EINVAL, "too many extended headers of one entry");
    for (int i = 0; i <= CL_TAR_MAX_XATTRS; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "SCHILY.xattr.user.%d", i);
        tar_record(&body, key, "x");
    }
    tar_pax(&tar, &body);
    tar_file(&tar, "a", "");
    refused(&tar, EINVAL, "more than 128 extended attributes of one file");
    tar_pax_one(&tar, "SCHILY.xattr.user.x", big, CL_TAR_XATTR_SIZE + 1);
    tar_file(&tar, "a", "");
    refused(&tar, EINVAL, "an extended attribute of 65537 bytes");
}

TEST(the_largest_headers_are_read)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;
    CLEANUP_READING struct reading reading;
    static char big[CL_TAR_XATTR_SIZE];

    memset(big, '=', sizeof(big));
    for (int i = 0; i < 15; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "SCHILY.xattr.user.%d", i);
        tar_record_bytes(&body, key, big, sizeof(big));
    }
    CHECK(body.size < CL_TAR_MAX_PAX);
    tar_record_bytes(&body, "comment", big,
                     CL_TAR_MAX_PAX - body.size - sizeof("65513 comment=\n") + 1);
    CHECK(body.size == CL_TAR_MAX_PAX);
    tar_pax(&tar, &body);
    tar_file(&tar, "a", "");
    tar_end(&tar);
    read_archive(&reading, &tar);
    CHECK(next(&reading) == 1 && reading.entry.xattr_count == 15);
    CHECK(reading.entry.xattrs[14].size == sizeof(big) && reading.entry.xattrs[14].value[9] == '=');
}

TEST(pax_records_that_are_none_are_refused)
{
    static const struct {
        const char *body;
        const char *needle;
    } rows[] = {
        {"6 a=b", "a record that is none"},   /* no newline */
        {"5 a=b\n", "a record that is none"}, /* one too few */
        {"7 a=b\n", "a record that is none"},
        {"6  =b\n", NULL}, /* the key is a blank */
        {"5 =b\n", "a record that is none"},
        {"5 ab\n", "a record that is none"},
        {"a=b\n", "a record that is none"},
        {" 6 a=b\n", "a record that is none"},
        {"-6 a=b\n", "a record that is none"},
        {"07 a=b\n", NULL},
        {"0 a=b\n", "a record that is none"},
        {"2 \n", "a record that is none"},
        {"99999999999999999999 a=b\n", "a record that is none"},
        {"6 a=b\n6 a", "a record that is none"},
        {"12 uid=root\n", "a number that is none"},
        {"10 uid=-1\n", "a number that is none"},
        {"10 size=\n", "a record that is none"},
        {"13 size=1.5k\n", "a number that is none"},
        {"15 mtime=today\n", "a number that is none"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
        CLEANUP_READING struct reading reading;

        TAR(&tar, .name = "p", .type = 'x', .content = rows[i].body);
        tar_file(&tar, "a", "");
        if (rows[i].needle != NULL) {
            refused(&tar, EINVAL, rows[i].needle);
            tar_file(&tar, "a", "");
        }
        read_archive(&reading, &tar);
        CHECK(next(&reading) == 1);
    }
}

/* A NUL ends no value, and is in no key. */
TEST(nul_bytes_end_nothing)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CLEANUP_READING struct reading reading;

    tar_pax_one(&tar, "path", "a\0b", 3);
    tar_file(&tar, "x", "");
    TAR(&tar, .name = "l", .type = 'L', .content = "c\0d\0\0", .size = 5, .magic = TAR_GNU);
    tar_file(&tar, "x", "");
    tar_pax_one(&tar, "SCHILY.xattr.user.x", "\0\n=\0", 4);
    tar_file(&tar, "x", "");
    read_archive(&reading, &tar);
    CHECK(next(&reading) == 1 && reading.entry.name.size == 3);
    CHECK(next(&reading) == 1 && reading.entry.name.size == 3);
    CHECK(memcmp(reading.entry.name.data, "c\0d", 3) == 0);
    CHECK(next(&reading) == 1 && reading.entry.xattrs[0].size == 4);
    CHECK(memcmp(reading.entry.xattrs[0].value, "\0\n=\0", 4) == 0);
    tar.size = 0;
    TAR(&tar, .name = "p", .type = 'x', .content = "8 pa\0=x\n", .size = 8);
    tar_file(&tar, "x", "");
    refused(&tar, EINVAL, "a record that is none");
}

/* --- how it is read -----------------------------------------------------------------------------
 */

/* Whoever is before us in the pipe writes as it likes. */
TEST(pieces_of_any_size_make_the_archive)
{
    static char big[700000];
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 7919 >> 8);
    tar_file(&tar, "a", "x");
    TAR(&tar, .name = "big", .content = big, .size = sizeof(big));
    tar_pax_one(&tar, "path", big, 3000);
    tar_file(&tar, "x", "y");
    tar_end(&tar);
    for (size_t step = 1; step < 100000; step = step * 3 + 1) {
        CLEANUP_READING struct reading reading = {0};
        static char text[sizeof(big)];
        int ends[2];

        CHECK(cl_sys_pipe2(ends, 0) == 0);
        (void)fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            for (size_t at = 0; at < tar.size; at += step)
                (void)!write(ends[1], tar.data + at, cl_min_u64(step, tar.size - at));
            _exit(0);
        }
        cl_fd_close(&ends[1]);
        reading.stream = ends[0];
        CHECK(cl_tar_start(&reading.tar, ends[0], &reading.err) == 0);
        CHECK(next(&reading) == 1 && next(&reading) == 1);
        CHECK(content(&reading, text, sizeof(text)) == sizeof(big));
        CHECK(memcmp(text, big, sizeof(big)) == 0);
        CHECK(next(&reading) == 1 && reading.entry.name.size == 3000);
        CHECK(next(&reading) == 0 && cl_tar_drain(&reading.tar, &reading.err) == 0);
        CHECK(cl_tar_position(&reading.tar) == tar.size);
        CHECK(waitpid(pid, NULL, 0) == pid);
    }
}

/* Whole pages, wherever the entry lies in the archive. */
TEST(data_ends_at_pages)
{
    static char big[1 << 20];
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CLEANUP_READING struct reading reading;
    struct cl_tar_data data;
    uint64_t end = 0;
    int parts = 0;

    tar_file(&tar, "a", "x");
    TAR(&tar, .name = "big", .content = big, .size = sizeof(big) - 100);
    tar_end(&tar);
    read_archive(&reading, &tar);
    CHECK(next(&reading) == 1 && next(&reading) == 1);
    CHECK(cl_tar_position(&reading.tar) == 1536);
    while (cl_tar_read(&reading.tar, &data, &reading.err) > 0) {
        CHECK(data.offset == end);
        end += data.size;
        CHECK(end % 4096 == 0 || end == sizeof(big) - 100);
        parts++;
    }
    CHECK(end == sizeof(big) - 100 && parts < 10);
}

/* Of a file what is passed over isn't read, and its offset is its owner's. */
TEST(a_file_is_read_by_places)
{
    enum { HOLE = 1 << 30 };
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CLEANUP_READING struct reading reading = {.stream = cl_sys_memfd_create("tar", 1)};
    char text[8];

    tar_file(&tar, "first", "1");
    tar_header(&tar, &(struct tar_item){.name = "hole"}, HOLE);
    const off_t after = (off_t)tar.size + HOLE;
    CHECK(cl_write_all(reading.stream, tar.data, tar.size) == 0);
    tar.size = 0;
    tar_file(&tar, "last", "3");
    tar_end(&tar);
    CHECK(pwrite(reading.stream, tar.data, tar.size, after) == (ssize_t)tar.size);
    CHECK(lseek(reading.stream, 7, SEEK_SET) == 7);
    for (off_t short_of = 0; short_of < 3; short_of++) {
        const uint64_t size =
            (uint64_t)after + (short_of == 0 ? tar.size : 0) - (short_of == 2 ? 1 : 0);

        CHECK(cl_tar_start_file(&reading.tar, reading.stream, size, &reading.err) == 0);
        CHECK(next(&reading) == 1 && cl_tar_position(&reading.tar) == 512);
        CHECK(next(&reading) == 1 && cl_tar_position(&reading.tar) == 1536);
        CHECK(next(&reading) == (short_of == 0 ? 1 : short_of == 1 ? 0 : -ENODATA));
        if (short_of == 0) {
            CHECK(cl_tar_position(&reading.tar) == (uint64_t)after + 512);
            CHECK(content(&reading, text, sizeof(text)) == 1 && text[0] == '3');
            CHECK(next(&reading) == 0);
        }
        CHECK(reading.tar.stream.at - reading.tar.stream.taken < 8192);
        cl_tar_done(&reading.tar);
    }
    CHECK(lseek(reading.stream, 0, SEEK_CUR) == 7);
}

TEST(a_stream_that_fails_is_told)
{
    CLEANUP_READING struct reading reading = {.stream = open("/", O_RDONLY | O_CLOEXEC)};

    CHECK(cl_tar_start(&reading.tar, reading.stream, &reading.err) == 0);
    CHECK(cl_tar_next(&reading.tar, &reading.entry, &reading.err) == -EISDIR);
    CHECK_TEXT(reading.err.msg, "read the tar archive: Is a directory");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(names_have_prefixes),
        ROW(extended_headers_speak_of_the_next_entry),
        ROW(what_stands_later_wins),
        ROW(types_have_content_or_none),
        ROW(unknown_types_are_refused_by_name),
        ROW(sums_of_signed_bytes_hold),
        ROW(damage_is_told_with_its_place),
        ROW(extended_headers_have_bounds),
        ROW(the_largest_headers_are_read),
        ROW(pax_records_that_are_none_are_refused),
        ROW(nul_bytes_end_nothing),
        ROW(pieces_of_any_size_make_the_archive),
        ROW(data_ends_at_pages),
        ROW(a_file_is_read_by_places),
        ROW(a_stream_that_fails_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
