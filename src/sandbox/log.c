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
    log->turn++;
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
    for (unsigned int i = 0; i < sizeof(head.turn); i++)
        head.turn[i] = (uint8_t)(log->turn >> (8 * i));
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
    cl_fd_close(&reader->ahead[0]);
    cl_fd_close(&reader->ahead[1]);
    free(reader->buffer);
    reader->buffer = NULL;
}

static int open_first(int dir, const char *name, const char *or_else, struct cl_log_reader *ret,
                      struct cl_error *err)
{
    struct cl_log_reader reader = CL_LOG_READER_INIT;

    reader.dir = dir;
    reader.fd = open_file(dir, name);
    if (reader.fd == -ENOENT)
        reader.fd = open_file(dir, or_else);
    if (reader.fd < 0)
        return cl_fail(err, reader.fd, "open the sandbox's log");
    *ret = reader;
    return 0;
}

int cl_log_open(int dir, struct cl_log_reader *ret, struct cl_error *err)
{
    return open_first(dir, older, current, ret, err);
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

static int inode_of(int fd, ino_t *ret, struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_fstat(fd, &st);

    if (r < 0)
        return cl_fail(err, r, "look at the sandbox's log");
    *ret = st.st_ino;
    return 0;
}

/* FD, taken, comes after all that we have. */
static void put_ahead(struct cl_log_reader *reader, int fd)
{
    if (reader->ahead[0] < 0) {
        reader->ahead[0] = fd;
        return;
    }
    if (reader->ahead[1] >= 0) { /* what nobody else keeps any more: its turn will be missed */
        cl_fd_close(&reader->ahead[0]);
        reader->ahead[0] = reader->ahead[1];
    }
    reader->ahead[1] = fd;
}

/* Opens both files as they are: that of an earlier moment than the other's could be one that has
 * rotated away between the two, with one that we never see behind it. -1 for what isn't there. */
static int open_both(int dir, int ret[2], struct cl_error *err)
{
    struct stat there = {0};
    ino_t inode = 0;
    int r = -EAGAIN;

    while (r == -EAGAIN) {
        CL_CLEANUP_FD int old = open_file(dir, older);
        CL_CLEANUP_FD int new = open_file(dir, current);

        if ((old < 0 && old != -ENOENT) || (new < 0 && new != -ENOENT))
            return cl_fail(err, old < 0 && old != -ENOENT ? old : new, "open the sandbox's log");
        r = cl_sys_fstatat(dir, older, &there, AT_SYMLINK_NOFOLLOW);
        if (r < 0 && r != -ENOENT)
            return cl_fail(err, r, "look at the sandbox's log");
        const int is_there = r == 0;
        r = old < 0 ? 0 : inode_of(old, &inode, err);
        if (r < 0)
            return r;
        if (is_there && (old < 0 || inode != there.st_ino)) {
            r = -EAGAIN; /* a rotation, which comes with each 16 MiB alone */
            continue;
        }
        ret[0] = CL_TAKE_FD(old);
        ret[1] = CL_TAKE_FD(new);
    }
    return 0;
}

/* Whether there is a file after the one with the inode OURS: 1 or 0. */
static int has_rotated(const struct cl_log_reader *reader, ino_t ours, struct cl_error *err)
{
    struct stat there = {0};
    int r = cl_sys_fstatat(reader->dir, current, &there, AT_SYMLINK_NOFOLLOW);

    if (r == -ENOENT) /* between the two steps of a rotation, or removed */
        return 0;
    if (r < 0)
        return cl_fail(err, r, "look at the sandbox's log");
    return there.st_ino != ours;
}

/* Files that we hold open keep their inodes: a number is that of one file. */
int cl_log_look(struct cl_log_reader *reader, struct cl_error *err)
{
    const int latest = reader->ahead[1] >= 0   ? reader->ahead[1]
                       : reader->ahead[0] >= 0 ? reader->ahead[0]
                                               : reader->fd;
    int both[2] = {-1, -1};
    ino_t ours = 0;
    ino_t inode = 0;
    int r = inode_of(latest, &ours, err);

    if (r == 0)
        r = has_rotated(reader, ours, err);
    if (r > 0)
        r = open_both(reader->dir, both, err);
    CL_CLEANUP_FD int old = both[0];
    CL_CLEANUP_FD int new = both[1];
    if (r == 0 && old >= 0)
        r = inode_of(old, &inode, err);
    if (r < 0 || new < 0)
        return r;
    if (old >= 0 && inode != ours)
        put_ahead(reader, CL_TAKE_FD(old));
    put_ahead(reader, CL_TAKE_FD(new));
    return 0;
}

/* The file after ours, when a rotation has made one: 1, 0 when ours is the latest. What a file
 * held is read to its end first, which nobody writes to any more. */
static int go_on(struct cl_log_reader *reader, struct cl_error *err)
{
    int r = reader->ahead[0] < 0 ? cl_log_look(reader, err) : 0;

    if (r < 0 || reader->ahead[0] < 0)
        return r;
    cl_fd_close(&reader->fd);
    reader->fd = reader->ahead[0];
    reader->ahead[0] = reader->ahead[1];
    reader->ahead[1] = -1;
    reader->start = 0; /* a record that a full disk cut is left out */
    reader->end = 0;
    return 1;
}

static int is_head(const struct cl_log_head *head)
{
    return head->kind >= CL_LOG_OUT && head->kind < CL_LOG_KIND_END && head->size <= RECORD_MAX &&
           (head->kind != CL_LOG_LOST || head->size == sizeof(uint64_t));
}

/* Whether files have gone that we never read, by the turn of the next record. A turn that follows
 * on itself is that of an older cloister, which counted none. */
static int have_gone(struct cl_log_reader *reader, const struct cl_log_head *head)
{
    enum { TURNS = 1 << 24 };
    uint32_t turn = 0;

    for (unsigned int i = 0; i < sizeof(head->turn); i++)
        turn |= (uint32_t)head->turn[i] << (8 * i);
    const uint32_t missed = reader->has_turn ? (turn - reader->turn) % TURNS : 0;
    reader->has_turn = 1;
    reader->turn = turn;
    reader->gone = missed > 1 ? (uint64_t)(missed - 1) * CL_LOG_FILE : 0;
    return missed > 1;
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
    if (have_gone(reader, &head)) {
        *ret = (struct cl_log_record){.time_ns = head.time_ns,
                                      .kind = CL_LOG_GONE,
                                      .data = (const char *)&reader->gone,
                                      .size = sizeof(reader->gone)};
        return 1;
    }
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

const char *cl_log_missing(enum cl_log_kind kind)
{
    if (kind == CL_LOG_LOST)
        return "could not be written to the log: the disk was full";
    return kind == CL_LOG_GONE ? "or so are missing: they were written faster than read here"
                               : NULL;
}

/* A file's end may lie within a record: its size grows page by page while that is written. */
int cl_log_open_end(int dir, struct cl_log_reader *ret, struct cl_error *err)
{
    CL_CLEANUP_LOG_READER struct cl_log_reader reader = CL_LOG_READER_INIT;
    struct cl_log_record record = {.size = 0};
    struct stat st = {0};
    uint64_t passed = 0;
    int r = open_first(dir, current, older, &reader, err);

    if (r < 0)
        return r;
    r = cl_sys_fstat(reader.fd, &st);
    if (r < 0)
        return cl_fail(err, r, "look at the sandbox's log");
    while (passed < (uint64_t)st.st_size) {
        size_t wanted;

        r = take(&reader, &record, &wanted, err);
        if (r > 0)
            passed += HEAD + record.size;
        else if (r == 0)
            r = fill(&reader, wanted, err);
        if (r < 0)
            return r;
        if (r == 0) /* the last one is being written */
            break;
    }
    *ret = reader;
    reader = CL_LOG_READER_INIT;
    return 0;
}
