/* How long a worker may take: to go and to come, and to end a guest that was told to end. One that
 * takes longer is broken, by its guests or otherwise, and nobody of its tenant's would hear of an
 * end any more. */
#include <errno.h>
#include <sys/timerfd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloisterd/daemon.h"

static void set(struct cl_worker *worker, uint64_t ns)
{
    const struct itimerspec spec = {
        .it_value = {.tv_sec = (time_t)(ns / CL_NS_PER_S), .tv_nsec = (long)(ns % CL_NS_PER_S)}};

    worker->is_awaited =
        cl_sys_timerfd_settime(worker->timer.fd, 0, &spec) == 0 && ns > 0; /* or for ever */
}

static uint64_t patience_of(const struct cl_worker *worker)
{
    return worker->daemon->options->patience_ns;
}

/* Since when the first of its guests is told to end; UINT64_MAX: none is. */
static uint64_t find_first(const struct cl_worker *worker)
{
    uint64_t first_ns = UINT64_MAX;

    for (size_t i = 0; i < CL_DAEMON_BUCKETS; i++) {
        for (const struct cl_task *task = worker->guests[i]; task != NULL; task = task->next_guest)
            if (task->signal != 0 && task->told_ns < first_ns)
                first_ns = task->told_ns;
    }
    return first_ns;
}

static int on_timer(struct cl_source *source, CL_UNUSED uint32_t events,
                    CL_UNUSED struct cl_error *err)
{
    struct cl_worker *worker = source->context;
    const int is_ready = worker->state == CL_WORKER_READY;
    const uint64_t first_ns = is_ready ? find_first(worker) : 0;
    struct cl_error why = {0};
    uint64_t count;

    if (cl_sys_read(source->fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
        return 0; /* it was set anew meanwhile */
    worker->is_awaited = 0;
    if (first_ns == UINT64_MAX)
        return 0;
    const uint64_t now_ns = cl_clock_mono_ns();
    if (is_ready && now_ns - first_ns < patience_of(worker)) {
        set(worker, first_ns + patience_of(worker) - now_ns);
        return 0;
    }
    (void)cl_refuse(&why, ETIMEDOUT, "the worker of the tenant %s %s, and is removed",
                    worker->tenant,
                    is_ready ? "hasn't ended what it was told to" : "hasn't begun in time");
    cl_daemon_say("a worker that doesn't work", &why);
    cl_worker_desert(worker, &why);
    return 0;
}

int cl_patience_init(struct cl_worker *worker, struct cl_error *err)
{
    worker->timer = (struct cl_source){.fd = cl_sys_timerfd_create(CLOCK_MONOTONIC),
                                       .events = EPOLLIN,
                                       .on_event = on_timer,
                                       .context = worker};
    return worker->timer.fd < 0 ? cl_fail(err, worker->timer.fd, "make a timer")
                                : cl_loop_add(&worker->daemon->loop, &worker->timer, err);
}

void cl_patience_begin(struct cl_worker *worker)
{
    set(worker, patience_of(worker));
}

void cl_patience_go_on(struct cl_worker *worker)
{
    if (!worker->is_awaited)
        set(worker, patience_of(worker));
}

void cl_patience_end(struct cl_worker *worker)
{
    set(worker, 0);
}

void cl_patience_done(struct cl_worker *worker)
{
    cl_loop_remove(&worker->daemon->loop, &worker->timer);
    cl_fd_close(&worker->timer.fd);
}
