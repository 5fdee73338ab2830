#include "helpers/image/inflate.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/fd.h"
#include "base/sys.h"

enum { IN_SIZE = 128 << 10, OUT_SIZE = 256 << 10 };

/* A stream's two buffers. */
struct buffers {
    int source;
    int sink;
    size_t in_size; /* bytes of `in` that were read */
    uint64_t total; /* read so far */
    unsigned char in[IN_SIZE];
    unsigned char out[OUT_SIZE];
};

/* 1, or 0 at the end. */
static int fill(struct buffers *buffers, struct cl_error *err)
{
    ssize_t got;

    do {
        got = cl_sys_read(buffers->source, buffers->in, sizeof(buffers->in));
    } while (got == -EINTR);
    if (got < 0)
        return cl_fail(err, (int)got, "read the compressed bytes");
    buffers->in_size = (size_t)got;
    buffers->total += (uint64_t)got;
    return got > 0;
}

static int flush(struct buffers *buffers, size_t size, struct cl_error *err)
{
    int r = size == 0 ? 0 : cl_write_all(buffers->sink, buffers->out, size);

    return r < 0 ? cl_fail(err, r, "hand the plain bytes on") : 0;
}

static int refuse_end(const char *format, struct cl_error *err)
{
    return cl_refuse(err, EBADMSG, "the %s stream ends in its middle", format);
}

/* --- gzip ---------------------------------------------------------------------- */

static const char *gzip_problem(int status)
{
    switch (status) {
    case ISAL_INVALID_WRAPPER:
        return "it has no gzip header where one must be";
    case ISAL_INCORRECT_CHECKSUM:
        return "its checksum is wrong";
    case ISAL_UNSUPPORTED_METHOD:
        return "its method is not deflate";
    default:
        return "its blocks are invalid";
    }
}

static void start_member(struct inflate_state *state)
{
    isal_inflate_reset(state);
    state->crc_flag = ISAL_GZIP;
}

/* Inflates what is in the buffer; another member may begin in it. */
static int inflate_block(struct buffers *buffers, struct inflate_state *state, struct cl_error *err)
{
    state->next_in = buffers->in;
    state->avail_in = (uint32_t)buffers->in_size;
    do {
        if (state->block_state == ISAL_BLOCK_FINISH) {
            if (state->avail_in == 0)
                return 0;
            start_member(state);
        }
        state->next_out = buffers->out;
        state->avail_out = sizeof(buffers->out);
        int status = isal_inflate(state);
        if (status < 0 || status > ISAL_END_INPUT)
            return cl_refuse(err, EBADMSG, "not a gzip stream near byte %llu: %s",
                             (unsigned long long)(buffers->total - state->avail_in),
                             gzip_problem(status));
        int r = flush(buffers, sizeof(buffers->out) - state->avail_out, err);
        if (r < 0)
            return r;
    } while (state->avail_in > 0 || state->avail_out == 0 ||
             state->block_state == ISAL_BLOCK_FINISH);
    return 0;
}

static int run_gzip(struct buffers *buffers, struct cl_error *err)
{
    struct inflate_state *state = malloc(sizeof(*state));
    int r;

    if (state == NULL)
        return cl_fail_memory(err);
    isal_inflate_init(state);
    start_member(state);
    do {
        r = fill(buffers, err);
        if (r > 0)
            r = inflate_block(buffers, state, err) < 0 ? -err->code : 1;
    } while (r > 0);
    if (r == 0 && state->block_state != ISAL_BLOCK_FINISH)
        r = refuse_end("gzip", err);
    free(state);
    return r;
}

/* --- zstd ---------------------------------------------------------------------- */

static int decompress_block(struct buffers *buffers, ZSTD_DCtx *context, size_t *ret_wanted,
                            struct cl_error *err)
{
    ZSTD_inBuffer in = {buffers->in, buffers->in_size, 0};
    ZSTD_outBuffer out;

    do {
        out = (ZSTD_outBuffer){buffers->out, sizeof(buffers->out), 0};
        *ret_wanted = ZSTD_decompressStream(context, &out, &in);
        if (ZSTD_isError(*ret_wanted))
            return cl_refuse(err, EBADMSG, "not a zstd stream near byte %llu: %.100s",
                             (unsigned long long)(buffers->total - in.size + in.pos),
                             ZSTD_getErrorName(*ret_wanted));
        int r = flush(buffers, out.pos, err);
        if (r < 0)
            return r;
    } while (in.pos < in.size || out.pos == out.size);
    return 0;
}

static int run_zstd(struct buffers *buffers, struct cl_error *err)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    size_t wanted = 1; /* 0: a frame is at its end */
    int r;

    if (context == NULL)
        return cl_fail_memory(err);
    (void)ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, CL_INFLATE_WINDOW_LOG);
    do {
        r = fill(buffers, err);
        if (r > 0)
            r = decompress_block(buffers, context, &wanted, err) < 0 ? -err->code : 1;
    } while (r > 0);
    if (r == 0 && wanted != 0)
        r = refuse_end("zstd", err);
    ZSTD_freeDCtx(context);
    return r;
}

int cl_inflate_run(enum cl_compression how, int source, int sink, struct cl_error *err)
{
    static struct buffers buffers; /* large; a process inflates one stream */

    buffers.source = source;
    buffers.sink = sink;
    buffers.total = 0;
    CL_ASSERT(how == CL_COMPRESSION_GZIP || how == CL_COMPRESSION_ZSTD);
    return how == CL_COMPRESSION_GZIP ? run_gzip(&buffers, err) : run_zstd(&buffers, err);
}
