/* table.h - for src/sandbox only: the file `table` of a state directory, which has a seat
 * for each of its sandboxes.
 *
 *   0     u64: when all seats were last looked at (sweep.c); zeros up to 64
 *   64    a byte for each seat: enum cl_seat_mark
 *   4096  for each seat CL_SEAT_SIZE bytes: its record (state.h)
 *
 * Who sits holds a write lock (F_OFD_SETLK) on his seat's byte, which the kernel lets go
 * of with the last copy of the descriptor. A seat that is taken and not locked is a dead
 * one's. A seat is free when it is marked so and can be locked; its mark and record are
 * written by the holder of its lock only, the mark last when it is taken and first when
 * it is left, so that a record that is marked is whole.
 *
 * Who sweeps a dead one's seat holds another lock, on the first byte of its record, and the seat's
 * own only as long as it looks and writes: who asks meanwhile does not take the dead for alive.
 * Nobody sits down on a seat that is marked taken.
 *
 * Why one file: a directory, a record and a socket made and removed for each sandbox cost
 * a start 130 us on ext4 and 35 on tmpfs; a seat costs 6 on either.
 *
 * Locks are those of an open file, not of a process: each who sits opens the table for
 * himself, and whoever sweeps in the same process opens it again.
 */
#ifndef CL_SANDBOX_TABLE_H
#define CL_SANDBOX_TABLE_H

#include "base/error.h"
#include "base/sys.h"

enum {
    CL_SEATS = 4032,
    CL_SEAT_SIZE = 4096,
};

enum cl_seat_mark {
    CL_SEAT_FREE,
    CL_SEAT_TAKEN,
    CL_SEAT_STUCK, /* a dead one's that no run's sweep could clear: left to `prune` */
};

/* The first page. */
struct cl_table {
    uint64_t looked_ns; /* CLOCK_BOOTTIME */
    unsigned char reserved[56];
    unsigned char marks[CL_SEATS];
};
_Static_assert(sizeof(struct cl_table) == 4096, "the table is a file format");

static inline off_t cl_seat_offset(int seat)
{
    return (off_t)sizeof(struct cl_table) + (off_t)seat * CL_SEAT_SIZE;
}

/* Opens the table of the state directory DIR, with O_CREAT in FLAGS making it where it
 * is missing. -errno without a message. */
int cl_table_open(int dir, int flags);

/* What the first page says now: 0 or -errno. A table that was just made is all free. */
int cl_table_read(int table, struct cl_table *ret);

/* The first seat from SEAT on that is not marked free, or -1. */
int cl_table_next(const struct cl_table *table, int seat);

/* 0, or -EAGAIN when another holds the seat. */
int cl_seat_lock(int table, int seat);
void cl_seat_unlock(int table, int seat);

/* The same of the lock of those who sweep it. */
int cl_seat_begin_sweep(int table, int seat);
void cl_seat_end_sweep(int table, int seat);

/* Whether another holds the seat, without taking it. */
int cl_seat_is_held(int table, int seat);

/* The seat's mark now, or -errno. */
int cl_seat_mark(int table, int seat);
int cl_seat_set_mark(int table, int seat, enum cl_seat_mark mark);

/* Locks a free seat and returns it. */
int cl_table_take(int table, struct cl_error *err);

#endif
