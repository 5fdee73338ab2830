#include "sandbox/relay.h"

#include "base/fd.h"
#include "base/sys.h"

enum { TURNS = 16 };

static ssize_t write_now(const struct cl_relay *relay, const void *data, size_t size)
{
    if (relay->out_manner != CL_MANNER_LOG)
        return cl_manner_write(relay->out_manner, relay->out.fd, data, size);
    cl_log_write(relay->log, relay->log_kind, data, size);
    return (ssize_t)size;
}

static void finish(struct cl_relay *relay)
{
    if (!relay->active)
        return;
    relay->active = 0;
    cl_loop_remove(relay->loop, &relay->in);
    cl_loop_remove(relay->loop, &relay->out);
    if (relay->owns_in)
        cl_fd_close(&relay->in.fd);
    if (relay->owns_out)
        cl_fd_close(&relay->out.fd);
    if (relay->on_end != NULL)
        relay->on_end(relay);
}

/* Registers SOURCE exactly while it is wanted: a registered one reports hang-ups even
 * when nothing is asked for, and the loop would spin. */
static int want(struct cl_relay *relay, struct cl_source *source, int wanted, struct cl_error *err)
{
    if (wanted && !source->added)
        return cl_loop_add(relay->loop, source, err);
    if (!wanted)
        cl_loop_remove(relay->loop, source);
    return 0;
}

/* Fills the buffer; 1 when there is something, 0 to wait, or the stream's end. */
static int fill(struct cl_relay *relay)
{
    const size_t room = sizeof(relay->buffer) - (relay->filter == NULL ? 0 : CL_RELAY_SPARE);
    ssize_t got = cl_manner_read(relay->in_manner, relay->in.fd, relay->buffer, room);

    if (got == -EAGAIN && relay->finishing)
        got = 0;
    if (got == -EAGAIN || got == -EINTR)
        return 0;
    relay->start = 0;
    relay->end = got > 0 ? (size_t)got : 0;
    if (got > 0 && relay->filter != NULL)
        relay->end = relay->filter(relay, relay->buffer, (size_t)got);
    if (got <= 0)
        relay->in_ended = 1;
    if (got < 0 && !(got == -EIO && relay->in_is_pty)) /* all of a pty's terminals are closed */
        relay->failed = (int)got;
    return got > 0;
}

/* Cuts what was read to the budget. */
static void charge(struct cl_relay *relay)
{
    struct cl_output_budget *budget = relay->budget;
    size_t size = relay->end - relay->start;

    if (budget == NULL)
        return;
    uint64_t left = budget->limit - budget->used;
    if (size > left) {
        relay->end = relay->start + left;
        size = left;
        budget->exceeded = 1;
    }
    budget->used += size;
}

/* Writes what the buffer holds; 1 when all is gone, 0 to wait, -1 at a broken end. */
static int drain(struct cl_relay *relay)
{
    while (relay->start < relay->end) {
        ssize_t put = write_now(relay, relay->buffer + relay->start, relay->end - relay->start);

        if (put == -EAGAIN || put == -EINTR)
            return 0;
        if (put < 0) {
            if (put != -EPIPE && put != -ECONNRESET) /* a reader who has gone away wants no more */
                relay->failed = (int)put;
            return -1;
        }
        relay->start += (size_t)put;
        relay->total += (uint64_t)put;
    }
    return 1;
}

/* One turn: 1 to go on, 0 to wait, -1 when the relay has ended. */
static int turn(struct cl_relay *relay)
{
    if (relay->start == relay->end) {
        if (relay->in_ended || (relay->budget != NULL && relay->budget->exceeded))
            return -1;
        if (!fill(relay))
            return relay->in_ended ? -1 : 0;
        charge(relay);
    }
    int state = drain(relay);
    /* Now, not at the next turn: the loop wakes us for that only when more is written. */
    return state > 0 && relay->budget != NULL && relay->budget->exceeded ? -1 : state;
}

static int pump(struct cl_relay *relay, struct cl_error *err)
{
    int state = 1;

    for (int i = 0; i < TURNS && state > 0; i++)
        state = turn(relay);
    if (state < 0) {
        finish(relay);
        return 0;
    }
    if (relay->in_manner == CL_MANNER_FILE) /* always ready: where it goes to wakes us */
        return want(relay, &relay->out, 1, err);
    int full = relay->start < relay->end;
    int r = want(relay, &relay->out, full, err);
    return r < 0 ? r : want(relay, &relay->in, !full, err);
}

void cl_relay_finish(struct cl_relay *relay)
{
    struct cl_error unused = {0};

    relay->finishing = 1;
    if (relay->active && pump(relay, &unused) < 0)
        finish(relay);
}

static int on_ready(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    return pump(source->context, err);
}

static int start(struct cl_relay *relay, struct cl_loop *loop, int in, int out,
                 struct cl_error *err)
{
    relay->loop = loop;
    relay->in =
        (struct cl_source){.fd = in, .events = EPOLLIN, .on_event = on_ready, .context = relay};
    relay->out =
        (struct cl_source){.fd = out, .events = EPOLLOUT, .on_event = on_ready, .context = relay};
    relay->active = 1;
    if (relay->in_manner == CL_MANNER_FILE)
        return pump(relay, err);
    struct cl_error add_error = {0};
    int r = want(relay, &relay->in, 1, &add_error);
    if (r != -EPERM || relay->budget != NULL) {
        *err = add_error;
        return r;
    }
    relay->in_manner = CL_MANNER_FILE; /* epoll_ctl(2): as /dev/null and /dev/zero */
    return pump(relay, err);
}

int cl_relay_start_output(struct cl_relay *relay, struct cl_loop *loop, int in, int out,
                          struct cl_error *err)
{
    relay->owns_in = 1;
    relay->in_manner = CL_MANNER_OURS;
    relay->owns_out = cl_manner_choose(&out, O_WRONLY, &relay->out_manner);
    return start(relay, loop, in, out, err);
}

int cl_relay_start_log(struct cl_relay *relay, struct cl_loop *loop, int in, struct cl_error *err)
{
    relay->owns_in = 1;
    relay->in_manner = CL_MANNER_OURS;
    relay->owns_out = 0;
    relay->out_manner = CL_MANNER_LOG;
    return start(relay, loop, in, -1, err);
}

int cl_relay_start_input(struct cl_relay *relay, struct cl_loop *loop, int in, int out,
                         struct cl_error *err)
{
    relay->owns_out = 1;
    relay->out_manner = CL_MANNER_OURS;
    relay->owns_in = cl_manner_choose(&in, O_RDONLY, &relay->in_manner);
    return start(relay, loop, in, out, err);
}

void cl_relay_done(struct cl_relay *relay)
{
    relay->on_end = NULL;
    finish(relay);
}
