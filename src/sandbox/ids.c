#include "sandbox/ids.h"

#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"

_Static_assert(CL_IDS_COUNT *CL_IDS_SIZE == CL_IDS_LAST - CL_IDS_FIRST + 1, "whole ranges");

/* 0 taken, -EAGAIN somebody else's. */
static int lock_slot(int fd, uint32_t slot)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)slot, .l_len = 1};
    int r = cl_sys_fcntl_lock(fd, F_OFD_SETLK, &lock);

    return r == -EACCES ? -EAGAIN : r; /* fcntl(2) allows either */
}

/* Of the file SHARD, the first free slot from FIRST on, and round; -EAGAIN: none. */
static int lock_in_shard(int fd, uint32_t shard, uint32_t first, uint32_t *ret_slot)
{
    const uint32_t size = (CL_IDS_COUNT - shard + CL_IDS_SHARDS - 1) / CL_IDS_SHARDS;

    for (uint32_t i = 0; i < size; i++) {
        uint32_t slot = (first % size + i) % size * CL_IDS_SHARDS + shard;
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

int cl_ids_take(struct cl_state *state, uint32_t *ret_base, int *ret_lock_fd, struct cl_error *err)
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
        int r = lock_in_shard(fd, shard, start / CL_IDS_SHARDS, &slot);
        if (r == -EAGAIN)
            continue;
        if (r < 0)
            return cl_fail(err, r, "lock a uid range");
        *ret_base = CL_IDS_FIRST + slot * CL_IDS_SIZE;
        *ret_lock_fd = CL_TAKE_FD(fd);
        return 0;
    }
    return cl_refuse(err, EUSERS, "all %u uid ranges are in use", CL_IDS_COUNT);
}

/* The number between two colons, or after the last. */
static int take_number(const char *text, size_t size, uint64_t *ret)
{
    char digits[24];

    if (size >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, text, size);
    digits[size] = '\0';
    return cl_parse_u64(digits, ret);
}

/* "NAME:FIRST:COUNT" */
static int line_overlaps(const char *line, size_t size)
{
    const char *end = line + size;
    const char *first = memchr(line, ':', size);
    const char *count = first == NULL ? NULL : memchr(first + 1, ':', (size_t)(end - first - 1));
    uint64_t base;
    uint64_t length;

    if (count == NULL || take_number(first + 1, (size_t)(count - first - 1), &base) < 0 ||
        take_number(count + 1, (size_t)(end - count - 1), &length) < 0 || length == 0)
        return 0;
    return base <= CL_IDS_LAST && (base >= CL_IDS_FIRST || length > CL_IDS_FIRST - base);
}

int cl_ids_overlap(const char *text, char ret[128])
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");

        if (line_overlaps(text, size)) {
            (void)snprintf(ret, 128, "%.*s", (int)cl_min_u64(size, 127), text);
            return 1;
        }
        text += size;
        text += *text == '\n';
    }
    return 0;
}
