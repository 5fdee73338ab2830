/* stdio.h - a process's streams as containerd names them. */
#ifndef CL_CONTAINERD_STDIO_H
#define CL_CONTAINERD_STDIO_H

#include "base/error.h"

/* Opens what PATH names: a FIFO, by its path or as "fifo://"; of output "file://" too, to which is
 * appended. A FIFO for output is held open for reading, too: so writing to it has no end when
 * containerd is away, and it has what was written when that comes back. It doesn't block. */
int cl_containerd_open_stream(int is_input, const char *path, struct cl_error *err);

#endif
