/* How a sandbox is made: a list of named steps, each with its undo. */
#include <errno.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/processors.h"
#include "base/sys.h"
#include "limits/limits.h"
#include "sandbox/arguments.h"
#include "sandbox/clients.h"
#include "sandbox/events.h"
#include "sandbox/ids.h"
#include "sandbox/sandbox_parts.h"
#include "sandbox/stdio.h"
#include "sandbox/terminal.h"

static int take_signals(void *context, struct cl_error *err)
{
    struct cl_sandbox *sandbox = context;

    sandbox->signals = cl_supervisor_take_signals(err);
    return sandbox->signals < 0 ? sandbox->signals : 0;
}

static void drop_signals(void *context)
{
    struct cl_sandbox *sandbox = context;

    cl_fd_close(&sandbox->signals);
}

/* By pidfd, not by a death signal: that follows the parent's thread. */
static int watch_parent(void *context, struct cl_error *err)
{
    struct cl_sandbox *sandbox = context;
    const pid_t given = sandbox->options->parent;
    const pid_t parent = given > 0 ? given : getppid();

    const struct cl_plan *plan = sandbox->plan;
    if (!plan->die_with_parent && !(plan->keep && !plan->detach))
        return 0; /* one that is kept is another process's, who goes when that has come to rest */
    sandbox->parent = cl_sys_pidfd_open(parent);
    if (sandbox->parent < 0)
        return cl_fail(err, sandbox->parent, "watch the parent process %d", (int)parent);
    if (getppid() != parent)
        return cl_refuse(err, ESRCH, "the parent process has died");
    return 0;
}

void cl_sandbox_unwatch_parent(void *context)
{
    struct cl_sandbox *sandbox = context;

    cl_fd_close(&sandbox->parent);
}

static int open_state(void *context, struct cl_error *err)
{
    struct cl_sandbox *sandbox = context;
    struct cl_ids_range range;
    int r = cl_state_open(&sandbox->state, err);

    if (r < 0)
        return r;
    r = cl_id_make(sandbox->status.id, err);
    if (r < 0 || geteuid() != 0)
        return r;
    r = cl_ids_range_read(&range, err);
    if (r < 0)
        return r;
    return cl_ids_take(&sandbox->state, &range, &sandbox->status.uid_base, &sandbox->ids_lock, err);
}

void cl_sandbox_close_state(void *context)
{
    struct cl_sandbox *sandbox = context;

    cl_fd_close(&sandbox->ids_lock); /* the directory stays open until the end is told */
}

static void close_pipes(void *context)
{
    struct cl_sandbox *sandbox = context;

    for (int fd = 0; fd < 3; fd++) {
        cl_fd_close(&sandbox->ours[fd]);
        cl_fd_close(&sandbox->theirs[fd]);
    }
}

int cl_sandbox_stream_of(const struct cl_sandbox *sandbox, int fd)
{
    const int *streams = sandbox->options->streams;

    if (streams != NULL && streams[fd] >= 0)
        return streams[fd];
    return sandbox->plan->detach && (fd != STDIN_FILENO || sandbox->plan->interactive) ? -1 : fd;
}

static int make_pipes(void *context, struct cl_error *err)
{
    struct cl_sandbox *sandbox = context;
    const struct cl_plan *plan = sandbox->plan;
    int first = plan->interactive || cl_stdio_has_input(cl_sandbox_stream_of(sandbox, 0)) ? 0 : 1;

    if (plan->tty || cl_plan_without(plan, CL_LAYER_STDIO))
        return 0;
    for (int fd = first; fd < 3; fd++) {
        struct cl_stdio_pipe pipe = CL_STDIO_PIPE_INIT;
        int r = cl_stdio_make_pipe(fd, sandbox->status.uid_base, plan, &pipe, err);

        sandbox->ours[fd] = pipe.ours;
        sandbox->theirs[fd] = pipe.theirs;
        if (r < 0) {
            close_pipes(sandbox);
            return r;
        }
    }
    return 0;
}

/* Of a module, where its tenant has one. Its limits are kept there. */
static int find_worker(void *context, struct cl_error *err)
{
    struct cl_sandbox *sandbox = context;
    const struct cl_plan *plan = sandbox->plan;

    if (sandbox->wall->joins == NULL || !sandbox->wall->joins(plan))
        return 0;
    sandbox->worker = cl_clients_connect(sandbox->state.dir, plan);
    if (sandbox->worker == -EAGAIN)
        return cl_refuse(err, EAGAIN, "too many wait for the worker of the tenant %s already",
                         plan->tenant);
    if (sandbox->worker < 0 && sandbox->worker != -ENOENT)
        return cl_fail(err, sandbox->worker, "reach the worker of the tenant %s", plan->tenant);
    sandbox->is_joined = sandbox->worker >= 0;
    return 0;
}

static void leave_worker(void *context)
{
    struct cl_sandbox *sandbox = context;

    cl_fd_close(&sandbox->worker);
}

/* Whether it has cgroups: one of many in a process has none. */
static int has_limits(const struct cl_sandbox *sandbox)
{
    const struct cl_plan *plan = sandbox->plan;

    return !(sandbox->is_joined && plan->wasm_model == CL_WASM_COROUTINE) &&
           !cl_plan_without(plan, CL_LAYER_LIMITS);
}

