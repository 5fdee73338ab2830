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
#include "helpers/grpc/relay.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/sys.h"

enum { READ_AT_ONCE = 16 << 10 };

static int is_gone(ssize_t r)
{
    return r == -EPIPE || r == -ECONNRESET;
}

/* --- the client ---------------------------------------------------------------------------- */

static int send_out(struct cl_grpc_relay *relay, struct cl_error *err)
{
    for (;;) {
        if (relay->out_size == 0) {
            const ssize_t next = cl_grpc_session_next(&relay->session, &relay->out, err);

            if (next <= 0)
                return (int)next;
            relay->out_size = (size_t)next;
        }
        const ssize_t sent = cl_sys_send(relay->client, relay->out, relay->out_size, MSG_DONTWAIT);
        if (sent == -EAGAIN)
            return 0;
        if (sent == -EINTR)
            continue;
        if (is_gone(sent))
            return CL_GRPC_ENDED;
        if (sent < 0)
            return cl_fail(err, (int)sent, "send to the client");
        relay->out += sent;
        relay->out_size -= (size_t)sent;
    }
}

static int hear_client(struct cl_grpc_relay *relay, struct cl_error *err)
{
    static char bytes[READ_AT_ONCE];
    const ssize_t size = cl_sys_recv(relay->client, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (size == -EAGAIN || size == -EINTR)
        return 0;
    if (size == 0 || is_gone(size))
        return CL_GRPC_ENDED;
    if (size < 0)
        return cl_fail(err, (int)size, "hear from the client");
    const int r = cl_grpc_session_take(&relay->session, bytes, (size_t)size, err);
    return r == -ECONNABORTED ? CL_GRPC_ENDED : r;
}

/* --- the core ------------------------------------------------------------------------------ */

static int wants_answers(const struct cl_grpc_relay *relay)
{
    return relay->session.answers < CL_GRPC_ANSWERS_MOST;
}

static int hear_core(struct cl_grpc_relay *relay, struct cl_error *err)
{
    while (wants_answers(relay)) {
        struct cl_buf frame = {0};
        uint32_t id = 0;
        int r = cl_grpc_link_receive(&relay->link, &id, &frame, err);

        if (r == -EPIPE)
            return CL_GRPC_ENDED;
        if (r <= 0)
            return r;
        r = cl_grpc_session_answer(&relay->session, id, &frame, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int send_calls(struct cl_grpc_relay *relay, struct cl_error *err)
{
    const int r = cl_grpc_link_send(&relay->link);

    if (r == -EPIPE)
        return CL_GRPC_ENDED;
    if (r < 0)
        return cl_fail(err, r, "send to the core");
    return cl_grpc_session_resume(&relay->session, err);
}

/* --- both ---------------------------------------------------------------------------------- */

static int wait_for(const struct cl_grpc_relay *relay, int timeout_ms, struct pollfd fds[2],
                    struct cl_error *err)
{
    const short client_events = relay->out_size > 0 ? POLLOUT : POLLIN;
    const short in = wants_answers(relay) ? POLLIN : 0;
    const short out = cl_grpc_link_waits(&relay->link) > 0 ? POLLOUT : 0;

    fds[0] = (struct pollfd){.fd = relay->client, .events = client_events};
    fds[1] = (struct pollfd){.fd = relay->link.fd, .events = (short)(in | out)};
    const int r = cl_sys_poll(fds, 2, timeout_ms);
    if (r == -EINTR) {
        fds[0].revents = 0;
        fds[1].revents = 0;
        return CL_GRPC_WENT;
    }
    if (r < 0)
        return cl_fail(err, r, "poll");
    return r == 0 ? CL_GRPC_IDLE : CL_GRPC_WENT;
}

static int send_both(struct cl_grpc_relay *relay, struct cl_error *err)
{
    const int r = send_calls(relay, err);

    return r == 0 ? send_out(relay, err) : r;
}

static int hear_both(struct cl_grpc_relay *relay, const struct pollfd fds[2], struct cl_error *err)
{
    static const short in = POLLIN | POLLHUP | POLLERR;
    int r = 0;

    if ((fds[0].revents & in) != 0 && relay->out_size == 0)
        r = hear_client(relay, err);
    if (r == 0 && (fds[1].revents & in) != 0)
        r = wants_answers(relay) ? hear_core(relay, err) : CL_GRPC_ENDED;
    return r;
}

int cl_grpc_relay_turn(struct cl_grpc_relay *relay, int timeout_ms, struct cl_error *err)
{
    struct pollfd fds[2];
    int r = send_both(relay, err);

    if (r != 0)
        return r;
    if (relay->out_size == 0 && cl_grpc_session_has_ended(&relay->session))
        return CL_GRPC_ENDED;
    const int went = wait_for(relay, timeout_ms, fds, err);
    if (went != CL_GRPC_WENT)
        return went;
    r = hear_both(relay, fds, err);
    return r == 0 ? CL_GRPC_WENT : r;
}

int cl_grpc_relay_init(struct cl_grpc_relay *ret, int client, int core, struct cl_error *err)
{
    *ret = (struct cl_grpc_relay){.client = client};
    cl_grpc_link_init(&ret->link, core);
    return cl_grpc_session_init(&ret->session, &ret->link, err);
}

void cl_grpc_relay_done(struct cl_grpc_relay *relay)
{
    cl_grpc_session_done(&relay->session);
    cl_grpc_link_done(&relay->link);
}
