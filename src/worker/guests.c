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
#include "worker/order.h"
#include "worker/worker.h"

enum {
    TRANSFER_MOST = 8 << 20, /* of a file, in one call: what takes about a tick */
    FDS_LEAST = 8,
};

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

/* --- what it has --------------------------------------------------------------------------- */

static void take_streams(const struct cl_order_run *run, struct cl_packet *packet,
                         struct cl_wasi_setup *setup)
{
    size_t next = 1;

    for (unsigned int i = 0; i < 3; i++) {
        setup->streams[i] = -1;
        if ((run->streams & 1U << i) == 0)
            continue;
        setup->streams[i] = packet->fds[next];
        packet->fds[next++] = -1;
    }
}

/* "/" is its own; then the worker's volumes. Each guest has descriptors of its own for them. */
static int open_directories(struct cl_lodger *lodger, struct cl_wasi_preopen *preopens,
                            struct cl_error *err)
{
    struct cl_worker *worker = lodger->client->worker;
    int fd = cl_scratch_take(&worker->scratch, &lodger->scratch);

    if (fd < 0)
        return cl_fail(err, fd, "make the guest's directory");
    preopens[0] = (struct cl_wasi_preopen){.name = "/", .directory = fd};
    for (size_t i = 0; i < worker->volume_count; i++) {
        const struct cl_volume *volume = &worker->volumes[i];

        fd = cl_sys_fcntl(volume->directory, F_DUPFD_CLOEXEC, FDS_LEAST);
        preopens[1 + i] = (struct cl_wasi_preopen){
            .name = volume->name, .directory = fd, .is_read_only = volume->is_read_only};
        if (fd < 0)
            return cl_fail(err, fd, "open the guest's directory %s", volume->name);
    }
    return 0;
}

static uint32_t descriptors_of(const struct cl_worker *worker, const struct cl_order_run *run)
{
    const uint32_t least = (uint32_t)(FDS_LEAST + worker->volume_count);
    const uint32_t wanted = run->max_descriptors < least ? least : run->max_descriptors;

    return wanted < worker->orders.max_descriptors ? wanted : worker->orders.max_descriptors;
}

/* Its WASI, with the streams of PACKET. */
static int make_wasi(struct cl_lodger *lodger, const struct cl_order_run *run, const char **strings,
                     struct cl_packet *packet, struct cl_error *err)
{
    const struct cl_worker *worker = lodger->client->worker;
    struct cl_wasi_preopen preopens[1 + CL_WORKER_VOLUMES_MOST];
    struct cl_wasi_setup setup = {
        .argv = strings,
        .envp = strings + run->arguments + 1,
        .preopens = preopens,
        .preopen_count = 1 + worker->volume_count,
        .max_descriptors = descriptors_of(worker, run),
        .max_output_bytes = run->output_bytes,
        .max_transfer_bytes = TRANSFER_MOST,
    };

    for (size_t i = 0; i < setup.preopen_count; i++)
        preopens[i].directory = -1;
    take_streams(run, packet, &setup);
    int r = open_directories(lodger, preopens, err);
    if (r == 0)
        return cl_wasi_new(&setup, &lodger->taker.wasi, err);
    for (size_t i = 0; i < 3; i++)
        cl_fd_close(&setup.streams[i]);
    for (size_t i = 0; i < setup.preopen_count; i++)
        cl_fd_close(&preopens[i].directory);
    return r;
}

/* --- making one ---------------------------------------------------------------------------- */

static uint64_t bounded(uint64_t wanted, uint64_t most)
{
    return wanted == 0 ? most : cl_min_u64(wanted, most);
}

static uint64_t limit_or_none(uint64_t wanted, uint64_t since)
{
    return wanted == 0 || wanted > UINT64_MAX - since ? UINT64_MAX : since + wanted;
}

static int make_guest(struct cl_lodger *lodger, const struct cl_order_run *run,
                      struct cl_packet *packet, struct cl_error *err)
{
    struct cl_worker *worker = lodger->client->worker;
    struct cl_taker *taker = &lodger->taker;
    const struct cl_guest_limits limits = {
        .memory_bytes = bounded(run->memory_bytes, worker->orders.memory_bytes),
        .table_elements = bounded(run->table_elements, worker->orders.table_elements),
    };
    const char **strings = cl_order_strings(run, packet->size);

