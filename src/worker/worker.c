#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"

/* --- the line ------------------------------------------------------------------------------ */

/* A client, or the end. */
static int on_line(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    struct cl_worker *worker = source->context;
    char word;
    struct cl_packet packet = {.data = &word, .size = sizeof(word), .fd_count = 1};
    struct cl_error ignored; /* it sees the end of its socket */
    int r = cl_channel_receive(source->fd, &packet, MSG_DONTWAIT);

    if (r == -EPIPE) {
        worker->turns.is_stopped = 1;
        worker->children.is_stopped = 1;
        return 0;
    }
    if (r == -EAGAIN)
        return 0;
    if (r < 0)
        return cl_fail(err, r, "take a client from the line");
    if (packet.fd_count == 1)
        (void)cl_client_new(worker, packet.fds[0], &ignored);
    return 0;
}

/* --- making it ----------------------------------------------------------------------------- */

static int make_buckets(struct cl_worker *worker, struct cl_error *err)
{
    worker->bucket_count = 64;
    while (worker->bucket_count < worker->orders.guests)
        worker->bucket_count *= 2;
    worker->buckets = cl_calloc(worker->bucket_count, sizeof(*worker->buckets));
    return worker->buckets == NULL ? cl_fail_memory(err) : 0;
}

static int work_when_idle(void *context)
{
    struct cl_worker *worker = context;

    if (worker->scratch.has_trash)
        cl_scratch_work(&worker->scratch);
    return worker->scratch.has_trash;
}

static int make_turns(struct cl_worker *worker, struct cl_error *err)
{
    const struct cl_engine_pool pool = {
        .guests = worker->orders.guests,
        .memory_bytes = worker->orders.memory_bytes,
        .table_elements = worker->orders.table_elements,
    };
    int r = cl_engine_new(&pool, &worker->engine, err);

    if (r == 0)
        r = cl_turns_init(&worker->turns, worker->engine, worker->orders.guests, err);
    worker->turns.on_end = cl_lodger_on_turns_end;
    worker->turns.on_idle = work_when_idle;
    worker->turns.context = worker;
    worker->loop = &worker->turns.loop;
    return r;
}

static int make_children(struct cl_worker *worker, struct cl_error *err)
{
    int r = cl_engine_new_alone(0, &worker->engine, err);

    if (r == 0)
        r = cl_children_init(&worker->children, worker->orders.guests, err);
    worker->children.on_end = cl_lodger_on_child_end;
    worker->children.on_idle = work_when_idle;
    worker->children.context = worker;
    worker->loop = &worker->children.loop;
    return r;
}

static int make(struct cl_worker *worker, int line, int root, struct cl_error *err)
{
    int r = cl_volumes_take(&worker->volumes, worker->orders.volumes, line, root, err);

    if (r == 0)
        r = make_buckets(worker, err);
    if (r == 0)
        r = cl_scratch_init(&worker->scratch, root, worker->orders.guests, err);
    if (r == 0)
        r = worker->orders.in_turns ? make_turns(worker, err) : make_children(worker, err);
    if (r < 0)
        return r;
    cl_programs_init(&worker->programs, worker->engine);
    worker->line =
        (struct cl_source){.fd = line, .events = EPOLLIN, .on_event = on_line, .context = worker};
    return cl_loop_add(worker->loop, &worker->line, err);
}

int cl_worker_new(const struct cl_worker_orders *orders, int line, int root,
                  struct cl_worker **ret_worker, struct cl_error *err)
{
    struct cl_worker *worker = cl_calloc(1, sizeof(*worker));

    if (worker == NULL)
        return cl_fail_memory(err);
    worker->orders = *orders;
    worker->scratch = CL_SCRATCH_INIT;
    worker->turns.loop.epfd = -1;
    worker->children.loop.epfd = -1;
    LIST_INIT(&worker->clients);
    LIST_INIT(&worker->children.all);
    int r = make(worker, line, root, err);
    if (r < 0)
        cl_worker_free(worker);
    else
        *ret_worker = worker;
    return r;
}

void cl_worker_free(struct cl_worker *worker)
{
    struct cl_client *client;

    if (worker == NULL)
        return;
    while ((client = LIST_FIRST(&worker->clients)) != NULL)
        cl_client_free(client);
    cl_programs_done(&worker->programs);
    if (worker->orders.in_turns)
        cl_turns_done(&worker->turns);
    cl_children_done(&worker->children);
    cl_scratch_done(&worker->scratch);
    cl_engine_free(worker->engine);
    cl_volumes_done(&worker->volumes);
    free(worker->buckets);
    free(worker);
}

int cl_worker_is_busy(const struct cl_worker *worker)
{
    enum { MANY_CHILDREN = 64 }; /* the kernel runs them, and us beside them */

    return worker->orders.in_turns ? cl_turns_are_busy(&worker->turns)
                                   : worker->children.count > MANY_CHILDREN;
}

int cl_worker_run(struct cl_worker *worker, struct cl_error *err)
{
    return worker->orders.in_turns ? cl_turns_run(&worker->turns, err)
                                   : cl_children_run(&worker->children, err);
}
