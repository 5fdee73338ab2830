/* io.h - lists of buffers in the guest's memory. wasi/'s own. */
#ifndef CL_WASI_IO_H
#define CL_WASI_IO_H

#include <sys/socket.h>

#include "wasi/state.h"

/* Of a list this many buffers with bytes are used at a time, and this many are looked at: what
 * is behind them is left for the guest's next call, as after any short read or write. */
enum { CL_WASI_MAX_BUFFERS = 128, CL_WASI_MAX_LISTED = 1024 };

struct cl_wasi_buffers {
    struct iovec parts[CL_WASI_MAX_BUFFERS]; /* in the guest's memory */
    int count;
    uint64_t size_bytes; /* of all */
};

/* Reads each of the COUNT entries at POINTER once. FAULT; INVAL when all that are looked at are
 * empty and there are more. */
uint32_t cl_wasi_take_buffers(const struct cl_wasi_memory *memory, uint64_t pointer, uint64_t count,
                              struct cl_wasi_buffers *ret);
/* fd_write's way to FD, with the number of bytes to RET_AT; ARGUMENTS begin with fd, iovs,
 * iovs_len. */
uint32_t cl_wasi_write(struct cl_wasi *wasi, const struct cl_wasi_memory *memory,
                       const uint64_t *arguments, uint64_t ret_at);
/* BUFFERS as a message; they must outlive it. */
struct msghdr cl_wasi_message_of(struct cl_wasi_buffers *buffers);
/* Without their first SIZE bytes, which they have. */
void cl_wasi_skip_bytes(struct cl_wasi_buffers *buffers, uint64_t size);

#endif
