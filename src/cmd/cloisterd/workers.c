/* The line to a tenant's worker: what its tasks have to tell it, and what it answers, which is
 * foreign bytes: guests may have broken it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloisterd/worker_parts.h"

enum { ANSWERS_AT_ONCE = 64 };

/* --- who has something to tell --------------------------------------------------------------- */

static void leave_telling(struct cl_task *task)
{
    struct cl_worker *worker = task->worker;
    struct cl_task **at = &worker->first;

    while (*at != NULL && *at != task)
        at = &(*at)->next_telling;
    if (*at == NULL)
        return;
    *at = task->next_telling;
    if (worker->end == &task->next_telling)
        worker->end = at;
    task->next_telling = NULL;
    task->is_telling = 0;
}

static void join_telling(struct cl_task *task, unsigned int wants)
{
    struct cl_worker *worker = task->worker;

    task->wants |= wants;
    if (task->is_telling) /* maybe of nothing: an order may have been taken back */
        return;
    task->is_telling = 1;
    task->next_telling = NULL;
    *worker->end = task;
    worker->end = &task->next_telling;
}

/* --- orders ---------------------------------------------------------------------------------- */

static int send_packet(const struct cl_worker *worker, const struct cl_packet *packet)
{
    int r = cl_channel_send(worker->line.fd, packet, MSG_DONTWAIT | MSG_NOSIGNAL);

    return r == -ENOBUFS ? -EAGAIN : r;
}

static void close_streams(struct cl_task *task)
{
    for (size_t i = 0; i < CL_TASK_STREAMS - 1; i++)
        cl_fd_close(&task->streams[i]);
}

static int send_run(struct cl_task *task)
{
    struct cl_worker *worker = task->worker;
    struct cl_order_run *run = (struct cl_order_run *)(void *)task->what.order;
    struct cl_packet packet = {.data = task->what.order,
                               .size = task->what.order_size,
                               .fds = {task->what.code},
                               .fd_count = 1};

    run->order.guest = task->guest;
    run->streams = 0;
    for (unsigned int i = 0; i < CL_TASK_STREAMS; i++) {
        if (task->streams[i] < 0)
            continue;
        run->streams |= 1U << i;
        packet.fds[packet.fd_count++] = task->streams[i];
    }
    run->groups = task->what.door_count;
    for (size_t i = 0; i < task->what.door_count; i++)
        packet.fds[packet.fd_count++] = task->what.doors[i];
    int r = send_packet(worker, &packet);
    if (r == 0)
        close_streams(task);
    return r;
}

static const struct {
    unsigned int want;
    uint32_t kind;
} words[] = {
    {CL_WANT_PAUSE, CL_ORDER_PAUSE},
    {CL_WANT_CONTINUE, CL_ORDER_CONTINUE},
    {CL_WANT_TELL, CL_ORDER_TELL},
    {CL_WANT_END, CL_ORDER_END},
};

static int send_words(struct cl_task *task)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(words); i++) {
        struct cl_order order = {
            .version = CL_WORKER_VERSION, .kind = words[i].kind, .guest = task->guest};
        const struct cl_packet packet = {.data = &order, .size = sizeof(order)};

        if ((task->wants & words[i].want) == 0)
            continue;
        r = send_packet(task->worker, &packet);
        if (r == 0)
            task->wants &= ~words[i].want;
    }
    return r;
}

static int send_all(struct cl_task *task)
{
    if ((task->wants & CL_WANT_RUN) != 0) {
        int r = send_run(task);

        if (r < 0)
            return r;
        task->wants &= ~(unsigned int)CL_WANT_RUN;
    }
    return send_words(task);
}

void cl_worker_hang_up(struct cl_worker *worker)
{
    cl_loop_remove(&worker->daemon->loop, &worker->line);
    cl_fd_close(&worker->line.fd);
    if (worker->state != CL_WORKER_READY)
        cl_daemon_end_context(worker->daemon, worker); /* who is to bring it takes too long */
    cl_daemon_forget_context(worker->daemon, worker);
    cl_patience_end(worker);
    worker->pid = 0;
    worker->state = CL_WORKER_ABSENT;
}

/* It may be alive, and broken: that it is removed is waited for by nobody but the next one. */
void cl_worker_desert(struct cl_worker *worker, const struct cl_error *why)
{
    const int was_removed = worker->state == CL_WORKER_REMOVING;
    struct cl_error ignored;

    cl_worker_hang_up(worker);
    if (worker->is_left && !was_removed)
        (void)cl_worker_begin_removal(worker, &ignored); /* else before the next one comes */
    for (size_t i = 0; i < CL_DAEMON_BUCKETS; i++) {
        while (worker->guests[i] != NULL)
            cl_task_deserted(worker->guests[i], why);
    }
}

static void listen_for(struct cl_worker *worker, uint32_t events)
{
    struct cl_error err = {0};

    if (worker->line.events != events &&
        cl_loop_change(&worker->daemon->loop, &worker->line, events, &err) < 0)
        cl_worker_desert(worker, &err);
}

