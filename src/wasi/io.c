/* io.c - reading and writing, straight from and into the guest's memory.
 *
 * What a call needs is checked before it is made: bytes that were taken from a pipe must not be
 * lost because there is no place for their number.
 */
#include "wasi/io.h"

#include <errno.h>

#include "base/sys.h"
#include "wasi/calls.h"

uint32_t cl_wasi_take_buffers(const struct cl_wasi_memory *memory, uint64_t pointer, uint64_t count,
                              struct cl_wasi_buffers *ret)
{
    const uint64_t listed = cl_min_u64(count, CL_WASI_MAX_LISTED);
    const uint8_t *list = cl_wasi_at(memory, pointer, count * CL_WASI_IOVEC_SIZE);

    ret->count = 0;
    ret->size_bytes = 0;
    if (list == NULL)
        return CL_WASI_FAULT;
    for (uint64_t i = 0; i < listed && ret->count < CL_WASI_MAX_BUFFERS; i++) {
        const uint32_t offset = cl_wasi_load32(list + i * CL_WASI_IOVEC_SIZE);
        const uint32_t size = cl_wasi_load32(list + i * CL_WASI_IOVEC_SIZE + 4);
        uint8_t *data = cl_wasi_at(memory, offset, size);

        if (data == NULL)
            return CL_WASI_FAULT;
        if (size == 0)
            continue;
        ret->parts[ret->count++] = (struct iovec){.iov_base = data, .iov_len = size};
        ret->size_bytes += size; /* below 2^39 */
    }
    return ret->count == 0 && count > listed ? CL_WASI_INVAL : CL_WASI_SUCCESS;
}

void cl_wasi_skip_bytes(struct cl_wasi_buffers *buffers, uint64_t size)
{
    buffers->size_bytes -= size;
    for (int i = 0; i < buffers->count; i++) {
        struct iovec *part = &buffers->parts[i];
        const size_t here = (size_t)cl_min_u64(size, part->iov_len);

        part->iov_base = (uint8_t *)part->iov_base + here;
        part->iov_len -= here;
        size -= here;
    }
}

/* Leaves what lies within the first SIZE bytes. */
static void clip(struct cl_wasi_buffers *buffers, uint64_t size)
{
    if (buffers->size_bytes <= size)
        return;
    buffers->size_bytes = size;
    for (int i = 0; i < buffers->count; i++) {
        struct iovec *part = &buffers->parts[i];

        part->iov_len = (size_t)cl_min_u64(size, part->iov_len);
        size -= part->iov_len;
    }
}

/* --- one transfer -------------------------------------------------------------------------- */

struct transfer {
    struct cl_wasi_descriptor *descriptor;
    struct cl_wasi_buffers *buffers;
    int writes;
    int is_at; /* at OFFSET, whatever the descriptor's place is */
    off_t offset;
};

struct msghdr cl_wasi_message_of(struct cl_wasi_buffers *buffers)
{
    return (struct msghdr){
        .msg_iov = buffers->parts,
        .msg_iovlen = (__typeof__(((struct msghdr *)NULL)->msg_iovlen))buffers->count,
    };
}

/* A socket whose other side has gone is no reason for a signal. */
static ssize_t send_buffers(const struct transfer *transfer)
{
    const struct msghdr message = cl_wasi_message_of(transfer->buffers);

    return cl_sys_sendmsg(transfer->descriptor->host, &message, MSG_DONTWAIT);
}

static ssize_t call_host(const struct transfer *transfer)
{
    const struct iovec *parts = transfer->buffers->parts;
    const int count = transfer->buffers->count;
    const int fd = transfer->descriptor->host;

    if (transfer->is_at)
        return transfer->writes ? cl_sys_pwritev(fd, parts, count, transfer->offset)
                                : cl_sys_preadv(fd, parts, count, transfer->offset);
    if (!transfer->writes)
        return cl_sys_readv(fd, parts, count);
    if (transfer->descriptor->type == CL_WASI_TYPE_SOCKET_STREAM ||
        transfer->descriptor->type == CL_WASI_TYPE_SOCKET_DGRAM)
        return send_buffers(transfer);
    return cl_sys_writev(fd, parts, count);
}

/* Bytes, or -errno. */
static ssize_t run(const struct transfer *transfer)
{
    ssize_t done;

    if (transfer->descriptor->host < 0) /* as /dev/null */
        return transfer->writes ? (ssize_t)cl_min_u64(transfer->buffers->size_bytes, INT32_MAX) : 0;
    do
        done = call_host(transfer);
    while (done == -EINTR);
    return done;
}

