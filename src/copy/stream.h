/* stream.h - a tree of files on its way through a pipe: what goes over it, and its two ends.
 *
 * Theory of operation. `cp`, --copy-in and --copy-out move files between the host and a
 * sandbox. No path of the one is ever resolved by the other: inside, a child of the sandbox's
 * first process, with the rights of the sandboxed code and behind all of its layers, reads or
 * makes the files (walls/container/porter.c); outside, the client does with its caller's. A pipe
 * carries between them what send.c makes of a tree and take.c makes into one.
 *
 *   entry    struct cl_copy_entry, its name, and by its kind
 *     DIR    the entries of the directory, up to an UP
 *     FILE   chunks: a size, and as many bytes, or none for a hole; a size of 0 ends them
 *     LINK   the target, `value` bytes
 *     LEFT   nothing: it was left out, for the errno in `value`
 *   END      the whole tree has gone over
 *
 * Both ends are one program's, so numbers are the machine's own. Still who takes believes
 * nothing: names are single components, made below a descriptor, and what exceeds the caller's
 * bounds ends the copy.
 */
#ifndef CL_COPY_STREAM_H
#define CL_COPY_STREAM_H

#include <sys/types.h>

#include "base/error.h"

enum cl_copy_kind {
    CL_COPY_DIR = 1,
    CL_COPY_FILE,
    CL_COPY_LINK,
    CL_COPY_LEFT,
    CL_COPY_UP,
    CL_COPY_END,
};

struct cl_copy_entry {
    uint16_t kind;      /* enum cl_copy_kind */
    uint16_t name_size; /* of the name, which follows without a NUL */
    uint32_t mode;      /* permission bits */
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint32_t value;
};

enum {
    CL_COPY_NAME_MAX = 255,
    CL_COPY_TARGET_MAX = 4095,
    CL_COPY_DEPTH_MAX = 128, /* directories in one another */
    CL_COPY_PATH_MAX = 1024, /* of a path in a message, which is cut there */
    CL_COPY_BUFFER = 256 << 10,
    CL_COPY_PIPE = 1 << 20, /* what a pipe holds: most that anybody may have (pipe(7)) */
};

#define CL_COPY_HOLE (1ULL << 63) /* in a chunk's size: that many zeros, which do not follow */

/* Where an end of the copy is, for messages: names with slashes between. */
struct cl_copy_path {
    size_t size;
    char text[CL_COPY_PATH_MAX];
};

/* Returns the size to come back to. */
size_t cl_copy_path_enter(struct cl_copy_path *path, const char *name);
void cl_copy_path_leave(struct cl_copy_path *path, size_t size);

/* --- to write ---------------------------------------------------------------------------- */

struct cl_copy_out {
    int fd; /* blocking; the caller's */
    size_t used;
    char data[CL_COPY_BUFFER];
};

/* All: 0 or -errno; -EPIPE when nobody takes it. */
int cl_copy_put(struct cl_copy_out *out, const void *data, size_t size);
int cl_copy_put_entry(struct cl_copy_out *out, const struct cl_copy_entry *entry, const char *name);
/* A chunk of what is read from FD at its offset, of MOST bytes: returns how many, 0 at its end. */
ssize_t cl_copy_put_chunk(struct cl_copy_out *out, int fd, uint64_t most);
int cl_copy_flush(struct cl_copy_out *out);

/* --- to read ----------------------------------------------------------------------------- */

struct cl_copy_in {
    int fd; /* blocking; the caller's */
    size_t at;
    size_t end;
    char data[CL_COPY_BUFFER];
};

/* 0, -EPIPE where it ends before, or -errno. */
int cl_copy_get(struct cl_copy_in *in, void *ret, size_t size);
/* What is there of the next MOST bytes, at least one: *RET points to them until the next call. */
ssize_t cl_copy_get_some(struct cl_copy_in *in, uint64_t most, const char **ret);

#endif