void cl_worker_pump(struct cl_worker *worker)
{
    struct cl_error err = {0};

    while (worker->state == CL_WORKER_READY && worker->first != NULL) {
        int r = send_all(worker->first);

        if (r == -EAGAIN) {
            listen_for(worker, EPOLLIN | EPOLLOUT);
            return;
        }
        if (r < 0) {
            (void)cl_fail(&err, r, "give an order to the worker of the tenant %s", worker->tenant);
            cl_worker_desert(worker, &err);
            return;
        }
        leave_telling(worker->first);
    }
    if (worker->state == CL_WORKER_READY)
        listen_for(worker, EPOLLIN);
}

/* --- answers --------------------------------------------------------------------------------- */

static struct cl_task *find_guest(const struct cl_worker *worker, uint64_t guest)
{
    struct cl_task *task = worker->guests[guest % CL_DAEMON_BUCKETS];

    while (task != NULL && task->guest != guest)
        task = task->next_guest;
    return task;
}

static void say_refused(const struct cl_worker *worker, const struct cl_answer *answer)
{
    struct cl_error why = {0};

    (void)cl_refuse(&why, EPROTO, "%s", answer->message);
    cl_daemon_say(worker->tenant, &why);
}

/* 1; 0: no more for now; or -errno, behind which there is no worker. */
static int take_answer(struct cl_worker *worker)
{
    struct cl_answer answer = {0};
    struct cl_packet packet = {.data = &answer, .size = sizeof(answer)};
    int r = cl_channel_receive(worker->line.fd, &packet, MSG_DONTWAIT);

    if (r == -EAGAIN || r == -EINTR)
        return 0;
    if (r < 0)
        return r;
    if (packet.size != sizeof(answer) || answer.version != CL_WORKER_VERSION)
        return -EPROTO;
    answer.message[sizeof(answer.message) - 1] = '\0';
    struct cl_task *task = find_guest(worker, answer.guest);
    if (task != NULL && (task->wants & CL_WANT_RUN) != 0)
        return -EPROTO; /* it can't know of that yet */
    if (task != NULL)
        cl_task_answered(task, &answer);
    else if (answer.guest == 0 && answer.kind == CL_ANSWER_REFUSED)
        say_refused(worker, &answer); /* it has hung up */
    return 1;
}

int cl_worker_on_line(struct cl_source *source, uint32_t events, CL_UNUSED struct cl_error *err)
{
    struct cl_worker *worker = source->context;
    struct cl_error why = {0};
    int r = 1;

    if ((events & EPOLLOUT) != 0)
        cl_worker_pump(worker);
    /* Others have their turn before one who says more and more. */
    for (int i = 0; r == 1 && i < ANSWERS_AT_ONCE && worker->state == CL_WORKER_READY; i++)
        r = take_answer(worker);
    if (r < 0 && worker->state == CL_WORKER_READY) {
        (void)cl_fail(&why, r, "the worker of the tenant %s has ended, and with it all that it ran",
                      worker->tenant);
        cl_worker_desert(worker, &why);
    }
    return 0;
}

/* --- for tasks ------------------------------------------------------------------------------- */

void cl_worker_tell(struct cl_task *task, unsigned int wants)
{
    struct cl_worker *worker = task->worker;

    if (task->guest == 0) {
        struct cl_task **bucket;

        task->guest = ++worker->last_guest;
        bucket = &worker->guests[task->guest % CL_DAEMON_BUCKETS];
        task->next_guest = *bucket;
        *bucket = task;
    }
    join_telling(task, wants);
    if (worker->state == CL_WORKER_READY)
        cl_worker_pump(worker);
    else
        cl_worker_need(worker);
}

/* When that can't be said the line is broken off, and with it all that this client of the worker's
 * has: an order that doesn't come is a guest that nobody ends. */
void cl_worker_end_now(struct cl_task *task)
{
    struct cl_worker *worker = task->worker;
    struct cl_order order = {
        .version = CL_WORKER_VERSION, .kind = CL_ORDER_END, .guest = task->guest};
    const struct cl_packet packet = {.data = &order, .size = sizeof(order)};
    struct cl_error why = {0};

    if (task->guest == 0 || (task->wants & CL_WANT_RUN) != 0 || worker->state != CL_WORKER_READY)
        return; /* it isn't there */
    int r = send_packet(worker, &packet);
    cl_worker_leave(task);
    if (r < 0) {
        (void)cl_fail(&why, r, "end a guest of the tenant %s", worker->tenant);
        cl_worker_desert(worker, &why);
    }
}

void cl_worker_leave(struct cl_task *task)
{
    struct cl_worker *worker = task->worker;

    if (worker == NULL || task->guest == 0)
        return;
    struct cl_task **at = &worker->guests[task->guest % CL_DAEMON_BUCKETS];
    while (*at != task)
        at = &(*at)->next_guest;
    *at = task->next_guest;
    leave_telling(task);
    task->wants = 0;
    task->guest = 0;
}
