#include "sandbox/table.h"

#include <string.h>

#include "base/fd.h"

static off_t mark_offset(int seat)
{
    return (off_t)offsetof(struct cl_table, marks) + seat;
}

/* O_NONBLOCK: a FIFO in its place must not hold us. */
int cl_table_open(int dir, int flags)
{
    return cl_sys_openat(dir, "table", O_RDWR | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
}

int cl_table_read(int table, struct cl_table *ret)
{
    ssize_t got = cl_sys_pread(table, ret, sizeof(*ret), 0);

    if (got < 0)
        return (int)got;
    memset((char *)ret + got, 0, sizeof(*ret) - (size_t)got);
    return 0;
}

int cl_table_next(const struct cl_table *table, int seat)
{
    uint64_t eight;

    while (seat < CL_SEATS) {
        if (seat % 8 == 0) {
            memcpy(&eight, table->marks + seat, sizeof(eight));
            if (eight == 0) {
                seat += 8;
                continue;
            }
        }
        if (table->marks[seat] != CL_SEAT_FREE)
            return seat;
        seat++;
    }
    return -1;
}
_Static_assert(CL_SEATS % 8 == 0, "marks are looked at eight at a time");

static struct flock byte_at(off_t at, short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
}

static int lock_byte(int table, off_t at)
{
    struct flock lock = byte_at(at, F_WRLCK);
    int r = cl_sys_fcntl_lock(table, F_OFD_SETLK, &lock);

    return r == -EACCES ? -EAGAIN : r; /* fcntl(2) allows either */
}

static void unlock_byte(int table, off_t at)
{
    struct flock lock = byte_at(at, F_UNLCK);

    (void)cl_sys_fcntl_lock(table, F_OFD_SETLK, &lock); /* can't fail for what is held */
}

int cl_seat_lock(int table, int seat)
{
    return lock_byte(table, mark_offset(seat));
}

void cl_seat_unlock(int table, int seat)
{
    unlock_byte(table, mark_offset(seat));
}

int cl_seat_begin_sweep(int table, int seat)
{
    return lock_byte(table, cl_seat_offset(seat));
}

void cl_seat_end_sweep(int table, int seat)
{
    unlock_byte(table, cl_seat_offset(seat));
}

int cl_seat_is_held(int table, int seat)
{
    struct flock lock = byte_at(mark_offset(seat), F_WRLCK);

    /* A file system without locks can't say; nobody is swept then. */
    return cl_sys_fcntl_lock(table, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

int cl_seat_mark(int table, int seat)
{
    unsigned char mark = CL_SEAT_FREE;
    ssize_t got = cl_sys_pread(table, &mark, 1, mark_offset(seat));

    return got < 0 ? (int)got : mark;
}

int cl_seat_set_mark(int table, int seat, enum cl_seat_mark mark)
{
    unsigned char byte = (unsigned char)mark;
    ssize_t put = cl_sys_pwrite(table, &byte, 1, mark_offset(seat));

    return put == 1 ? 0 : put < 0 ? (int)put : -EIO;
}

int cl_table_take(int table, struct cl_error *err)
{
    struct cl_table seats;
    int r = cl_table_read(table, &seats);

    if (r < 0)
        return cl_fail(err, r, "read the table of sandboxes");
    for (int seat = 0; seat < CL_SEATS; seat++) {
        if (seats.marks[seat] != CL_SEAT_FREE)
            continue;
        r = cl_seat_lock(table, seat);
        if (r == -EAGAIN)
            continue; /* somebody is about to sit there */
        if (r < 0)
            return cl_fail(err, r, "lock a seat in the table of sandboxes");
        r = cl_seat_mark(table, seat); /* taken, and its taker killed, since we looked? */
        if (r == CL_SEAT_FREE)
            return seat;
        cl_seat_unlock(table, seat);
        if (r < 0)
            return cl_fail(err, r, "read the table of sandboxes");
    }
    return cl_refuse(err, EUSERS, "all %d seats of the table of sandboxes are taken", CL_SEATS);
}
