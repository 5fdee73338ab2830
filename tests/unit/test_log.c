/* test_log.c - what a detached sandbox wrote: whole records, over rotations, cuts and full disks.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/log.h"
#include "check.h"

enum { PIECE = 1 << 20 };

static char place[] = "/tmp/cl-log-XXXXXX";
static int dir;
static char piece[PIECE];

static void set_up(void)
{
    (void)memcpy(place, "/tmp/cl-log-XXXXXX", sizeof(place));
    CHECK(mkdtemp(place) != NULL);
    dir = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(dir >= 0);
}

static void tear_down(void)
{
    (void)unlinkat(dir, "log", 0); /* where it is there */
    (void)unlinkat(dir, "log.1", 0);
    CHECK(close(dir) == 0 && rmdir(place) == 0);
}

static struct cl_log create(void)
{
    struct cl_log log = CL_LOG_INIT;
    struct cl_error err = {0};

    CHECK(cl_log_create(dir, &log, &err) == 0);
    return log;
}

static struct cl_log_reader open_it(void)
{
    struct cl_log_reader reader = CL_LOG_READER_INIT;
    struct cl_error err = {0};

    CHECK(cl_log_open(dir, &reader, &err) == 0);
    return reader;
}

/* The next record's text, or "" at the end. */
static const char *next(struct cl_log_reader *reader, char ret[64])
{
    struct cl_log_record record = {0};
    struct cl_error err = {0};
    int r = cl_log_next(reader, &record, &err);

    CHECK(r >= 0 && record.size < 60);
    (void)snprintf(ret, 64, "%.*s%s", (int)record.size, record.size == 0 ? "" : record.data,
                   record.kind == CL_LOG_ERR ? "!" : "");
    return ret;
}

TEST(records_come_out_as_they_went_in)
{
    char text[64];

    set_up();
    struct cl_log log = create();
    struct cl_log_reader reader = open_it();
    CHECK_TEXT(next(&reader, text), "");
    cl_log_write(&log, CL_LOG_OUT, "one", 3);
    cl_log_write(&log, CL_LOG_ERR, "two", 3);
    CHECK_TEXT(next(&reader, text), "one");
    CHECK_TEXT(next(&reader, text), "two!");
    CHECK_TEXT(next(&reader, text), "");
    cl_log_write(&log, CL_LOG_OUT, "three", 5);
    CHECK_TEXT(next(&reader, text), "three");
    cl_log_done(&log);
    cl_log_reader_done(&reader);
    tear_down();
}

TEST(a_second_log_is_refused)
{
    struct cl_error err = {0};
    struct cl_log other;

    set_up();
    struct cl_log log = create();
    CHECK(cl_log_create(dir, &other, &err) == -EEXIST);
    cl_log_done(&log);
    tear_down();
}

/* Numbers each record; returns the number of the last. */
static unsigned int fill(struct cl_log *log, unsigned int from, unsigned int count)
{
    for (unsigned int i = from; i < from + count; i++) {
        memset(piece, (int)('a' + i % 26), sizeof(piece));
        memcpy(piece, &i, sizeof(i));
        cl_log_write(log, CL_LOG_OUT, piece, sizeof(piece));
    }
    return from + count;
}

static unsigned int number_of(const struct cl_log_record *record)
{
    unsigned int number = 0;

    CHECK(record->size == PIECE);
    memcpy(&number, record->data, sizeof(number));
    CHECK(record->data[PIECE - 1] == (char)('a' + number % 26));
    return number;
}

static off_t size_of(const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, 0) < 0 ? -1 : st.st_size;
}

TEST(a_reader_follows_over_rotations)
{
    struct cl_log_record record = {0};
    struct cl_error err = {0};
    unsigned int expected = 0;
    unsigned int written = 0;

    set_up();
    struct cl_log log = create();
    struct cl_log_reader reader = open_it();
    for (int round = 0; round < 8; round++) {
        written = fill(&log, written, 5);
        while (cl_log_next(&reader, &record, &err) > 0)
            CHECK(number_of(&record) == expected++);
        CHECK(expected == written);
    }
    CHECK(size_of("log") <= CL_LOG_FILE && size_of("log.1") <= CL_LOG_FILE && size_of("log.1") > 0);
    CHECK_TEXT(err.msg, "");
    cl_log_done(&log);
    cl_log_reader_done(&reader);
    tear_down();
}

/* A file and those that are kept; what was rotated away is missing, which is said where it is, and
 * nothing else. */
