/* Who waits for whom, so that nobody waits for ever:
 *
 *   - while bytes for the client can't be sent, none are taken from it;
 *   - while answers of CL_GRPC_ANSWERS_MOST bytes wait for the client's windows, none are taken
 *     from the core; the client's frames are, as windows are opened by them;
 *   - while CL_GRPC_LINK_FULL bytes wait for the core, the client's window stays shut for data, and
 *     for nothing else.
 *
 * So a client that takes nothing is the only one that waits.
 */
#include "helpers/grpc/serve.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "helpers/grpc/session.h"

enum { READ_AT_ONCE = 16 << 10 };

struct serve {
    int client;
    struct cl_grpc_link link;
    struct cl_grpc_session session;
    const uint8_t *out; /* the session's, for the client */
    size_t out_size;
};

/* One of the two is gone: the end that is foreseen. */
enum { ENDED = 1 };

static int is_gone(ssize_t r)
{
    return r == -EPIPE || r == -ECONNRESET;
}

/* --- the client ---------------------------------------------------------------------------- */

static int send_out(struct serve *serve, struct cl_error *err)
{
    for (;;) {
        if (serve->out_size == 0) {
            const ssize_t next = cl_grpc_session_next(&serve->session, &serve->out, err);

            if (next <= 0)
                return (int)next;
            serve->out_size = (size_t)next;
        }
        const ssize_t sent = cl_sys_send(serve->client, serve->out, serve->out_size, MSG_DONTWAIT);
        if (sent == -EAGAIN)
            return 0;
        if (sent == -EINTR)
            continue;
        if (is_gone(sent))
            return ENDED;
        if (sent < 0)
            return cl_fail(err, (int)sent, "send to the client");
        serve->out += sent;
        serve->out_size -= (size_t)sent;
    }
}

static int hear_client(struct serve *serve, struct cl_error *err)
{
    static char bytes[READ_AT_ONCE];
    const ssize_t size = cl_sys_recv(serve->client, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (size == -EAGAIN || size == -EINTR)
        return 0;
    if (size == 0 || is_gone(size))
        return ENDED;
    if (size < 0)
        return cl_fail(err, (int)size, "hear from the client");
    const int r = cl_grpc_session_take(&serve->session, bytes, (size_t)size, err);
    return r == -ECONNABORTED ? ENDED : r;
}

/* --- the core ------------------------------------------------------------------------------ */

static int wants_answers(const struct serve *serve)
{
    return serve->session.answers < CL_GRPC_ANSWERS_MOST;
}

static int hear_core(struct serve *serve, struct cl_error *err)
{
    while (wants_answers(serve)) {
        struct cl_buf frame = {0};
        uint32_t id = 0;
        int r = cl_grpc_link_receive(&serve->link, &id, &frame, err);

        if (r == -EPIPE)
            return ENDED;
        if (r <= 0)
            return r;
        r = cl_grpc_session_answer(&serve->session, id, &frame, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int send_calls(struct serve *serve, struct cl_error *err)
{
    const int r = cl_grpc_link_send(&serve->link);

    if (r == -EPIPE)
        return ENDED;
    if (r < 0)
        return cl_fail(err, r, "send to the core");
    return cl_grpc_session_resume(&serve->session, err);
}

/* --- both ---------------------------------------------------------------------------------- */

static int wait_for(struct serve *serve, struct pollfd fds[2], struct cl_error *err)
{
    const short client_events = serve->out_size > 0 ? POLLOUT : POLLIN;
    const short in = wants_answers(serve) ? POLLIN : 0;
    const short out = cl_grpc_link_waits(&serve->link) > 0 ? POLLOUT : 0;

    fds[0] = (struct pollfd){.fd = serve->client, .events = client_events};
    fds[1] = (struct pollfd){.fd = serve->link.fd, .events = (short)(in | out)};
    const int r = cl_sys_poll(fds, 2, -1);
    return r < 0 && r != -EINTR ? cl_fail(err, r, "poll") : 0;
}

static int turn(struct serve *serve, struct cl_error *err)
{
    struct pollfd fds[2];
    int r = send_calls(serve, err);

    if (r == 0)
        r = send_out(serve, err);
    if (r == 0 && serve->out_size == 0 && cl_grpc_session_has_ended(&serve->session))
        r = ENDED;
    if (r == 0)
        r = wait_for(serve, fds, err);
    if (r != 0)
        return r;
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && serve->out_size == 0)
        r = hear_client(serve, err);
    if (r == 0 && (fds[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
        r = wants_answers(serve) ? hear_core(serve, err) : ENDED;
    return r;
}

int cl_grpc_serve(int client, int core, struct cl_error *err)
{
    struct serve serve = {.client = client};

    cl_grpc_link_init(&serve.link, core);
    int r = cl_grpc_session_init(&serve.session, &serve.link, err);
    while (r == 0)
        r = turn(&serve, err);
    cl_grpc_session_done(&serve.session);
    cl_grpc_link_done(&serve.link);
    return r < 0 ? r : 0;
}
