/* A guest of a worker for many: made from an order, found by its number, ended with an answer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "worker/lodging.h"

/* --- by number ----------------------------------------------------------------------------- */

static struct cl_lodgers *bucket_of(const struct cl_client *client, uint64_t number)
{
    const struct cl_worker *worker = client->worker;
    const uint64_t mixed =
        (number ^ ((uint64_t)(uintptr_t)client >> 4)) * 0x9e3779b97f4a7c15ULL; /* 2^64 / golden */

    return &worker->buckets[(mixed >> 32) & (worker->bucket_count - 1)];
}

struct cl_lodger *cl_lodger_find(const struct cl_client *client, uint64_t number)
{
    struct cl_lodger *lodger;

    LIST_FOREACH (lodger, bucket_of(client, number), of_bucket)
        if (lodger->client == client && lodger->number == number)
            return lodger;
    return NULL;
}

/* --- making one ---------------------------------------------------------------------------- */

static uint64_t limit_or_none(uint64_t wanted, uint64_t since)
{
    return wanted == 0 || wanted > UINT64_MAX - since ? UINT64_MAX : since + wanted;
}

/* One that takes turns: the lodging's descriptors are its WASI's. */
static int make_taker(struct cl_lodger *lodger, struct cl_lodging *lodging, struct cl_error *err)
{
    struct cl_taker *taker = &lodger->taker;
    int r = cl_wasi_new(&lodging->wasi, &taker->wasi, err);

    if (r < 0)
        return r;
    r = cl_guest_new(lodger->mapped->program, taker->wasi, &lodging->limits, &taker->guest, err);
    if (r < 0)
        taker->wasi = NULL; /* it is gone with that */
    return r;
}

/* One that has a process, which has copies of the lodging's descriptors. */
static int make_child(struct cl_lodger *lodger, const int *groups, size_t group_count,
                      struct cl_lodging *lodging, struct cl_error *err)
{
    struct cl_worker *worker = lodger->client->worker;
    struct cl_newborn newborn = {
        .program = lodger->mapped->program,
        .wasi = lodging->wasi,
        .limits = lodging->limits,
        .has_domain = (int)worker->orders.has_domains,
        .user = worker->orders.first_user,
        .group_count = group_count,
    };

    memcpy(newborn.groups, groups, group_count * sizeof(*groups));
    int r = cl_child_new(&worker->children, &newborn, &lodger->child, err);

    cl_lodging_close(worker, lodging);
    if (r == 0)
        lodger->child->owner = lodger;
    return r;
}

static int make_guest(struct cl_lodger *lodger, const struct cl_order_run *run,
                      struct cl_packet *packet, struct cl_error *err)
{
    struct cl_worker *worker = lodger->client->worker;
    struct cl_lodging lodging;
    int r = cl_programs_take(&worker->programs, packet->fds[0], &lodger->mapped, err);

    if (r < 0)
        return r;
    r = cl_lodging_make(lodger, run, packet, &lodging, err);
    if (r < 0)
        cl_lodging_close(worker, &lodging);
    else if (worker->orders.in_turns)
        r = make_taker(lodger, &lodging, err);
    else
        r = make_child(lodger, packet->fds + packet->fd_count - run->groups, run->groups, &lodging,
                       err);
    free(lodging.strings);
    return r;
}

static int check(const struct cl_client *client, const struct cl_order_run *run,
                 const struct cl_packet *packet, struct cl_error *err)
{
    const struct cl_worker *worker = client->worker;

    if (packet->fd_count != 1 + (size_t)__builtin_popcount(run->streams) + run->groups)
        return cl_refuse(err, EMFILE,
                         "%zu descriptors came with the order; there may be no room for more",
                         packet->fd_count);
    if (worker->lodger_count >= worker->orders.guests)
        return cl_refuse(err, EBUSY, "this worker has %u guests, as many as it can",
                         worker->orders.guests);
    if (cl_lodger_find(client, run->order.guest) != NULL)
        return cl_refuse(err, EEXIST, "there is a guest of this number");
    if (run->groups > 0 && worker->orders.in_turns)
        return cl_refuse(err, ENOTSUP, "the guests of this worker have no cgroups of their own");
    return 0;
}

/* Gives back what there is of it. */
static void undo(struct cl_lodger *lodger)
{
    struct cl_worker *worker = lodger->client->worker;
    const struct cl_taker *taker = &lodger->taker;
    /* What a process says of its guest's ways is not believed. */
    const int has_walked =
        !worker->orders.in_turns || taker->wasi == NULL || cl_wasi_has_walked(taker->wasi);

    if (lodger->child != NULL)
        cl_child_leave(lodger->child);
    if (taker->guest != NULL)
        cl_guest_free(taker->guest); /* and its WASI */
    else
        cl_wasi_free(taker->wasi);
    if (lodger->mapped != NULL)
        cl_programs_give(lodger->mapped);
    if (lodger->scratch != UINT32_MAX)
        cl_scratch_give(&worker->scratch, lodger->scratch, has_walked);
    free(lodger);
}

