/* stream.h - the bytes of a pipe or file, in order, through one buffer that never grows.
 *
 * What is handed out lies in the buffer, and is there until the next call.
 */
#ifndef CL_HELPERS_IMAGE_STREAM_H
#define CL_HELPERS_IMAGE_STREAM_H

#include "base/error.h"

enum { CL_STREAM_SIZE = 256 << 10 };

struct cl_stream {
    int fd;      /* the caller's */
    int is_file; /* bytes are asked for by their place */
    uint64_t at; /* of a file: where the next read begins */
    uint64_t size_bytes;
    char *buffer;
    size_t begin, end; /* what was read and not taken */
    uint64_t taken;    /* bytes since the start */
};

/* What comes from FD, a pipe or a file, from where it stands. */
int cl_stream_start(struct cl_stream *stream, int fd, struct cl_error *err);
/* Of the SIZE_BYTES of a regular file, from its start; where FD stands is neither heeded nor
 * changed. What is skipped isn't read. */
int cl_stream_start_file(struct cl_stream *stream, int fd, uint64_t size_bytes,
                         struct cl_error *err);
void cl_stream_done(struct cl_stream *stream);

/* Reads until LEAST bytes (at most CL_STREAM_SIZE / 2) or more are there: *RET points to them.
 * How many, which are fewer than LEAST at the stream's end alone, or -errno. */
ssize_t cl_stream_look(struct cl_stream *stream, size_t least, const char **ret,
                       struct cl_error *err);

/* Passes over SIZE bytes that were looked at. */
void cl_stream_take(struct cl_stream *stream, size_t size);

/* Passes over SIZE bytes; *RET_SKIPPED are fewer at the stream's end alone. 0 or -errno. */
int cl_stream_skip(struct cl_stream *stream, uint64_t size, uint64_t *ret_skipped,
                   struct cl_error *err);

#endif
