/* fuzz_ttrpc.c - a peer that sends what it likes to a server of calls: as it is, or as the data of
 * frames that are whole; at once or in pieces; reading its answers, or only at the end. Whatever it
 * is, what comes back are frames with answers in them, and when it goes away nothing of it stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "rpc/server.h"
#include "rpc/task_messages.h"
#include "rpc/ttrpc.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MAX_INPUT = 4096,
    MAX_EVENTS = 100000,
    /* the first byte: how */
    HOW_FRAMED = 1, /* then: the step to the next stream, the size of the data, the data */
    HOW_PIECES = 2, /* of as many bytes as the second byte says */
    HOW_READS = 4,
    LARGE_MOST = 1 << 19,
};

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t address_size = sizeof(address);
static int listener = -1;

int LLVMFuzzerInitialize(CL_UNUSED int *argc, CL_UNUSED char ***argv)
{
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CL_ASSERT(listener >= 0);
    CL_ASSERT(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
    CL_ASSERT(getsockname(listener, (struct sockaddr *)&address, &address_size) == 0);
    CL_ASSERT(listen(listener, 8) == 0);
    return 0;
}

/* --- the service --------------------------------------------------------------------------- */

struct scene {
    struct cl_loop loop;
    struct cl_rpc_server server;
    struct cl_rpc_call *kept;
    int client;
    struct cl_buf answers;
};

static void forget(struct cl_rpc_call *call)
{
    struct cl_rpc_call **link = call->keeper;

    for (; *link != call; link = &(*link)->next)
        CL_ASSERT(*link != NULL);
    *link = call->next;
}

static int serve_echo(struct cl_rpc_call *call, CL_UNUSED struct cl_error *err)
{
    cl_rpc_answer(call, call->request);
    return 0;
}

static int serve_keep(struct cl_rpc_call *call, CL_UNUSED struct cl_error *err)
{
    struct scene *scene = call->context;

    call->on_gone = forget;
    call->keeper = &scene->kept;
    call->next = scene->kept;
    scene->kept = call;
    return CL_RPC_KEPT;
}

/* Of a call of that request's, or any. */
static int serve_release(struct cl_rpc_call *call, struct cl_error *err)
{
    static char bytes[LARGE_MOST];
    struct scene *scene = call->context;
    const struct cl_msg_exec *exec = call->request;
    struct cl_rpc_call *kept = scene->kept;

    if (kept == NULL)
        return cl_refuse(err, ENOENT, "nothing is kept for %s", exec->id);
    forget(kept);
    const struct cl_msg_any any = {exec->exec_id, {bytes, exec->terminal % LARGE_MOST}};
    cl_rpc_answer(kept, &(struct cl_msg_exec){.id = exec->id, .spec = &any});
    return serve_echo(call, err);
}

static int serve_refuse(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_exec *exec = call->request;

    return cl_refuse(err, (int)(exec->terminal % 140) + 1, "%s: %s", exec->id, exec->exec_id);
}

static const struct cl_rpc_method methods[] = {
    {"s", "E", &cl_msg_exec_shape, &cl_msg_exec_shape, serve_echo},
    {"s", "C", &cl_msg_create_shape, &cl_msg_create_shape, serve_echo},
    {"s", "K", &cl_msg_exec_shape, &cl_msg_exec_shape, serve_keep},
    {"s", "L", &cl_msg_exec_shape, &cl_msg_exec_shape, serve_release},
    {"s", "R", &cl_msg_exec_shape, &cl_msg_exec_shape, serve_refuse},
};

/* --- the peer ------------------------------------------------------------------------------ */

static void settle(struct scene *scene)
{
    struct cl_error err = {0};
    int i = 0;

    while (cl_loop_dispatch(&scene->loop, 0, &err) > 0)
        CL_ASSERT(i++ < MAX_EVENTS);
    CL_ASSERT(err.code == 0);
}

/* One frame of what has come: its size, or 0. */
static size_t check_answer(const char *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);
    struct cl_ttrpc_header header;
    struct cl_ttrpc_response response = {0};
    struct cl_error err = {0};

    if (size < CL_TTRPC_HEADER)
        return 0;
    cl_ttrpc_take_header((const uint8_t *)data, &header);
    CL_ASSERT(header.type == CL_TTRPC_RESPONSE && header.flags == 0);
    CL_ASSERT(header.size <= CL_TTRPC_MOST);
    if (size - CL_TTRPC_HEADER < header.size)
        return 0;
    const struct cl_bytes bytes = {data + CL_TTRPC_HEADER, header.size};
    CL_ASSERT(cl_wire_read(&cl_ttrpc_response_shape, &bytes, &arena, &response, &err) == 0);
    CL_ASSERT(response.status == NULL || response.status->code != CL_RPC_OK);
    return CL_TTRPC_HEADER + (size_t)header.size;
}

