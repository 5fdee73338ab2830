#include "helpers/image/stream.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sys.h"

/* Of a file: between what is skipped lie headers, which are small. */
enum { FILE_STEP = 4096 };

int cl_stream_start(struct cl_stream *stream, int fd, struct cl_error *err)
{
    *stream = (struct cl_stream){.fd = fd, .buffer = cl_realloc(NULL, CL_STREAM_SIZE)};
    return stream->buffer == NULL ? cl_fail_memory(err) : 0;
}

int cl_stream_start_file(struct cl_stream *stream, int fd, uint64_t size_bytes,
                         struct cl_error *err)
{
    int r = cl_stream_start(stream, fd, err);

    stream->is_file = 1;
    stream->size_bytes = size_bytes;
    return r;
}

void cl_stream_done(struct cl_stream *stream)
{
    free(stream->buffer);
    stream->buffer = NULL;
}

static ssize_t read_once(const struct cl_stream *stream)
{
    char *room = stream->buffer + stream->end;
    const size_t size = CL_STREAM_SIZE - stream->end;

    if (!stream->is_file)
        return cl_sys_read(stream->fd, room, size);
    return cl_sys_pread(stream->fd, room,
                        cl_min_u64(cl_min_u64(size, FILE_STEP), stream->size_bytes - stream->at),
                        (off_t)stream->at);
}

/* Reads once, behind what is there; 0 at the end. */
static ssize_t read_more(struct cl_stream *stream, struct cl_error *err)
{
    ssize_t got;

    do
        got = read_once(stream);
    while (got == -EINTR);
    if (got < 0)
        return cl_fail(err, (int)got, "read the tar archive");
    stream->end += (size_t)got;
    stream->at += (size_t)got;
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

/* Behind the buffer, which is empty where SIZE isn't 0. */
static uint64_t jump(struct cl_stream *stream, uint64_t size)
{
    const uint64_t jumped = cl_min_u64(size, stream->size_bytes - stream->at);

    stream->at += jumped;
    stream->taken += jumped;
    return jumped;
}

int cl_stream_skip(struct cl_stream *stream, uint64_t size, uint64_t *ret_skipped,
                   struct cl_error *err)
{
    uint64_t skipped = cl_min_u64(size, stream->end - stream->begin);
    const char *data;

    cl_stream_take(stream, skipped);
    if (stream->is_file)
        skipped += jump(stream, size - skipped);
    while (!stream->is_file && skipped < size) {
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
