#include "sandbox/ids.h"

#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"

_Static_assert(CL_IDS_COUNT *CL_IDS_SIZE == CL_IDS_LAST - CL_IDS_FIRST + 1, "whole ranges");
_Static_assert(CL_IDS_FIRST / CL_IDS_SIZE % CL_IDS_SHARDS == 0, "a slot's file is its lock's");

/* The byte to be locked says which ids, wherever the configured ones begin: they may be
 * changed while sandboxes run. It counts from the default's first. */
static off_t byte_of(uint32_t slot)
{
    return (off_t)((slot + CL_IDS_SLOTS - CL_IDS_FIRST / CL_IDS_SIZE) % CL_IDS_SLOTS);
}

/* 0 taken, -EAGAIN somebody else's. */
static int lock_slot(int fd, uint32_t slot)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte_of(slot), .l_len = 1};
    int r = cl_sys_fcntl_lock(fd, F_OFD_SETLK, &lock);

    return r == -EACCES ? -EAGAIN : r; /* fcntl(2) allows either */
}

/* Of RANGE's slots that are SHARD's, the first free one from the START-th on, and round;
 * -EAGAIN: none. */
static int lock_in_shard(int fd, const struct cl_ids_range *range, uint32_t shard, uint32_t start,
                         uint32_t *ret_slot)
{
    const uint32_t low = range->first / CL_IDS_SIZE;
    const uint32_t skipped = (shard + CL_IDS_SHARDS - low % CL_IDS_SHARDS) % CL_IDS_SHARDS;
    const uint32_t size =
        range->count <= skipped ? 0 : (range->count - skipped - 1) / CL_IDS_SHARDS + 1;

    for (uint32_t i = 0; i < size; i++) {
        uint32_t slot = low + skipped + (start % size + i) % size * CL_IDS_SHARDS;
        int r = lock_slot(fd, slot);

        if (r == -EAGAIN)
            continue;
        *ret_slot = slot;
        return r;
    }
    return -EAGAIN;
}

static int open_shard(const struct cl_state *state, uint32_t shard, struct cl_error *err)
{
    char name[16];

    (void)snprintf(name, sizeof(name), "ids.%u", shard); /* two digits */
    int fd = cl_sys_openat(state->dir, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (fd >= 0)
        return fd;
    (void)cl_fail(err, fd, "open the file of uid ranges");
    return cl_state_hint(fd, err);
}

int cl_ids_take(struct cl_state *state, const struct cl_ids_range *range, uint32_t *ret_base,
                int *ret_lock_fd, struct cl_error *err)
{
    uint32_t start;
    ssize_t got = cl_sys_getrandom(&start, sizeof(start));

    if (got != (ssize_t)sizeof(start))
        return cl_fail(err, got < 0 ? (int)got : EIO, "get random bytes for a uid range");
    for (uint32_t i = 0; i < CL_IDS_SHARDS; i++) {
        uint32_t shard = (start + i) % CL_IDS_SHARDS;
        uint32_t slot = 0;
        CL_CLEANUP_FD int fd = open_shard(state, shard, err);
        if (fd < 0)
            return fd;
        int r = lock_in_shard(fd, range, shard, start / CL_IDS_SHARDS, &slot);
        if (r == -EAGAIN)
            continue;
        if (r < 0)
            return cl_fail(err, r, "lock a uid range");
        *ret_base = slot * CL_IDS_SIZE;
        *ret_lock_fd = CL_TAKE_FD(fd);
        return 0;
    }
    return cl_refuse(err, EUSERS, "all %u uid ranges are in use", (unsigned int)range->count);
}
