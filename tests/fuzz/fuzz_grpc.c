/* fuzz_grpc.c - what a client of gRPC sends: the bytes as they are behind a preface, or as the data
 * of frames that are whole; in pieces or at once; to a core that answers each call, some, or none,
 * or answers after the client has gone. Whatever it is, what goes to the core are calls of ttrpc's
 * that can be read again, what is held stays within its bounds, and in the end nothing of it stays.
 */
#include <errno.h>
#include <string.h>

#include "base/utf8.h"
#include "helpers/grpc/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MAX_INPUT = 1 << 16,
    /* the first byte: how */
    HOW_FRAMED = 1, /* then: type, flags, stream, size of the data, the data */
    HOW_PIECES = 2, /* of as many bytes as the second byte says */
    HOW_ANSWERS = 4,
    HOW_LATE = 8, /* answers when all has come */
    HOW_STATUS = 16,
    HOW_LARGE = 32,
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

struct scene {
    struct cl_grpc_link link;
    struct cl_grpc_session session;
    uint8_t how;
    uint32_t last;     /* that the core has heard */
    uint32_t answered; /* up to which */
    struct cl_error err;
};

/* --- the core ------------------------------------------------------------------------------ */

static void check_text(const char *text, int may_be_empty)
{
    CL_ASSERT(cl_utf8_is_valid(text) && (may_be_empty || text[0] != '\0'));
}

static void check_request(const struct cl_bytes *bytes)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);
    struct cl_ttrpc_request request = {0};
    struct cl_error err = {0};

    CL_ASSERT(cl_wire_read(&cl_ttrpc_request_shape, bytes, &arena, &request, &err) == 0);
    check_text(request.service, 0);
    check_text(request.method, 0);
    CL_ASSERT(strchr(request.method, '/') == NULL);
    CL_ASSERT(request.timeout_ns <= INT64_MAX && request.metadata.count <= 1);
    if (request.metadata.count == 1) {
        const struct cl_msg_pair *pair = request.metadata.items;

        CL_ASSERT(strcmp(pair->key, "containerd-namespace-ttrpc") == 0);
        check_text(pair->value, 1);
    }
}

static void answer(struct scene *scene, uint32_t id)
{
    static char bytes[1 << 16];
    const struct cl_msg_status status = {id % 20, "\xc3\xa9 100 %\n"};
    const struct cl_ttrpc_response response = {
        .status = (scene->how & HOW_STATUS) != 0 ? &status : NULL,
        .payload = {bytes, (scene->how & HOW_LARGE) != 0 ? sizeof(bytes) : id % 7},
    };
    struct cl_buf frame = CL_BUF_INIT(CL_TTRPC_MOST);

    CL_ASSERT(cl_wire_write(&cl_ttrpc_response_shape, &response, &frame) == 0);
    CL_ASSERT(cl_grpc_session_answer(&scene->session, id, &frame, &scene->err) == 0);
    CL_ASSERT(frame.data == NULL);
}

static void answer_all(struct scene *scene)
{
    while (scene->answered != scene->last) {
        scene->answered = scene->answered == 0 ? 1 : scene->answered + 2;
        answer(scene, scene->answered);
    }
}

/* What waits for the core: frames, each of a stream that is higher than those before. */
static void hear(struct scene *scene)
{
    struct cl_buf *out = &scene->link.out;
    size_t at = 0;

    while (at < out->size) {
        struct cl_ttrpc_header header;

        CL_ASSERT(out->size - at >= CL_TTRPC_HEADER);
        cl_ttrpc_take_header((const uint8_t *)out->data + at, &header);
        at += CL_TTRPC_HEADER;
        CL_ASSERT(header.type == CL_TTRPC_REQUEST && header.flags == 0);
        CL_ASSERT(header.stream == (scene->last == 0 ? 1 : scene->last + 2));
        CL_ASSERT(out->size - at >= header.size && header.size <= CL_TTRPC_MOST);
        check_request(&(struct cl_bytes){out->data + at, header.size});
        scene->last = header.stream;
        at += header.size;
    }
    cl_buf_done(out);
}

/* --- the client ---------------------------------------------------------------------------- */

static void check_bounds(const struct cl_grpc_session *session)
{
    CL_ASSERT(session->bodies <= CL_GRPC_BODIES_MOST);
    CL_ASSERT(session->calls.asked_count <= CL_GRPC_CALLS_MOST);
    CL_ASSERT(session->held <= CL_GRPC_WINDOW);
}

/* All that comes for it: it reads everything. */
static void take(struct scene *scene)
{
    const uint8_t *out;
    ssize_t size;

    do
        size = cl_grpc_session_next(&scene->session, &out, &scene->err);
    while (size > 0);
    CL_ASSERT(size == 0);
}

/* Whether it isn't let go. */
static int send_piece(struct scene *scene, const void *data, size_t size)
{
    const int r = cl_grpc_session_take(&scene->session, data, size, &scene->err);

    CL_ASSERT(r == 0 || scene->err.code == ECONNABORTED);
    if (r < 0)
        return 0;
    hear(scene);
    CL_ASSERT(cl_grpc_session_resume(&scene->session, &scene->err) == 0);
    if ((scene->how & HOW_ANSWERS) != 0)
        answer_all(scene);
    take(scene);
    check_bounds(&scene->session);
    return !cl_grpc_session_has_ended(&scene->session);
}

static void put_frames(const uint8_t *data, size_t size, struct cl_buf *ret)
{
    while (size >= 5) {
        const size_t much = (size_t)cl_min_u64((size_t)data[3] << 4 | data[4] >> 4, size - 5);
        const uint8_t header[9] = {
            0, (uint8_t)(much >> 8), (uint8_t)much, data[0], data[1], 0, 0, 0, data[2]};

        CL_ASSERT(cl_buf_add(ret, header, sizeof(header)) == 0);
        CL_ASSERT(cl_buf_add(ret, data + 5, much) == 0);
        data += 5 + much;
        size -= 5 + much;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(1 << 20);
    struct scene scene = {0};

    if (size < 2 || size > MAX_INPUT)
        return -1;
    scene.how = data[0];
    CL_ASSERT(cl_buf_add(&bytes, preface, sizeof(preface) - 1) == 0);
    if ((scene.how & HOW_FRAMED) != 0)
        put_frames(data + 2, size - 2, &bytes);
    else
        CL_ASSERT(cl_buf_add(&bytes, data + 2, size - 2) == 0);
    const size_t piece = (scene.how & HOW_PIECES) == 0 || data[1] == 0 ? bytes.size : data[1];
    cl_grpc_link_init(&scene.link, -1);
    CL_ASSERT(cl_grpc_session_init(&scene.session, &scene.link, &scene.err) == 0);
    take(&scene);
    int goes_on = 1;
    for (size_t at = 0; goes_on && at < bytes.size; at += piece)
        goes_on = send_piece(&scene, bytes.data + at, (size_t)cl_min_u64(piece, bytes.size - at));
    if (goes_on && (scene.how & HOW_LATE) != 0) {
        answer_all(&scene);
        take(&scene);
    }
    cl_grpc_session_done(&scene.session);
    cl_grpc_link_done(&scene.link);
    return 0;
}
