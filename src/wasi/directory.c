/* directory.c - what lies in a directory. A cookie is the kernel's own (telldir(3)), so that it
 * stays what it is for as long as the file system keeps it, and nothing is kept here. */
#include <dirent.h>

#include "base/sys.h"
#include "wasi/calls.h"
#include "wasi/path.h"

enum { BLOCK_BYTES = 4096 };

struct entry { /* getdents64(2) */
    uint64_t inode;
    uint64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

struct listing {
    struct cl_wasi_descriptor *directory;
    uint8_t *at;   /* in the guest's memory */
    uint64_t left; /* there */
};

static uint8_t type_of(unsigned char type)
{
    switch (type) {
    case DT_BLK:
        return CL_WASI_TYPE_BLOCK_DEVICE;
    case DT_CHR:
        return CL_WASI_TYPE_CHARACTER_DEVICE;
    case DT_DIR:
        return CL_WASI_TYPE_DIRECTORY;
    case DT_LNK:
        return CL_WASI_TYPE_SYMBOLIC_LINK;
    case DT_REG:
        return CL_WASI_TYPE_REGULAR_FILE;
    case DT_SOCK:
        return CL_WASI_TYPE_SOCKET_STREAM;
    default:
        return CL_WASI_TYPE_UNKNOWN;
    }
}

static void put(struct listing *listing, const void *data, size_t size)
{
    const size_t fits = (size_t)cl_min_u64(size, listing->left);

    memcpy(listing->at, data, fits);
    listing->at += fits;
    listing->left -= fits;
}

/* The last that fits in part is cut: whoever asked tells by that that there is more. The inode
 * of a preopen's ".." is none of the guest's. */
static void put_entry(struct listing *listing, const struct entry *entry)
{
    const size_t length = strlen(entry->name);
    uint8_t head[CL_WASI_DIRENT_SIZE] = {0};

    cl_wasi_store64(head, entry->offset);
    cl_wasi_store64(head + 8, strcmp(entry->name, "..") == 0 ? 0 : entry->inode);
    cl_wasi_store32(head + 16, (uint32_t)length);
    head[20] = type_of(entry->type);
    put(listing, head, sizeof(head));
    put(listing, entry->name, length);
}

/* Bytes of entries, 0 at the end, or -errno. */
static ssize_t put_block(struct listing *listing)
{
    _Alignas(struct entry) char block[BLOCK_BYTES];
    ssize_t got = cl_sys_getdents64(listing->directory->host, block, sizeof(block));

    for (ssize_t at = 0; at < got && listing->left > 0;) {
        const struct entry *entry = (const void *)(block + at);

        put_entry(listing, entry);
        listing->directory->cookie = entry->offset;
        at += entry->size;
        if (listing->left == 0 && at < got)
            listing->directory->cookie = UINT64_MAX; /* the host has read on */
    }
    return got;
}

static uint32_t list(struct listing *listing, uint64_t cookie)
{
    struct cl_wasi_descriptor *directory = listing->directory;

    /* from the start: what has come or gone meanwhile is seen */
    if (cookie == 0 || cookie != directory->cookie) {
        off_t r = cl_sys_lseek(directory->host, (off_t)cookie, SEEK_SET);

        if (r < 0)
            return cl_wasi_errno(r);
        directory->cookie = cookie;
    }
    while (listing->left > 0) {
        ssize_t got = put_block(listing);

        if (got < 0)
            return cl_wasi_errno(got);
        if (got == 0)
            break;
    }
    return CL_WASI_SUCCESS;
}

/* fd_readdir(fd, buf, buf_len, cookie, ret_size) */
CL_WASI_CALL(fd_readdir)
{
    struct listing listing = {.at = cl_wasi_at(memory, arguments[1], arguments[2]),
                              .left = arguments[2]};
    uint8_t *ret = cl_wasi_at(memory, arguments[4], 4);
    uint32_t r =
        cl_wasi_find_directory(wasi, arguments[0], CL_WASI_RIGHT_FD_READDIR, &listing.directory);

    if (r == CL_WASI_SUCCESS && (listing.at == NULL || ret == NULL))
        r = CL_WASI_FAULT;
    if (r == CL_WASI_SUCCESS && arguments[3] > INT64_MAX)
        r = CL_WASI_INVAL;
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_open_for_reading(listing.directory);
    if (r == CL_WASI_SUCCESS)
        r = list(&listing, arguments[3]);
    if (r == CL_WASI_SUCCESS)
        cl_wasi_store32(ret, (uint32_t)(arguments[2] - listing.left));
    return r;
}