    if (strings == NULL)
        return cl_fail_memory(err);
    int r = make_wasi(lodger, run, strings, packet, err);
    free(strings);
    if (r == 0)
        r = cl_programs_take(&worker->programs, packet->fds[0], &lodger->mapped, err);
    if (r < 0)
        return r;
    r = cl_guest_new(lodger->mapped->program, taker->wasi, &limits, &taker->guest, err);
    if (r < 0)
        taker->wasi = NULL; /* it is gone with that */
    return r;
}

static int check(const struct cl_client *client, const struct cl_order_run *run,
                 const struct cl_packet *packet, struct cl_error *err)
{
    const struct cl_worker *worker = client->worker;

    if (packet->fd_count != 1 + (size_t)__builtin_popcount(run->streams))
        return cl_refuse(err, EMFILE,
                         "%zu descriptors came with the order; there may be no room for more",
                         packet->fd_count);
    if (worker->lodger_count >= worker->orders.guests)
        return cl_refuse(err, EBUSY, "this worker has %u guests, as many as it can",
                         worker->orders.guests);
    if (cl_lodger_find(client, run->order.guest) != NULL)
        return cl_refuse(err, EEXIST, "there is a guest of this number");
    return 0;
}

/* Gives back what there is of it. */
static void undo(struct cl_lodger *lodger)
{
    struct cl_worker *worker = lodger->client->worker;
    const int has_walked = lodger->taker.wasi == NULL || cl_wasi_has_walked(lodger->taker.wasi);

    if (lodger->taker.guest != NULL)
        cl_guest_free(lodger->taker.guest); /* and its WASI */
    else
        cl_wasi_free(lodger->taker.wasi);
    if (lodger->mapped != NULL)
        cl_programs_give(lodger->mapped);
    if (lodger->scratch != UINT32_MAX)
        cl_scratch_give(&worker->scratch, lodger->scratch, has_walked);
    free(lodger);
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
    r = make_guest(lodger, run, packet, err);
    if (r < 0) {
        undo(lodger);
        return r;
    }
    lodger->began_ns = cl_clock_mono_ns();
    lodger->taker.cpu_limit_ns = limit_or_none(run->cpu_time_ns, 0);
    lodger->taker.until_ns = limit_or_none(run->time_ns, lodger->began_ns);
    LIST_INSERT_HEAD(&client->lodgers, lodger, of_client);
    LIST_INSERT_HEAD(bucket_of(client, lodger->number), lodger, of_bucket);
    worker->lodger_count++;
    cl_turns_enter(&worker->turns, &lodger->taker);
    return 0;
}

/* --- its end ------------------------------------------------------------------------------- */

void cl_lodger_free(struct cl_lodger *lodger)
{
    cl_turns_leave(&lodger->taker);
    LIST_REMOVE(lodger, of_client);
    LIST_REMOVE(lodger, of_bucket);
    lodger->client->worker->lodger_count--;
    undo(lodger);
}

void cl_lodger_describe(const struct cl_lodger *lodger, struct cl_answer *ret)
{
    const struct cl_taker *taker = &lodger->taker;

    *ret = (struct cl_answer){
        .version = CL_WORKER_VERSION,
        .kind = CL_ANSWER_TOLD,
        .guest = lodger->number,
        .run_ns = cl_clock_mono_ns() - lodger->began_ns,
        .cpu_ns = taker->cpu_ns,
        .memory_bytes = cl_guest_memory_bytes(taker->guest),
        .output_bytes = cl_wasi_written(taker->wasi, 1),
        .error_bytes = cl_wasi_written(taker->wasi, 2),
    };
}

static void describe_end(const struct cl_lodger *lodger, const struct cl_taker_end *end,
                         struct cl_answer *ret)
{
    cl_lodger_describe(lodger, ret);
    ret->kind = CL_ANSWER_ENDED;
    ret->status = end->status;
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

void cl_lodger_end(struct cl_taker *taker, const struct cl_taker_end *end)
{
    struct cl_lodger *lodger = CL_CONTAINER_OF(taker, struct cl_lodger, taker);
    struct cl_client *client = lodger->client;
    struct cl_answer answer;

    if (end->end != NULL && end->end->backtrace != NULL)
        cl_wasi_say(taker->wasi, end->end->backtrace);
    describe_end(lodger, end, &answer);
    if (end->end != NULL)
        free(end->end->backtrace);
    cl_lodger_free(lodger); /* its streams are closed before anybody knows that it has ended */
    cl_client_tell(client, &answer);
}
