#include "sandbox/log.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"

enum {
    HEAD = (int)sizeof(struct cl_log_head),
    READ_SIZE = 64 << 10,
    RECORD_MAX = CL_LOG_FILE / 2,
};

static const char current[] = "log";
static const char older[] = "log.1";

/* --- writing ------------------------------------------------------------------------------- */

static int make_file(int dir)
{
    return cl_sys_openat(dir, current, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND, 0600);
}

int cl_log_create(int dir, struct cl_log *ret, struct cl_error *err)
{
    int fd = make_file(dir);

    if (fd < 0)
        return cl_fail(err, fd, "make the sandbox's log");
    *ret = (struct cl_log){.dir = dir, .fd = fd};
    return 0;
}

/* Where it can't be done the log goes on in the file that there is: nothing more is kept, and the
 * sandbox doesn't end for that. */
static int rotate(struct cl_log *log)
{
    int r = cl_sys_renameat(log->dir, current, log->dir, older);

    if (r < 0 && r != -ENOENT) /* of which only the second step failed the last time */
        return r;
    int fd = make_file(log->dir);
    if (fd < 0)
        return fd;
    cl_fd_close(&log->fd);
    log->fd = fd;
    log->size = 0;
    return 0;
}

/* 0, or -errno, with nothing of it in the file. */
static int append(struct cl_log *log, enum cl_log_kind kind, const void *data, size_t size)
{
    struct cl_log_head head = {
        .time_ns = cl_clock_wall_ns(), .size = (uint32_t)size, .kind = (uint8_t)kind};
    struct iovec parts[2] = {{&head, sizeof(head)}, {cl_unconst(data), size}};
    int r = log->size + sizeof(head) + size > CL_LOG_FILE ? rotate(log) : 0;

    if (r < 0)
        return r;
    ssize_t put = cl_sys_writev(log->fd, parts, 2);
    if (put == (ssize_t)(sizeof(head) + size)) {
        log->size += (uint64_t)put;
        return 0;
    }
    if (put > 0)
        (void)cl_sys_ftruncate(log->fd, (off_t)log->size); /* else readers stop there */
    return put < 0 ? (int)put : -ENOSPC;
}

void cl_log_write(struct cl_log *log, enum cl_log_kind kind, const void *data, size_t size)
{
    int r = 0;

    CL_ASSERT(size <= RECORD_MAX);
    if (log->lost_bytes > 0) {
        r = append(log, CL_LOG_LOST, &log->lost_bytes, sizeof(log->lost_bytes));
        if (r == 0)
            log->lost_bytes = 0;
    }
    if (r == 0)
        r = append(log, kind, data, size);
    if (r < 0)
        log->lost_bytes += size;
}

void cl_log_done(struct cl_log *log)
{
    if (log->fd >= 0 && log->lost_bytes > 0) /* the last chance to say it */
        (void)append(log, CL_LOG_LOST, &log->lost_bytes, sizeof(log->lost_bytes));
    cl_fd_close(&log->fd);
}

/* --- reading ------------------------------------------------------------------------------- */

static int open_file(int dir, const char *name)
{
    return cl_sys_openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
}

void cl_log_reader_done(struct cl_log_reader *reader)
{
    cl_fd_close(&reader->fd);
    free(reader->buffer);
    reader->buffer = NULL;
}

int cl_log_open(int dir, struct cl_log_reader *ret, struct cl_error *err)
{
    struct cl_log_reader reader = {.dir = dir, .fd = open_file(dir, older)};

    if (reader.fd == -ENOENT)
        reader.fd = open_file(dir, current);
    if (reader.fd < 0)
        return cl_fail(err, reader.fd, "open the sandbox's log");
    *ret = reader;
    return 0;
}

