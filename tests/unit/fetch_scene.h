/* fetch_scene.h - this test's program in the place of cloister-fetch: what it hears, and says. */
#ifndef CL_TESTS_UNIT_FETCH_SCENE_H
#define CL_TESTS_UNIT_FETCH_SCENE_H

#include <errno.h>

#include "base/channel.h"
#include "oci/fetch.h"
#include "programs_scene.h"

/* A request as cloister-fetch gets it. */
struct asked {
    struct cl_fetch_request request;
    int body;
    int ticks;
    struct cl_arena arena;
    char bytes[CL_FETCH_MAX_MESSAGE];
};

/* 1; 0 when the core is gone. */
static inline int fetch_take(struct asked *ret)
{
    struct cl_packet packet = {.data = ret->bytes, .size = sizeof(ret->bytes), .fd_count = 2};
    struct cl_error err = {0};

    ret->request = (struct cl_fetch_request){0};
    ret->arena = CL_ARENA_INIT(1 << 20);
    int r = cl_channel_receive(CL_FETCH_CHANNEL_FD, &packet, 0);
    if (r == -EPIPE)
        return 0;
    const struct cl_bytes bytes = {ret->bytes, packet.size};
    if (r < 0 ||
        cl_flat_read(&cl_fetch_request_shape, &bytes, &ret->arena, &ret->request, &err) < 0)
        _exit(40);
    ret->body = packet.fd_count > 0 ? packet.fds[0] : -1;
    ret->ticks = packet.fd_count > 1 ? packet.fds[1] : -1;
    return 1;
}

static inline void fetch_drop(struct asked *asked)
{
    cl_fd_close(&asked->body);
    cl_fd_close(&asked->ticks);
    cl_arena_done(&asked->arena);
}

static inline void fetch_send(const void *data, size_t size)
{
    struct cl_packet packet = {.data = cl_unconst(data), .size = size};

    if (cl_channel_send(CL_FETCH_CHANNEL_FD, &packet, 0) < 0)
        _exit(41);
}

static inline void fetch_report(const struct cl_fetch_report *report)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_FETCH_MAX_MESSAGE);
    struct cl_error err = {0};

    if (cl_flat_write(&cl_fetch_report_shape, report, &buf, &err) < 0)
        _exit(42);
    fetch_send(buf.data, buf.size);
}

#define REPORT_BITS(a, b)                                                                          \
    (CL_RECORD_BIT(CL_FETCH_REPORT_ID) | CL_RECORD_BIT(CL_FETCH_REPORT_KIND) | CL_RECORD_BIT(a) |  \
     CL_RECORD_BIT(b))

static inline void fetch_progress(uint64_t id, uint64_t bytes)
{
    fetch_report(
        &(struct cl_fetch_report){.set = REPORT_BITS(CL_FETCH_REPORT_BYTES, CL_FETCH_REPORT_KIND),
                                  .id = id,
                                  .kind = CL_FETCH_PROGRESS,
                                  .bytes = bytes});
}

/* How much of its body a request has got: what the next fetch_done says. */
static uint64_t fetch_body_bytes;

static inline void fetch_done(uint64_t id, const char *type, const char *url)
{
    fetch_report(
        &(struct cl_fetch_report){.set = REPORT_BITS(CL_FETCH_REPORT_TYPE, CL_FETCH_REPORT_URL) |
                                         CL_RECORD_BIT(CL_FETCH_REPORT_BYTES),
                                  .id = id,
                                  .kind = CL_FETCH_DONE,
                                  .bytes = fetch_body_bytes,
                                  .media_type = type,
                                  .url = url});
}

static inline void fetch_failed(uint64_t id, int code, const char *error)
{
    fetch_report(
        &(struct cl_fetch_report){.set = REPORT_BITS(CL_FETCH_REPORT_CODE, CL_FETCH_REPORT_ERROR),
                                  .id = id,
                                  .kind = CL_FETCH_FAILED,
                                  .code = (uint64_t)code,
                                  .error = error});
}

/* This test's program is cloister-fetch from now on, and does what main's act() does for WHAT. */
static inline void fetch_fake(const char *what)
{
    char lines[64];

    (void)snprintf(lines, sizeof(lines), "exec $self act %s \"$@\"", what);
    program_fake("cloister-fetch", "*", lines);
}

#endif