/* Until nothing more comes: whether the server has let it go. */
static int take_answers(struct scene *scene)
{
    static char bytes[1 << 16];
    struct cl_buf *answers = &scene->answers;
    ssize_t size;

    for (;;) {
        settle(scene);
        size = recv(scene->client, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (size <= 0)
            break;
        CL_ASSERT(cl_buf_add(answers, bytes, (size_t)size) == 0);
    }
    const int is_let_go = size == 0 || errno != EAGAIN;
    size_t taken = 0;
    for (size_t one = 1; one > 0; taken += one)
        one = check_answer(cl_buf_text(answers) + taken, answers->size - taken);
    CL_ASSERT(is_let_go || taken == answers->size);
    cl_buf_done(answers);
    return is_let_go;
}

/* That the server has let it go already is fine. */
static void put(struct scene *scene, const void *data, size_t size)
{
    (void)!send(scene->client, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void put_frames(const uint8_t *data, size_t size, struct cl_buf *ret)
{
    uint32_t stream = (uint32_t)-1;

    while (size >= 2) {
        struct cl_ttrpc_header header = {.type = CL_TTRPC_REQUEST};
        uint8_t bytes[CL_TTRPC_HEADER];

        stream += data[0] == 0 ? 2 : data[0];
        header.stream = stream;
        header.size = (uint32_t)cl_min_u64(data[1], size - 2);
        cl_ttrpc_put_header(&header, bytes);
        CL_ASSERT(cl_buf_add(ret, bytes, sizeof(bytes)) == 0);
        CL_ASSERT(cl_buf_add(ret, data + 2, header.size) == 0);
        data += 2 + header.size;
        size -= 2 + header.size;
    }
}

static void send_all(struct scene *scene, uint8_t how, size_t piece, const struct cl_buf *bytes)
{
    if ((how & HOW_PIECES) == 0 || piece == 0)
        piece = bytes->size;
    for (size_t at = 0; at < bytes->size; at += piece) {
        put(scene, bytes->data + at, (size_t)cl_min_u64(piece, bytes->size - at));
        settle(scene);
        if ((how & HOW_READS) != 0)
            (void)take_answers(scene);
    }
}

static void start(struct scene *scene, const struct cl_rpc_service *service)
{
    struct cl_error err = {0};
    const int own = fcntl(listener, F_DUPFD_CLOEXEC, 3);

    CL_ASSERT(own >= 0 && cl_loop_init(&scene->loop, &err) == 0);
    CL_ASSERT(cl_rpc_server_init(&scene->server, &scene->loop, service, own, &err) == 0);
    scene->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CL_ASSERT(connect(scene->client, (struct sockaddr *)&address, address_size) == 0);
    settle(scene);
    CL_ASSERT(scene->server.connection_count == 1);
}

/* It leaves, or (LAST) the server is the first that ends. */
static void finish(struct scene *scene, int last)
{
    if (!last) {
        cl_fd_close(&scene->client);
        settle(scene);
    }
    CL_ASSERT(last || (scene->kept == NULL && scene->server.connection_count == 0));
    cl_rpc_server_done(&scene->server);
    CL_ASSERT(scene->kept == NULL && scene->server.call_count == 0);
    CL_ASSERT(scene->server.connection_count == 0);
    cl_fd_close(&scene->client);
    cl_loop_done(&scene->loop);
}

/* Which descriptor would be the next: the same as before, when none was left open. */
static int next_fd(void)
{
    CL_CLEANUP_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(1 << 20);
    struct scene scene = {.answers = CL_BUF_INIT(64 << 20)};
    const struct cl_rpc_service service = {methods, CL_ARRAY_SIZE(methods), &scene};
    const int next = next_fd();

    if (size < 2 || size > MAX_INPUT)
        return -1;
    if ((data[0] & HOW_FRAMED) != 0)
        put_frames(data + 2, size - 2, &bytes);
    else
        CL_ASSERT(cl_buf_add(&bytes, data + 2, size - 2) == 0);
    start(&scene, &service);
    send_all(&scene, data[0], data[1], &bytes);
    (void)take_answers(&scene);
    finish(&scene, data[1] & 1);
    CL_ASSERT(next_fd() == next);
    return 0;
}