TEST(a_reader_who_is_late_goes_on_with_what_is_left)
{
    struct cl_log_record record = {0};
    struct cl_error err = {0};
    uint64_t gone = 0;

    set_up();
    struct cl_log log = create();
    struct cl_log_reader reader = open_it();
    unsigned int written = fill(&log, 0, 50); /* three files and more: 15 records each */
    unsigned int count = 0;
    unsigned int last = 0;
    while (cl_log_next(&reader, &record, &err) > 0) {
        if (record.kind == CL_LOG_GONE) {
            CHECK(gone == 0 && count == 15 && record.size == sizeof(gone));
            memcpy(&gone, record.data, sizeof(gone));
            continue;
        }
        last = number_of(&record);
        count++;
    }
    CHECK(last == written - 1 && count == 35);
    CHECK(gone == CL_LOG_FILE); /* the second file */
    struct cl_log_reader again = open_it();
    CHECK(cl_log_next(&again, &record, &err) == 1);
    const unsigned int first = number_of(&record);
    for (count = 1; cl_log_next(&again, &record, &err) > 0; count++)
        CHECK(number_of(&record) == first + count);
    CHECK(first + count == written);
    cl_log_done(&log);
    cl_log_reader_done(&reader);
    cl_log_reader_done(&again);
    tear_down();
}

/* Who looks in time has all: what he holds open, although it has rotated away and is removed. */
TEST(what_was_seen_in_time_can_be_read)
{
    struct cl_log_record record = {0};
    struct cl_error err = {0};
    unsigned int expected = 0;
    unsigned int written = 0;

    set_up();
    struct cl_log log = create();
    struct cl_log_reader reader = open_it();
    for (int round = 0; round < 3; round++) {
        CHECK(cl_log_look(&reader, &err) == 0);
        written = fill(&log, written, 14);
    }
    CHECK(cl_log_look(&reader, &err) == 0);
    CHECK(unlinkat(dir, "log", 0) == 0 && unlinkat(dir, "log.1", 0) == 0);
    CHECK(cl_log_look(&reader, &err) == 0);
    while (cl_log_next(&reader, &record, &err) > 0)
        CHECK(record.kind == CL_LOG_OUT && number_of(&record) == expected++);
    CHECK(expected == written);
    CHECK_TEXT(err.msg, "");
    cl_log_done(&log);
    cl_log_reader_done(&reader);
    tear_down();
}

/* Three files after the one that is read: two are held, and the first of them is told as gone. */
TEST(no_more_is_held_than_is_kept)
{
    struct cl_log_record record = {0};
    struct cl_error err = {0};
    unsigned int count = 0;
    int told = 0;

    set_up();
    struct cl_log log = create();
    struct cl_log_reader reader = open_it();
    for (int round = 0; round < 4; round++) {
        (void)fill(&log, 0, 15);
        CHECK(cl_log_look(&reader, &err) == 0);
    }
    while (cl_log_next(&reader, &record, &err) > 0) {
        told += record.kind == CL_LOG_GONE;
        count += record.kind == CL_LOG_OUT;
    }
    CHECK(told == 1 && count == 45);
    cl_log_done(&log);
    cl_log_reader_done(&reader);
    tear_down();
}

TEST(the_end_is_after_all_that_is_there)
{
    char text[64];
    struct cl_error err = {0};

    set_up();
    struct cl_log log = create();
    struct cl_log_reader empty = CL_LOG_READER_INIT;
    CHECK(cl_log_open_end(dir, &empty, &err) == 0);
    cl_log_write(&log, CL_LOG_OUT, "one", 3);
    CHECK_TEXT(next(&empty, text), "one");
    cl_log_reader_done(&empty);
    (void)fill(&log, 0, 20); /* over a rotation */
    struct cl_log_reader reader = CL_LOG_READER_INIT;
    CHECK(cl_log_open_end(dir, &reader, &err) == 0);
    CHECK_TEXT(next(&reader, text), "");
    cl_log_write(&log, CL_LOG_ERR, "two", 3);
    CHECK_TEXT(next(&reader, text), "two!");
    CHECK_TEXT(next(&reader, text), "");
    cl_log_reader_done(&reader);
    cl_log_done(&log);
    tear_down();
    set_up();
    CHECK(cl_log_open_end(dir, &reader, &err) == -ENOENT);
    tear_down();
}

