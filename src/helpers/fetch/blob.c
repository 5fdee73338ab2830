#include "helpers/fetch/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"

enum { GATHER = 256 << 10 };
#define NOTHING_TOLD UINT64_MAX

int cl_blob_init(int fds[2], uint64_t offset, uint64_t size, struct cl_blob *ret,
                 struct cl_error *err)
{
    struct cl_blob blob = {
        .body = CL_TAKE_FD(fds[0]),
        .ticks = CL_TAKE_FD(fds[1]),
        .size = size,
        .have = offset,
        .gathered = cl_realloc(NULL, GATHER),
        .told = NOTHING_TOLD,
    };
    const int flags = blob.ticks < 0 ? 0 : cl_sys_fcntl(blob.ticks, F_GETFL, 0);
    int r = flags;

    if (blob.ticks >= 0 && r >= 0)
        r = cl_sys_fcntl(blob.ticks, F_SETFL, flags | O_NONBLOCK);
    if (r < 0)
        r = cl_fail(err, r, "make the pipe for ticks non-blocking");
    else if (blob.gathered == NULL)
        r = cl_fail_memory(err);
    else if (offset > size)
        r = cl_refuse(err, EINVAL, "the blob has %" PRIu64 " bytes, not %" PRIu64, size, offset);
    else
        r = cl_blob_tick(&blob, err);
    if (r < 0) {
        cl_blob_done(&blob);
        return r;
    }
    *ret = blob;
    return 0;
}

void cl_blob_done(struct cl_blob *blob)
{
    cl_fd_close(&blob->body);
    cl_fd_close(&blob->ticks);
    free(blob->gathered);
    blob->gathered = NULL;
}

void cl_blob_begin(struct cl_blob *blob, uint64_t from)
{
    CL_ASSERT(blob->gathered_size == 0 && from <= blob->have);
    blob->skip = blob->have - from;
}

int cl_blob_add(struct cl_blob *blob, const void *data, size_t size, struct cl_error *err)
{
    const char *bytes = data;
    const size_t known = cl_min_u64(size, blob->skip);

    blob->skip -= known;
    bytes += known;
    size -= known;
    if (size > blob->size - blob->have - blob->gathered_size)
        return cl_refuse(err, EFBIG, "it sends more than the %" PRIu64 " bytes that the blob has",
                         blob->size);
    while (size > 0) {
        const size_t piece = cl_min_u64(size, GATHER - blob->gathered_size);

        memcpy(blob->gathered + blob->gathered_size, bytes, piece);
        blob->gathered_size += piece;
        bytes += piece;
        size -= piece;
        if (blob->gathered_size == GATHER) {
            int r = cl_blob_flush(blob, err);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int write_gathered(struct cl_blob *blob)
{
    size_t done = 0;

    while (done < blob->gathered_size) {
        const ssize_t wrote = cl_sys_pwrite(blob->body, blob->gathered + done,
                                            blob->gathered_size - done, (off_t)(blob->have + done));

        if (wrote <= 0 && wrote != -EINTR)
            return wrote == 0 ? -EIO : (int)wrote;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    blob->have += done;
    blob->gathered_size = 0;
    return 0;
}

int cl_blob_flush(struct cl_blob *blob, struct cl_error *err)
{
    int r = write_gathered(blob);

    return r < 0 ? cl_fail(err, r, "write a downloaded blob") : cl_blob_tick(blob, err);
}

int cl_blob_owes_tick(const struct cl_blob *blob)
{
    return blob->ticks >= 0 && blob->told != blob->have;
}

int cl_blob_tick(struct cl_blob *blob, struct cl_error *err)
{
    if (!cl_blob_owes_tick(blob))
        return 0;
    const ssize_t r = cl_sys_write(blob->ticks, &blob->have, sizeof(blob->have));
    if (r == -EAGAIN || r == -EINTR)
        return 0;
    if (r < 0) {
        blob->abandoned = r == -EPIPE;
        return cl_fail(err, (int)r, "tell how much of a blob is there");
    }
    blob->told = blob->have;
    return 0;
}
