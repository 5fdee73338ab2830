/* Clients: their orders come in, answers go out. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "worker/order.h"
#include "worker/worker.h"

enum { ORDERS_AT_ONCE = 16 };

/* --- answers ------------------------------------------------------------------------------- */

static int send_answer(const struct cl_client *client, struct cl_answer *answer)
{
    const struct cl_packet packet = {.data = answer, .size = sizeof(*answer)};

    return cl_channel_send(client->source.fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The loop sees the end of its socket, whatever it listens for. */
static void let_go(struct cl_client *client)
{
    client->is_gone = 1;
    (void)cl_sys_shutdown(client->source.fd, SHUT_RDWR); /* one that is gone already is fine */
}

/* Orders are taken while no answer waits; whether the other end is gone is always heard. */
static void listen_for(struct cl_client *client, uint32_t events)
{
    struct cl_error ignored;

    if (client->source.events != events &&
        cl_loop_change(client->worker->loop, &client->source, events, &ignored) < 0)
        let_go(client);
}

static void free_pending(struct cl_client *client, struct cl_pending *pending)
{
    TAILQ_REMOVE(&client->pending, pending, link);
    free(pending);
}

static int keep_answer(struct cl_client *client, const struct cl_answer *answer)
{
    struct cl_pending *pending = cl_calloc(1, sizeof(*pending));

    if (pending == NULL)
        return -ENOMEM;
    pending->answer = *answer;
    TAILQ_INSERT_TAIL(&client->pending, pending, link);
    listen_for(client, EPOLLOUT);
    return 0;
}

void cl_client_tell(struct cl_client *client, struct cl_answer *answer)
{
    int r = TAILQ_EMPTY(&client->pending) ? send_answer(client, answer) : -EAGAIN;

    if (r == -EAGAIN)
        r = keep_answer(client, answer);
    if (r < 0)
        let_go(client);
}

/* -EAGAIN while there are more. */
static int send_pending(struct cl_client *client)
{
    struct cl_pending *pending;

    while ((pending = TAILQ_FIRST(&client->pending)) != NULL) {
        int r = send_answer(client, &pending->answer);

        if (r < 0)
            return r;
        free_pending(client, pending);
    }
    listen_for(client, EPOLLIN);
    return 0;
}

/* --- orders -------------------------------------------------------------------------------- */

static void refuse(struct cl_client *client, uint64_t guest, const struct cl_error *why)
{
    struct cl_answer answer = {.version = CL_WORKER_VERSION,
                               .kind = CL_ANSWER_REFUSED,
                               .guest = guest,
                               .code = (uint32_t)why->code};

    (void)snprintf(answer.message, sizeof(answer.message), "%.299s", why->msg);
    cl_client_tell(client, &answer);
}

static void follow(struct cl_client *client, const struct cl_order *order)
{
    struct cl_lodger *lodger = cl_lodger_find(client, order->guest);
    struct cl_answer answer;

    if (lodger == NULL)
        return; /* it has ended on the way */
    switch (order->kind) {
    case CL_ORDER_END:
        cl_lodger_kill(lodger);
        return;
    case CL_ORDER_PAUSE:
    case CL_ORDER_CONTINUE:
        cl_lodger_pause(lodger, order->kind == CL_ORDER_PAUSE);
        return;
    default:
        cl_lodger_describe(lodger, &answer);
        cl_client_tell(client, &answer);
    }
}

/* What is no order says that the client isn't what it should be: it is let go. */
static void take_order(struct cl_client *client, struct cl_packet *packet)
{
    const struct cl_order *order;
    const struct cl_order_run *run;
    struct cl_error err = {0};
    int r = cl_order_take(packet->data, packet->size, &order, &run, &err);

    if (r < 0) {
        refuse(client, 0, &err);
        client->is_gone = 1;
        return;
    }
    if (run == NULL) {
        follow(client, order);
        return;
    }
    r = cl_lodger_new(client, run, packet, &err);
    if (r < 0)
        refuse(client, order->guest, &err);
}

/* 1: there may be more; 0; or -errno. */
static int receive(struct cl_client *client)
{
    struct cl_packet packet = {
        .data = client->worker->order,
        .size = sizeof(client->worker->order),
        .fd_count = CL_ORDER_MAX_FDS,
    };
    int r = cl_channel_receive(client->source.fd, &packet, MSG_DONTWAIT);

    if (r == -EAGAIN)
        return 0;
    if (r < 0)
        return r;
    take_order(client, &packet);
    explicit_bzero(client->worker->order, packet.size); /* the next guest may get a copy of us */
    for (size_t i = 0; i < packet.fd_count; i++)
        cl_fd_close(&packet.fds[i]);
    return 1;
}

static int on_event(struct cl_source *source, uint32_t events, CL_UNUSED struct cl_error *err)
{
    struct cl_client *client = source->context;
    const int most = cl_worker_is_busy(client->worker) ? 1 : ORDERS_AT_ONCE;
    int r = 1;

    if ((events & EPOLLOUT) != 0)
        r = send_pending(client);
    if (r == -EAGAIN)
        r = 0;
    for (int i = 0; r == 1 && i < most && (events & EPOLLIN) != 0; i++)
        r = client->is_gone || !TAILQ_EMPTY(&client->pending) ? 0 : receive(client);
    if (r < 0 || client->is_gone || (events & (EPOLLHUP | EPOLLERR)) != 0)
        cl_client_free(client);
    return 0;
}

/* --- coming and going ---------------------------------------------------------------------- */

int cl_client_new(struct cl_worker *worker, int socket, struct cl_error *err)
{
    CL_CLEANUP_FD int owned = socket;
    struct cl_client *client = cl_calloc(1, sizeof(*client));

    if (client == NULL)
        return cl_fail_memory(err);
    *client = (struct cl_client){
        .worker = worker,
        .source = {.fd = owned, .events = EPOLLIN, .on_event = on_event, .context = client},
    };
    LIST_INIT(&client->lodgers);
    TAILQ_INIT(&client->pending);
    int r = cl_loop_add(worker->loop, &client->source, err);
    if (r < 0) {
        free(client);
        return r;
    }
    (void)CL_TAKE_FD(owned);
    LIST_INSERT_HEAD(&worker->clients, client, link);
    return 0;
}

void cl_client_free(struct cl_client *client)
{
    struct cl_pending *pending;
    struct cl_lodger *lodger;

    cl_loop_remove(client->worker->loop, &client->source);
    while ((lodger = LIST_FIRST(&client->lodgers)) != NULL)
        cl_lodger_free(lodger);
    while ((pending = TAILQ_FIRST(&client->pending)) != NULL)
        free_pending(client, pending);
    cl_fd_close(&client->source.fd);
    LIST_REMOVE(client, link);
    free(client);
}