/* The file ends somewhere in a record that is being written, and that one comes. */
TEST(the_end_is_at_no_record_s_middle)
{
    const struct cl_log_head head = {.size = 4, .kind = CL_LOG_OUT};
    char bytes[2 * (sizeof(head) + 4)];
    struct cl_error err = {0};
    char text[64];

    memcpy(bytes, &head, sizeof(head));
    memcpy(bytes + sizeof(head), "past", 4);
    memcpy(bytes + sizeof(bytes) / 2, &head, sizeof(head));
    memcpy(bytes + sizeof(bytes) / 2 + sizeof(head), "next", 4);
    for (size_t cut = sizeof(bytes) / 2 + 1; cut < sizeof(bytes); cut++) {
        struct cl_log_reader reader = CL_LOG_READER_INIT;

        set_up();
        CL_CLEANUP_FD int fd = openat(dir, "log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && cl_write_all(fd, bytes, cut) == 0);
        CHECK(cl_log_open_end(dir, &reader, &err) == 0);
        CHECK(cl_write_all(fd, bytes + cut, sizeof(bytes) - cut) == 0);
        CHECK_TEXT(next(&reader, text), "next");
        cl_log_reader_done(&reader);
        tear_down();
    }
}

TEST(a_record_that_is_cut_is_left_out_until_it_is_whole)
{
    char text[64];

    set_up();
    struct cl_log log = create();
    cl_log_write(&log, CL_LOG_OUT, "whole", 5);
    cl_log_write(&log, CL_LOG_OUT, "last", 4);
    const off_t size = size_of("log");
    for (off_t cut = size - 1; cut > size - 20; cut--) {
        CHECK(ftruncate(log.fd, cut) == 0);
        struct cl_log_reader reader = open_it();
        CHECK_TEXT(next(&reader, text), "whole");
        CHECK_TEXT(next(&reader, text), "");
        cl_log_reader_done(&reader);
    }
    cl_log_done(&log);
    tear_down();
}

static void check_damage(const void *bytes, size_t size)
{
    struct cl_log_record record = {0};
    struct cl_error err = {0};

    set_up();
    CL_CLEANUP_FD int fd = openat(dir, "log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && cl_write_all(fd, bytes, size) == 0);
    struct cl_log_reader reader = open_it();
    CHECK(cl_log_next(&reader, &record, &err) == -EBADMSG);
    CHECK_HAS(err.msg, "log is damaged");
    cl_log_reader_done(&reader);
    tear_down();
}

TEST(what_is_no_record_is_refused)
{
    struct cl_log_head head = {.time_ns = 1, .size = 4, .kind = CL_LOG_OUT};
    static const char junk[] = "this is no record at all, but text";

    check_damage(junk, sizeof(junk));
    head.kind = CL_LOG_KIND_END;
    check_damage(&head, sizeof(head));
    head.kind = 0;
    check_damage(&head, sizeof(head));
    head.kind = CL_LOG_LOST; /* which has eight bytes */
    check_damage(&head, sizeof(head));
    head.kind = CL_LOG_OUT;
    head.size = CL_LOG_FILE;
    check_damage(&head, sizeof(head));
}

/* /dev/full stands for a full disk. */
TEST(what_finds_no_room_is_counted)
{
    struct cl_log_record record = {0};
    struct cl_error err = {0};
    uint64_t lost = 0;

    set_up();
    struct cl_log log = create();
    cl_log_write(&log, CL_LOG_OUT, "before", 6);
    const int kept = log.fd;
    log.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CHECK(log.fd >= 0);
    cl_log_write(&log, CL_LOG_OUT, "lost", 4);
    cl_log_write(&log, CL_LOG_ERR, "also lost", 9);
    CHECK(log.lost_bytes == 13);
    CHECK(close(log.fd) == 0);
    log.fd = kept;
    cl_log_write(&log, CL_LOG_OUT, "after", 5);
    CHECK(log.lost_bytes == 0);
    struct cl_log_reader reader = open_it();
    CHECK(cl_log_next(&reader, &record, &err) == 1 && record.kind == CL_LOG_OUT);
    CHECK(cl_log_next(&reader, &record, &err) == 1 && record.kind == CL_LOG_LOST);
    memcpy(&lost, record.data, sizeof(lost));
    CHECK(lost == 13);
    CHECK(cl_log_next(&reader, &record, &err) == 1 && record.size == 5);
    cl_log_reader_done(&reader);
    cl_log_done(&log);
    tear_down();
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(records_come_out_as_they_went_in),
        ROW(a_second_log_is_refused),
        ROW(a_reader_follows_over_rotations),
        ROW(a_reader_who_is_late_goes_on_with_what_is_left),
        ROW(what_was_seen_in_time_can_be_read),
        ROW(no_more_is_held_than_is_kept),
        ROW(the_end_is_after_all_that_is_there),
        ROW(the_end_is_at_no_record_s_middle),
        ROW(a_record_that_is_cut_is_left_out_until_it_is_whole),
        ROW(what_is_no_record_is_refused),
        ROW(what_finds_no_room_is_counted),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