static int make_record(struct cl_sandbox *sandbox, struct cl_error *err)
{
    int r = cl_state_create(&sandbox->state, &sandbox->status, sandbox->plan, &sandbox->entry, err);

    if (r < 0 || !has_limits(sandbox))
        return r;
    /* Without a result only what decides how it ended is of use. */
    unsigned int wanted =
        sandbox->options->result_path != NULL || cl_plan_is_recorded(sandbox->plan)
            ? CL_USAGE_ALL
            : CL_USAGE_BIT(CL_USAGE_OOM_KILLS);
    r = cl_limits_create_for(&sandbox->limits, sandbox->plan, sandbox->status.id, wanted, err);
    if (r < 0)
        cl_entry_remove(&sandbox->state, &sandbox->entry);
    return r;
}

static void remove_record(void *context)
{
    struct cl_sandbox *sandbox = context;

    /* A cgroup that can't be removed now keeps its record: the next command's sweep
     * finds both. */
    if (cl_limits_remove(&sandbox->limits) < 0)
        cl_entry_done(&sandbox->entry);
    else if (sandbox->entry.dir >= 0)
        cl_entry_remove(&sandbox->state, &sandbox->entry);
}

/* On v2 a process is born in its cgroup, which must be there before; on v1 it joins
 * later, and the cgroups are made while init builds its mounts. */
static int limits_come_first(const struct cl_sandbox *sandbox)
{
    struct cl_error unused;

    return has_limits(sandbox) && cl_cgroup_layout(0, &unused) == CL_CGROUP_V2;
}

static int record_before(void *context, struct cl_error *err)
{
    struct cl_sandbox *sandbox = context;

    return limits_come_first(sandbox) ? make_record(sandbox, err) : 0;
}

static int start_wall(void *context, struct cl_error *err)
{
    struct cl_sandbox *sandbox = context;

    sandbox->awaits_start = sandbox->plan->detach || sandbox->plan->waits || sandbox->plan->stays ||
                            sandbox->plan->image_kind == CL_IMAGE_MODULES ||
                            cl_events_are_heard(sandbox->state.dir);
    const struct cl_wall_start start = {
        .plan = sandbox->plan,
        .arguments = cl_arguments_find(sandbox->options->argc, sandbox->options->argv),
        .id = sandbox->status.id,
        .uid_base = sandbox->status.uid_base,
        .image = sandbox->options->image,
        .worker = sandbox->is_joined ? sandbox->worker : 0,
        .processors = cl_processors_look(),
        .cgroup = cl_limits_cgroup_fd(&sandbox->limits),
        .stdio = {sandbox->theirs[0], sandbox->theirs[1], sandbox->theirs[2]},
        .tells_start = sandbox->awaits_start,
        .size = cl_terminal_first_size(sandbox->plan),
    };
    int r = sandbox->wall->start(&start, &sandbox->process, err);

    if (r < 0)
        return r;
    sandbox->started = 1;
    cl_clients_note_layers(&sandbox->process, sandbox->state.dir);
    sandbox->status.init = sandbox->process.pid;
    leave_worker(sandbox);            /* what stands in for init holds it, and nobody else */
    cl_fd_close(&sandbox->theirs[0]); /* init has them; why the others stay: supervisor.h */
    return 0;
}

static void stop_wall(void *context)
{
    struct cl_sandbox *sandbox = context;

    if (sandbox->started)
        sandbox->wall->done(&sandbox->process);
    sandbox->started = 0;
}

static int record_after(void *context, struct cl_error *err)
{
    struct cl_sandbox *sandbox = context;

    if (sandbox->entry.dir >= 0)
        return cl_entry_update(&sandbox->entry, &sandbox->status, err);
    return make_record(sandbox, err);
}

/* Undone at the very end, when it is known how that was (settle_kept). */
static int keep(void *context, struct cl_error *err)
{
    struct cl_sandbox *sandbox = context;

    if (!cl_plan_is_recorded(sandbox->plan))
        return 0;
    int r = cl_kept_create(&sandbox->status, sandbox->plan, &sandbox->kept, err);
    return r < 0 || !sandbox->plan->detach ? r
                                           : cl_log_create(sandbox->kept.dir, &sandbox->log, err);
}

/* While we have our caller's privilege. */
static int make_errands(void *context, struct cl_error *err)
{
    struct cl_sandbox *sandbox = context;

    return cl_errands_make(sandbox->options->errands, &sandbox->entry, &sandbox->errands, err);
}

static void end_errands(void *context)
{
    struct cl_sandbox *sandbox = context;

    cl_errands_done(&sandbox->errands);
}

static int release(void *context, struct cl_error *err)
{
    struct cl_sandbox *sandbox = context;
    sandbox->status.phase = CL_PHASE_RUNNING;
    sandbox->status.started_ns = cl_clock_wall_ns();
    return sandbox->wall->release(&sandbox->process, has_limits(sandbox) ? &sandbox->limits : NULL,
                                  err);
}

/* The wall is stopped before the record's undo: a cgroup with processes can't go. */
const struct cl_step cl_sandbox_steps[] = {
    {"take over signals", take_signals, drop_signals},
    {"watch the parent", watch_parent, cl_sandbox_unwatch_parent},
    {"state", open_state, cl_sandbox_close_state},
    {"worker", find_worker, leave_worker},
    {"make the standard streams", make_pipes, close_pipes},
    {"record and limits", record_before, remove_record},
    {"container", start_wall, stop_wall},
    {"record and limits", record_after, NULL},
    {"keep", keep, NULL},
    {"copies", make_errands, end_errands},
    {"release", release, NULL},
};
const size_t cl_sandbox_step_count = CL_ARRAY_SIZE(cl_sandbox_steps);
