#include "worker/lodging.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "worker/order.h"

enum {
    TRANSFER_MOST = 8 << 20, /* of a file, in one call: what takes about a tick */
    FDS_LEAST = 8,
};

/* --- descriptors --------------------------------------------------------------------------- */

static void take_streams(const struct cl_order_run *run, struct cl_packet *packet,
                         struct cl_wasi_setup *setup)
{
    size_t next = 1;

    for (unsigned int i = 0; i < 3; i++) {
        if ((run->streams & 1U << i) == 0)
            continue;
        setup->streams[i] = packet->fds[next];
        packet->fds[next++] = -1;
    }
}

static int open_volume(const struct cl_worker *worker, const struct cl_volume *volume)
{
    return worker->orders.in_turns ? cl_sys_fcntl(volume->directory, F_DUPFD_CLOEXEC, FDS_LEAST)
                                   : volume->directory;
}

/* "/" is its own; then the worker's volumes. */
static int open_directories(struct cl_lodger *lodger, struct cl_lodging *lodging,
                            struct cl_error *err)
{
    struct cl_worker *worker = lodger->client->worker;
    struct cl_wasi_preopen *preopens = lodging->preopens;
    int fd = cl_scratch_take(&worker->scratch, &lodger->scratch);

    if (fd < 0)
        return cl_fail(err, fd, "make the guest's directory");
    preopens[0] = (struct cl_wasi_preopen){.name = "/", .directory = fd};
    for (size_t i = 0; i < worker->volumes.count; i++) {
        const struct cl_volume *volume = &worker->volumes.items[i];

        fd = open_volume(worker, volume);
        preopens[1 + i] = (struct cl_wasi_preopen){
            .name = volume->name, .directory = fd, .is_read_only = volume->is_read_only};
        if (fd < 0)
            return cl_fail(err, fd, "open the guest's directory %s", volume->name);
    }
    return 0;
}

void cl_lodging_close(const struct cl_worker *worker, struct cl_lodging *lodging)
{
    const size_t own = worker->orders.in_turns ? lodging->wasi.preopen_count : 1;

    for (size_t i = 0; i < 3; i++)
        cl_fd_close(&lodging->wasi.streams[i]);
    for (size_t i = 0; i < own; i++)
        cl_fd_close(&lodging->preopens[i].directory);
}

/* --- bounds -------------------------------------------------------------------------------- */

static uint32_t descriptors_of(const struct cl_worker *worker, const struct cl_order_run *run)
{
    const uint32_t least = (uint32_t)(FDS_LEAST + worker->volumes.count);
    const uint32_t wanted = run->max_descriptors < least ? least : run->max_descriptors;

    return wanted < worker->orders.max_descriptors ? wanted : worker->orders.max_descriptors;
}

static uint64_t bounded(uint64_t wanted, uint64_t most)
{
    return wanted == 0 ? most : cl_min_u64(wanted, most);
}

int cl_lodging_make(struct cl_lodger *lodger, const struct cl_order_run *run,
                    struct cl_packet *packet, struct cl_lodging *ret, struct cl_error *err)
{
    const struct cl_worker *worker = lodger->client->worker;

    ret->wasi = (struct cl_wasi_setup){
        .streams = {-1, -1, -1},
        .preopens = ret->preopens,
        .preopen_count = 1 + worker->volumes.count,
        .max_descriptors = descriptors_of(worker, run),
        .max_output_bytes = run->output_bytes,
        .max_transfer_bytes = worker->orders.in_turns ? TRANSFER_MOST : 0,
    };
    ret->limits = (struct cl_guest_limits){
        .memory_bytes = bounded(run->memory_bytes, worker->orders.memory_bytes),
        .table_elements = bounded(run->table_elements, worker->orders.table_elements),
    };
    for (size_t i = 0; i < ret->wasi.preopen_count; i++)
        ret->preopens[i].directory = -1;
    ret->strings = cl_order_strings(run, packet->size);
    if (ret->strings == NULL)
        return cl_fail_memory(err);
    ret->wasi.argv = ret->strings;
    ret->wasi.envp = ret->strings + run->arguments + 1;
    take_streams(run, packet, &ret->wasi);
    return open_directories(lodger, ret, err);
}