/* What is read lies at the front of the buffer, with room for SIZE bytes. */
static int make_room(struct cl_log_reader *reader, size_t size, struct cl_error *err)
{
    size_t left = reader->end - reader->start;

    if (left > 0)
        memmove(reader->buffer, reader->buffer + reader->start, left);
    reader->start = 0;
    reader->end = left;
    if (reader->room >= size)
        return 0;
    char *larger = cl_realloc(reader->buffer, size);
    if (larger == NULL)
        return cl_fail_memory(err);
    reader->buffer = larger;
    reader->room = size;
    return 0;
}

/* Reads on: 1, or 0 at the file's end for now. */
static int fill(struct cl_log_reader *reader, size_t wanted, struct cl_error *err)
{
    int r = make_room(reader, wanted > READ_SIZE ? wanted : READ_SIZE, err);

    if (r < 0)
        return r;
    ssize_t got = cl_sys_read(reader->fd, reader->buffer + reader->end, reader->room - reader->end);
    if (got < 0)
        return cl_fail(err, (int)got, "read the sandbox's log");
    reader->end += (size_t)got;
    return got > 0;
}

/* The file after ours, when a rotation has made one: 1, 0 when ours is the latest. What a file
 * held is read to its end first, which nobody writes to any more. */
static int go_on(struct cl_log_reader *reader, struct cl_error *err)
{
    CL_CLEANUP_FD int next = -1;
    struct stat ours = {0};
    struct stat there = {0};
    int r = cl_sys_fstat(reader->fd, &ours);

    if (r == 0)
        r = cl_sys_fstatat(reader->dir, current, &there, AT_SYMLINK_NOFOLLOW);
    if (r == -ENOENT) /* between the two steps of a rotation, or removed */
        return 0;
    if (r < 0)
        return cl_fail(err, r, "look at the sandbox's log");
    if (ours.st_ino == there.st_ino)
        return 0;
    /* Ours is log.1, or gone: then log.1 comes after it. */
    next = open_file(reader->dir, ours.st_nlink == 0 ? older : current);
    if (next == -ENOENT)
        return 0;
    if (next < 0)
        return cl_fail(err, next, "open the sandbox's log");
    cl_fd_close(&reader->fd);
    reader->fd = CL_TAKE_FD(next);
    reader->start = 0; /* a record that a full disk cut is left out */
    reader->end = 0;
    return 1;
}

static int is_head(const struct cl_log_head *head)
{
    return head->kind >= CL_LOG_OUT && head->kind < CL_LOG_KIND_END && head->size <= RECORD_MAX &&
           (head->kind != CL_LOG_LOST || head->size == sizeof(uint64_t)) && head->zero[0] == 0 &&
           head->zero[1] == 0 && head->zero[2] == 0;
}

/* 1 when a whole record is in the buffer; else 0, and in *RET_WANTED how many bytes it takes. */
static int take(struct cl_log_reader *reader, struct cl_log_record *ret, size_t *ret_wanted,
                struct cl_error *err)
{
    const size_t left = reader->end - reader->start;
    struct cl_log_head head;

    *ret_wanted = HEAD;
    if (left < HEAD)
        return 0;
    memcpy(&head, reader->buffer + reader->start, HEAD);
    if (!is_head(&head))
        return cl_refuse(err, EBADMSG, "the sandbox's log is damaged");
    *ret_wanted = HEAD + head.size;
    if (left < *ret_wanted)
        return 0;
    *ret = (struct cl_log_record){
        .time_ns = head.time_ns,
        .kind = (enum cl_log_kind)head.kind,
        .data = reader->buffer + reader->start + HEAD,
        .size = head.size,
    };
    reader->start += *ret_wanted;
    return 1;
}

int cl_log_next(struct cl_log_reader *reader, struct cl_log_record *ret, struct cl_error *err)
{
    for (;;) {
        size_t wanted;
        int r = take(reader, ret, &wanted, err);

        if (r != 0)
            return r;
        r = fill(reader, wanted, err);
        if (r == 0)
            r = go_on(reader, err);
        if (r <= 0)
            return r;
    }
}
