/* manner.h - how a descriptor of the caller's is read or written without ever blocking us. It may
 * be anything: a pipe that nobody reads, a file, a terminal, a socket.
 */
#ifndef CL_SANDBOX_MANNER_H
#define CL_SANDBOX_MANNER_H

#include <sys/types.h>

#include "base/defs.h"

enum cl_manner {
    CL_MANNER_OURS,     /* O_NONBLOCK is set, on an open file of our own */
    CL_MANNER_FILE,     /* can't be polled and never blocks */
    CL_MANNER_SOCKET,   /* MSG_DONTWAIT */
    CL_MANNER_BORROWED, /* asked right before each small read or write */
    CL_MANNER_LOG,      /* no descriptor: a log (relay.h), which takes all and never fails */
};

/* Decides how *FD, the caller's, is used; *FD becomes our own, opened with FLAGS, where that can
 * be. Returns whether it did. */
int cl_manner_choose(int *fd, int flags, enum cl_manner *ret);

/* What read and write give; -EAGAIN where it would have blocked. SIGPIPE must be blocked. */
ssize_t cl_manner_read(enum cl_manner manner, int fd, void *data, size_t size);
ssize_t cl_manner_write(enum cl_manner manner, int fd, const void *data, size_t size);

#endif