/* Whether it may be made; cut to what may be moved at once, and written at all. */
static uint32_t bound(const struct cl_wasi *wasi, const struct transfer *transfer)
{
    const uint64_t written = wasi->written[1] + wasi->written[2];

    if (wasi->max_transfer_bytes > 0 && transfer->descriptor->type == CL_WASI_TYPE_REGULAR_FILE)
        clip(transfer->buffers, wasi->max_transfer_bytes);
    if (wasi->max_output_bytes == 0 || !transfer->writes || transfer->descriptor->stream == 0)
        return CL_WASI_SUCCESS;
    if (written >= wasi->max_output_bytes && transfer->buffers->size_bytes > 0)
        return CL_WASI_EXCEEDS;
    clip(transfer->buffers, wasi->max_output_bytes - written);
    return CL_WASI_SUCCESS;
}

static uint32_t finish(struct cl_wasi *wasi, const struct transfer *transfer, uint8_t *ret)
{
    const uint32_t r = bound(wasi, transfer);

    if (r != CL_WASI_SUCCESS)
        return r;
    const ssize_t done = run(transfer);
    if (done == -EAGAIN && !transfer->is_at)
        return cl_wasi_would_block(wasi, transfer->descriptor, transfer->writes ? POLLOUT : POLLIN);
    if (done < 0)
        return cl_wasi_errno(done);
    if (transfer->writes)
        wasi->written[transfer->descriptor->stream] += (uint64_t)done;
    cl_wasi_store32(ret, (uint32_t)done);
    return CL_WASI_SUCCESS;
}

/* ARGUMENTS: fd, iovs, iovs_len; RET_AT: where the number of bytes goes. */
static uint32_t move(struct cl_wasi *wasi, const struct cl_wasi_memory *memory,
                     const uint64_t *arguments, uint64_t ret_at, const struct transfer *how)
{
    struct cl_wasi_buffers buffers;
    struct transfer transfer = *how;
    const uint64_t right = how->writes ? CL_WASI_RIGHT_FD_WRITE : CL_WASI_RIGHT_FD_READ;
    uint8_t *ret = cl_wasi_at(memory, ret_at, 4);
    uint32_t r = cl_wasi_find(wasi, arguments[0], right, &transfer.descriptor);

    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_take_buffers(memory, arguments[1], arguments[2], &buffers);
    if (r == CL_WASI_SUCCESS && ret == NULL)
        r = CL_WASI_FAULT;
    if (r != CL_WASI_SUCCESS)
        return r;
    transfer.buffers = &buffers;
    return finish(wasi, &transfer, ret);
}

uint32_t cl_wasi_write(struct cl_wasi *wasi, const struct cl_wasi_memory *memory,
                       const uint64_t *arguments, uint64_t ret_at)
{
    const struct transfer how = {.writes = 1};

    return move(wasi, memory, arguments, ret_at, &how);
}

/* At a place: fd, iovs, iovs_len, offset, ret_size. What can't seek has none. */
static uint32_t move_at(struct cl_wasi *wasi, const struct cl_wasi_memory *memory,
                        const uint64_t *arguments, int writes)
{
    const struct transfer how = {.writes = writes, .is_at = 1, .offset = (off_t)arguments[3]};
    struct cl_wasi_descriptor *descriptor = NULL;
    uint32_t r = cl_wasi_find(wasi, arguments[0], 0, &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    if (descriptor->type == CL_WASI_TYPE_UNKNOWN || descriptor->is_terminal ||
        descriptor->type == CL_WASI_TYPE_SOCKET_STREAM ||
        descriptor->type == CL_WASI_TYPE_SOCKET_DGRAM)
        return CL_WASI_SPIPE;
    if ((descriptor->base & CL_WASI_RIGHT_FD_SEEK) == 0)
        return CL_WASI_NOTCAPABLE;
    if (arguments[3] > INT64_MAX)
        return CL_WASI_INVAL;
    return move(wasi, memory, arguments, arguments[4], &how);
}

/* --- functions ----------------------------------------------------------------------------- */

/* fd_read(fd, iovs, iovs_len, ret_size) */
CL_WASI_CALL(fd_read)
{
    const struct transfer how = {.writes = 0};

    return move(wasi, memory, arguments, arguments[3], &how);
}

/* fd_write(fd, iovs, iovs_len, ret_size) */
CL_WASI_CALL(fd_write)
{
    return cl_wasi_write(wasi, memory, arguments, arguments[3]);
}

/* fd_pread(fd, iovs, iovs_len, offset, ret_size) */
CL_WASI_CALL(fd_pread)
{
    return move_at(wasi, memory, arguments, 0);
}

/* fd_pwrite(fd, iovs, iovs_len, offset, ret_size) */
CL_WASI_CALL(fd_pwrite)
{
    return move_at(wasi, memory, arguments, 1);
}