static void enter(struct cl_lodger *lodger, const struct cl_order_run *run)
{
    struct cl_worker *worker = lodger->client->worker;
    struct cl_child *child = lodger->child;
    const uint64_t until_ns = limit_or_none(run->time_ns, lodger->began_ns);
    const uint64_t cpu_limit_ns = limit_or_none(run->cpu_time_ns, 0);

    if (child != NULL) {
        child->until_ns = until_ns;
        child->cpu_limit_ns = cpu_limit_ns;
        cl_child_watch(child);
        return;
    }
    lodger->taker.until_ns = until_ns;
    lodger->taker.cpu_limit_ns = cpu_limit_ns;
    cl_turns_enter(&worker->turns, &lodger->taker);
}

int cl_lodger_new(struct cl_client *client, const struct cl_order_run *run,
                  struct cl_packet *packet, struct cl_error *err)
{
    struct cl_worker *worker = client->worker;
    int r = check(client, run, packet, err);

    if (r < 0)
        return r;
    struct cl_lodger *lodger = cl_calloc(1, sizeof(*lodger));
    if (lodger == NULL)
        return cl_fail_memory(err);
    lodger->client = client;
    lodger->number = run->order.guest;
    lodger->scratch = UINT32_MAX;
    lodger->began_ns = cl_clock_mono_ns(); /* a process begins when it likes */
    r = make_guest(lodger, run, packet, err);
    if (r < 0) {
        undo(lodger);
        return r;
    }
    LIST_INSERT_HEAD(&client->lodgers, lodger, of_client);
    LIST_INSERT_HEAD(bucket_of(client, lodger->number), lodger, of_bucket);
    worker->lodger_count++;
    enter(lodger, run);
    return 0;
}

void cl_lodger_free(struct cl_lodger *lodger)
{
    if (lodger->client->worker->orders.in_turns)
        cl_turns_leave(&lodger->taker);
    LIST_REMOVE(lodger, of_client);
    LIST_REMOVE(lodger, of_bucket);
    lodger->client->worker->lodger_count--;
    undo(lodger);
}

/* --- while it runs ------------------------------------------------------------------------- */

void cl_lodger_pause(struct cl_lodger *lodger, int is_paused)
{
    if (lodger->child != NULL)
        cl_child_pause(lodger->child, is_paused);
    else
        cl_turns_pause(&lodger->taker, is_paused);
}

static void describe(const struct cl_lodger *lodger, struct cl_answer *ret)
{
    ret->version = CL_WORKER_VERSION;
    ret->guest = lodger->number;
    ret->run_ns = cl_clock_mono_ns() - lodger->began_ns;
}

static void describe_taker(const struct cl_lodger *lodger, struct cl_answer *ret)
{
    const struct cl_taker *taker = &lodger->taker;

    describe(lodger, ret);
    ret->cpu_ns = taker->cpu_ns;
    ret->memory_bytes = cl_guest_memory_bytes(taker->guest);
    ret->output_bytes = cl_wasi_written(taker->wasi, 1);
    ret->error_bytes = cl_wasi_written(taker->wasi, 2);
}

void cl_lodger_describe(const struct cl_lodger *lodger, struct cl_answer *ret)
{
    *ret = (struct cl_answer){.kind = CL_ANSWER_TOLD};
    if (lodger->child == NULL) {
        describe_taker(lodger, ret);
        return;
    }
    describe(lodger, ret);
    ret->cpu_ns = cl_child_cpu_ns(lodger->child);
}

/* --- its end ------------------------------------------------------------------------------- */

/* Its streams are closed before anybody knows that it has ended. */
static void conclude(struct cl_lodger *lodger, struct cl_answer *answer)
{
    struct cl_client *client = lodger->client;

    cl_lodger_free(lodger);
    cl_client_tell(client, answer);
}

static void describe_end(const struct cl_lodger *lodger, const struct cl_taker_end *end,
                         struct cl_answer *ret)
{
    *ret = (struct cl_answer){.kind = CL_ANSWER_ENDED, .status = end->status};
    describe_taker(lodger, ret);
    if (end->err != NULL) {
        ret->kind = CL_ANSWER_REFUSED;
        ret->code = (uint32_t)end->err->code;
        (void)snprintf(ret->message, sizeof(ret->message), "%.299s", end->err->msg);
    } else if (end->status == CL_ANSWER_EXITED && end->end != NULL) {
        ret->code = end->end->exit_code;
    } else if (end->status == CL_ANSWER_TRAPPED && end->end != NULL) {
        (void)snprintf(ret->message, sizeof(ret->message), "%.299s", end->end->trap);
    }
}

void cl_lodger_on_turns_end(struct cl_taker *taker, const struct cl_taker_end *end)
{
    struct cl_lodger *lodger = CL_CONTAINER_OF(taker, struct cl_lodger, taker);
    struct cl_answer answer;

    if (end->end != NULL && end->end->backtrace != NULL)
        cl_wasi_say(taker->wasi, end->end->backtrace);
    describe_end(lodger, end, &answer);
    if (end->end != NULL)
        free(end->end->backtrace);
    conclude(lodger, &answer);
}

void cl_lodger_on_child_end(void *owner, struct cl_answer *answer)
{
    struct cl_lodger *lodger = owner;

    lodger->child = NULL; /* it is gone */
    describe(lodger, answer);
    conclude(lodger, answer);
}

void cl_lodger_kill(struct cl_lodger *lodger)
{
    const struct cl_taker_end killed = {.status = CL_ANSWER_KILLED};

    if (lodger->child != NULL)
        cl_child_kill(lodger->child, CL_ANSWER_KILLED);
    else
        cl_lodger_on_turns_end(&lodger->taker, &killed);
}
