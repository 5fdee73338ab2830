#include "helpers/image/stream.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sys.h"

int cl_stream_start(struct cl_stream *stream, int fd, struct cl_error *err)
{
    *stream = (struct cl_stream){.fd = fd, .buffer = cl_realloc(NULL, CL_STREAM_SIZE)};
    return stream->buffer == NULL ? cl_fail_memory(err) : 0;
}

void cl_stream_done(struct cl_stream *stream)
{
    free(stream->buffer);
    stream->buffer = NULL;
}

/* Reads once, behind what is there; 0 at the end. */
static ssize_t read_more(struct cl_stream *stream, struct cl_error *err)
{
    ssize_t got;

    do
        got = cl_sys_read(stream->fd, stream->buffer + stream->end, CL_STREAM_SIZE - stream->end);
    while (got == -EINTR);
    if (got < 0)
        return cl_fail(err, (int)got, "read the layer");
    stream->end += (size_t)got;
    return got;
}

ssize_t cl_stream_look(struct cl_stream *stream, size_t least, const char **ret,
                       struct cl_error *err)
{
    CL_ASSERT(least <= CL_STREAM_SIZE / 2);
    if (stream->end - stream->begin < least) {
        /* little is moved: fewer than LEAST bytes */
        memmove(stream->buffer, stream->buffer + stream->begin, stream->end - stream->begin);
        stream->end -= stream->begin;
        stream->begin = 0;
    }
    while (stream->end - stream->begin < least) {
        ssize_t got = read_more(stream, err);

        if (got < 0)
            return got;
        if (got == 0)
            break;
    }
    *ret = stream->buffer + stream->begin;
    return (ssize_t)(stream->end - stream->begin);
}

void cl_stream_take(struct cl_stream *stream, size_t size)
{
    CL_ASSERT(size <= stream->end - stream->begin);
    stream->begin += size;
    stream->taken += size;
}

int cl_stream_skip(struct cl_stream *stream, uint64_t size, uint64_t *ret_skipped,
                   struct cl_error *err)
{
    uint64_t skipped = 0;
    const char *data;

    while (skipped < size) {
        ssize_t got = cl_stream_look(stream, 1, &data, err);

        if (got < 0)
            return (int)got;
        if (got == 0)
            break;
        size_t most = cl_min_u64((uint64_t)got, size - skipped);
        cl_stream_take(stream, most);
        skipped += most;
    }
    *ret_skipped = skipped;
    return 0;
}
