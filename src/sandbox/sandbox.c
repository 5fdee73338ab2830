#include "sandbox/sandbox.h"

#include <linux/magic.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/processors.h"
#include "base/steps.h"
#include "base/sys.h"
#include "limits/limits.h"
#include "sandbox/arguments.h"
#include "sandbox/filter.h"
#include "sandbox/ended.h"
#include "sandbox/events.h"
#include "sandbox/ids.h"
#include "sandbox/kept.h"
#include "sandbox/log.h"
#include "sandbox/outcome.h"
#include "sandbox/result_file.h"
#include "sandbox/state.h"
#include "sandbox/stdio.h"
#include "sandbox/supervisor.h"
#include "sandbox/sweep.h"
#include "sandbox/terminal.h"

enum { EXIT_ERROR = 125 };

struct sandbox {
    const struct cl_plan *plan;
    const struct cl_run_options *options;
    const struct cl_wall *wall;
    struct cl_state state;
    struct cl_entry entry;
    struct cl_status status;
    struct cl_kept kept;
    struct cl_log log;
    struct cl_limits limits;
    struct cl_wall_process process;
    struct cl_supervisor supervisor;
    struct cl_errands errands;
    struct cl_result result;
    struct cl_error last_words; /* the main process's, where the wall hears any */
    int started;                /* the wall stands; process is ours */
    int awaits_start;           /* init tells when the command runs */
    int has_run;                /* the command has */
    int is_filtered;            /* somebody's seccomp filter is on us already */
    int signals;
    int parent;
    int ids_lock;
    int result_fd; /* where the record goes, borrowed; -1: nowhere */
    int ours[3];   /* our ends of the standard streams */
    int theirs[3]; /* the main process's */
    uint64_t created_boot_ns;
};

/* --- steps --------------------------------------------------------------------------- */

static int take_signals(void *context, struct cl_error *err)
{
    struct sandbox *sandbox = context;

    sandbox->signals = cl_supervisor_take_signals(err);
    return sandbox->signals < 0 ? sandbox->signals : 0;
}

static void drop_signals(void *context)
{
    struct sandbox *sandbox = context;

    cl_fd_close(&sandbox->signals);
}

/* By pidfd, not by a death signal: that follows the parent's thread. */
static int watch_parent(void *context, struct cl_error *err)
{
    struct sandbox *sandbox = context;
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

static void unwatch_parent(void *context)
{
    struct sandbox *sandbox = context;

    cl_fd_close(&sandbox->parent);
}

static int open_state(void *context, struct cl_error *err)
{
    struct sandbox *sandbox = context;
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

static void close_state(void *context)
{
    struct sandbox *sandbox = context;

    cl_fd_close(&sandbox->ids_lock); /* the directory stays open until the end is told */
}

static void close_pipes(void *context)
{
    struct sandbox *sandbox = context;

    for (int fd = 0; fd < 3; fd++) {
        cl_fd_close(&sandbox->ours[fd]);
        cl_fd_close(&sandbox->theirs[fd]);
    }
}

/* What a standard stream of the command is carried to or from: -1 for the log, and for an input
 * that is held for who attaches. */
static int stream_of(const struct sandbox *sandbox, int fd)
{
    const int *streams = sandbox->options->streams;

    if (streams != NULL && streams[fd] >= 0)
        return streams[fd];
    return sandbox->plan->detach && (fd != STDIN_FILENO || sandbox->plan->interactive) ? -1 : fd;
}

static int make_pipes(void *context, struct cl_error *err)
{
    struct sandbox *sandbox = context;
    const struct cl_plan *plan = sandbox->plan;
    int first = plan->interactive || cl_stdio_has_input(stream_of(sandbox, 0)) ? 0 : 1;

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

static int make_record(struct sandbox *sandbox, struct cl_error *err)
{
    int r = cl_state_create(&sandbox->state, &sandbox->status, sandbox->plan, &sandbox->entry, err);

    if (r < 0 || cl_plan_without(sandbox->plan, CL_LAYER_LIMITS))
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
    struct sandbox *sandbox = context;

    /* A cgroup that can't be removed now keeps its record: the next command's sweep
     * finds both. */
    if (cl_limits_remove(&sandbox->limits) < 0)
        cl_entry_done(&sandbox->entry);
    else if (sandbox->entry.dir >= 0)
        cl_entry_remove(&sandbox->state, &sandbox->entry);
}

/* On v2 a process is born in its cgroup, which must be there before; on v1 it joins
 * later, and the cgroups are made while init builds its mounts. */
static int limits_come_first(const struct sandbox *sandbox)
{
    struct cl_error unused;

    return !cl_plan_without(sandbox->plan, CL_LAYER_LIMITS) &&
           cl_cgroup_layout(0, &unused) == CL_CGROUP_V2;
}

static int record_before(void *context, struct cl_error *err)
{
    struct sandbox *sandbox = context;

    return limits_come_first(sandbox) ? make_record(sandbox, err) : 0;
}

static int start_wall(void *context, struct cl_error *err)
{
    struct sandbox *sandbox = context;

    sandbox->awaits_start = sandbox->plan->detach || sandbox->plan->waits || sandbox->plan->stays ||
                            cl_events_are_heard(sandbox->state.dir);
    const struct cl_wall_start start = {
        .plan = sandbox->plan,
        .arguments = cl_arguments_find(sandbox->options->argc, sandbox->options->argv),
        .id = sandbox->status.id,
        .uid_base = sandbox->status.uid_base,
        .image = sandbox->options->image,
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
    sandbox->status.init = sandbox->process.pid;
    cl_fd_close(&sandbox->theirs[0]); /* init has them; why the others stay: supervisor.h */
    return 0;
}

static void stop_wall(void *context)
{
    struct sandbox *sandbox = context;

    if (sandbox->started)
        sandbox->wall->done(&sandbox->process);
    sandbox->started = 0;
}

static int record_after(void *context, struct cl_error *err)
{
    struct sandbox *sandbox = context;

    if (sandbox->entry.dir >= 0)
        return cl_entry_update(&sandbox->entry, &sandbox->status, err);
    return make_record(sandbox, err);
}

/* Undone at the very end, when it is known how that was (settle_kept). */
static int keep(void *context, struct cl_error *err)
{
    struct sandbox *sandbox = context;

    if (!cl_plan_is_recorded(sandbox->plan))
        return 0;
    int r = cl_kept_create(&sandbox->status, sandbox->plan, &sandbox->kept, err);
    return r < 0 || !sandbox->plan->detach ? r
                                           : cl_log_create(sandbox->kept.dir, &sandbox->log, err);
}

/* While we have our caller's privilege. */
static int make_errands(void *context, struct cl_error *err)
{
    struct sandbox *sandbox = context;

    return cl_errands_make(sandbox->options->errands, sandbox->status.id, &sandbox->errands, err);
}

static void end_errands(void *context)
{
    struct sandbox *sandbox = context;

    cl_errands_done(&sandbox->errands);
}

static int release(void *context, struct cl_error *err)
{
    struct sandbox *sandbox = context;
    int has_limits = !cl_plan_without(sandbox->plan, CL_LAYER_LIMITS);

    sandbox->status.phase = CL_PHASE_RUNNING;
    sandbox->status.started_ns = cl_clock_wall_ns();
    return sandbox->wall->release(&sandbox->process, has_limits ? &sandbox->limits : NULL, err);
}

/* The wall is stopped before the record's undo: a cgroup with processes can't go. */
static const struct cl_step steps[] = {
    {"take over signals", take_signals, drop_signals},
    {"watch the parent", watch_parent, unwatch_parent},
    {"state", open_state, close_state},
    {"make the standard streams", make_pipes, close_pipes},
    {"record and limits", record_before, remove_record},
    {"container", start_wall, stop_wall},
    {"record and limits", record_after, NULL},
    {"keep", keep, NULL},
    {"copies", make_errands, end_errands},
    {"release", release, NULL},
};

/* --- the outcome ---------------------------------------------------------------------- */

/* Scratch on disk keeps some last blocks for itself: a fraction is as good as nothing. */
static int is_full(int scratch)
{
    enum { ON_DISK_SHARE = 512 };
    struct statfs fs;

    if (scratch < 0 || cl_sys_fstatfs(scratch, &fs) < 0 || fs.f_blocks == 0)
        return 0;
    uint64_t kept = fs.f_type == TMPFS_MAGIC ? 0 : (uint64_t)fs.f_blocks / ON_DISK_SHARE;
    return (uint64_t)fs.f_bavail <= kept || fs.f_ffree == 0;
}

/* A run whose limits didn't hold to its end is none that was asked for. */
static int judge_kept(struct sandbox *sandbox, struct cl_error *err)
{
    struct cl_result *result = &sandbox->result;
    int r = cl_limits_check(&sandbox->limits, err);

    if (r < 0) {
        result->status = CL_STATUS_ERROR;
        result->exit_code = -1;
        result->signal = 0;
    }
    return r;
}

/* Of an end of its own: for any other the reason is ours. */
static void hear_last_words(struct sandbox *sandbox)
{
    struct cl_result *result = &sandbox->result;

    if (sandbox->wall->explain == NULL ||
        (result->status != CL_STATUS_EXITED && result->status != CL_STATUS_SIGNALED))
        return;
    sandbox->wall->explain(&sandbox->process, &sandbox->last_words);
    if (sandbox->last_words.msg[0] != '\0')
        result->error = sandbox->last_words.msg;
}

/* What has become of it: exec's errno or 0; an error when its limits didn't hold. */
static int judge(struct sandbox *sandbox, struct cl_error *err)
{
    struct cl_seen seen = {
        .plan = sandbox->plan,
        .report = *sandbox->process.report, /* read once */
        .end = sandbox->supervisor.end,
        .init_status = sandbox->supervisor.init_status,
        .scratch_is_full = is_full(sandbox->process.scratch),
        .is_filtered = sandbox->is_filtered,
        .created_boot_ns = sandbox->created_boot_ns,
        .now_boot_ns = cl_clock_boot_ns(),
    };

    cl_limits_usage(&sandbox->limits, &seen.usage);
    int r = cl_outcome_judge(&seen, &sandbox->result, err);
    hear_last_words(sandbox);
    return sandbox->result.status == CL_STATUS_ERROR ? r : judge_kept(sandbox, err);
}

static void write_result(struct sandbox *sandbox, int fd, struct cl_error *err)
{
    struct cl_result *result = &sandbox->result;

    if (fd < 0)
        return;
    result->teardown_ns =
        cl_clock_boot_ns() - sandbox->created_boot_ns - result->setup_ns - result->run_ns;
    if (result->ended_wall_ns == 0)
        result->ended_wall_ns = cl_clock_wall_ns();
    (void)cl_result_file_write(fd, result, err); /* ERR says it */
}

/* A detached one that has ended as RESULT says, with EXIT_STATUS. What never ran leaves nothing:
 * whoever started it has been told why. */
static int settle_kept(struct sandbox *sandbox, int exit_status, struct cl_error *err)
{
    struct cl_kept *kept = &sandbox->kept;
    int r = 0;

    if (kept->dir < 0)
        return 0;
    cl_log_done(&sandbox->log);
    if (sandbox->supervisor.is_told) {
        const struct cl_ended ended = cl_ended_of(&sandbox->result, exit_status);

        r = cl_kept_end(kept, &ended, err);
    }
    if (sandbox->plan->remove || !sandbox->supervisor.is_told)
        (void)cl_kept_remove(kept); /* a sweep finds what is left */
    return r;
}

static void tell_started(void *context)
{
    const struct sandbox *sandbox = context;

    cl_events_say(sandbox->state.dir, CL_EVENT_START, sandbox->status.id, sandbox->plan);
    if (sandbox->options->on_started != NULL)
        sandbox->options->on_started(sandbox->options->context, sandbox->status.id);
}

/* Runs the sandbox that stands; returns exec's errno or 0, or -errno. */
static int supervise(struct sandbox *sandbox, struct cl_error *err)
{
    struct cl_supervisor *supervisor = &sandbox->supervisor;
    struct cl_error ignored = {0};
    int r;

    supervisor->plan = sandbox->plan;
    supervisor->wall = sandbox->wall;
    supervisor->process = &sandbox->process;
    supervisor->limits = &sandbox->limits;
    supervisor->entry = &sandbox->entry;
    supervisor->status = &sandbox->status;
    supervisor->kept = &sandbox->kept;
    supervisor->awaits_start = sandbox->awaits_start;
    supervisor->log = sandbox->log.fd >= 0 ? &sandbox->log : NULL;
    for (int fd = 0; fd < 3; fd++)
        supervisor->streams[fd] = stream_of(sandbox, fd);
    supervisor->errands = &sandbox->errands;
    supervisor->on_started = tell_started;
    supervisor->context = sandbox;
    for (int fd = 0; fd < 3; fd++)
        supervisor->stdio[fd] = CL_TAKE_FD(sandbox->ours[fd]);
    for (int i = 0; i < 2; i++)
        supervisor->outputs[i] = CL_TAKE_FD(sandbox->theirs[i + 1]);
    /* The record says "running" while the sandbox already starts. */
    r = cl_entry_update(&sandbox->entry, &sandbox->status, err);
    if (r == 0 && sandbox->kept.dir >= 0)
        r = cl_kept_update(&sandbox->kept, &sandbox->status, err);
    (void)cl_sweep_beside(&sandbox->state, &sandbox->entry,
                          &ignored); /* a failure is prune's to tell */
    if (r == 0)
        r = cl_supervisor_run(supervisor, sandbox->signals, sandbox->parent, err);
    sandbox->has_run = cl_report_has_run(sandbox->process.report);
    sandbox->result.stdout_bytes = supervisor->relays[1].total;
    sandbox->result.stderr_bytes = supervisor->relays[2].total;
    return r < 0 ? r : judge(sandbox, err);
}

/* How it ended goes where it belongs, R being supervise's answer, or start's: the status to exit
 * with, or -errno where that can't be written. */
static int conclude(struct sandbox *sandbox, int r, struct cl_error *err)
{
    struct cl_error write_error = {0};

    if (r < 0)
        (void)cl_filter_explain(sandbox->is_filtered, err);
    if (sandbox->result.status == CL_STATUS_ERROR)
        sandbox->result.error = err->msg;
    const int status = r < 0 ? EXIT_ERROR : cl_result_exit_status(&sandbox->result, r);
    write_result(sandbox, sandbox->result_fd, &write_error);
    const int settled = settle_kept(sandbox, status, &write_error);
    if (sandbox->has_run) /* also when nobody was there to be told of its start */
        cl_events_tell_end(sandbox->state.dir, &sandbox->result);
    if (settled >= 0 && write_error.code == 0)
        return status;
    *err = write_error;
    return -write_error.code;
}

/* Of one that is kept: its end is told, and its files stay where they are until somebody ends
 * that. Its record says that it rests before anybody can know that it has ended, and what is kept
 * stays locked, for which who finds it resting waits, until everybody has been told. */
static int rest(struct sandbox *sandbox, int r, struct cl_error *err)
{
    const struct cl_run_options *options = sandbox->options;
    struct cl_error ignored = {0}; /* whoever waited has been told */
    char why[256] = "";

    sandbox->status.phase = CL_PHASE_RESTING;
    const int marked = cl_entry_update(&sandbox->entry, &sandbox->status, &ignored);
    const int status = conclude(sandbox, r, err);

    if (status >= 0)
        cl_result_explain(&sandbox->result, why);
    if (why[0] != '\0')
        (void)cl_refuse(err, ECANCELED, "%s", why);
    if (options->on_rest != NULL)
        options->on_rest(options->context, status, err);
    cl_kept_done(&sandbox->kept);
    if (marked == 0)
        (void)cl_supervisor_rest(&sandbox->supervisor, &ignored);
    return status;
}

static void set_up(struct sandbox *sandbox, const struct cl_plan *plan,
                   const struct cl_run_options *options)
{
    sandbox->plan = plan;
    sandbox->options = options;
    sandbox->wall = cl_wall_get((enum cl_wall_kind)plan->wall);
    sandbox->state = CL_STATE_INIT;
    sandbox->entry = CL_ENTRY_INIT;
    sandbox->kept = CL_KEPT_INIT;
    sandbox->log = CL_LOG_INIT;
    sandbox->limits = CL_LIMITS_INIT;
    sandbox->errands = CL_ERRANDS_INIT;
    sandbox->signals = -1;
    sandbox->parent = -1;
    sandbox->ids_lock = -1;
    for (int fd = 0; fd < 3; fd++) {
        sandbox->ours[fd] = -1;
        sandbox->theirs[fd] = -1;
    }
    sandbox->created_boot_ns = cl_clock_boot_ns();
    sandbox->status.created_ns = cl_clock_wall_ns();
    sandbox->status.supervisor = getpid();
    sandbox->is_filtered = cl_filter_is_on();
    sandbox->result = (struct cl_result){
        .plan = plan,
        .id = sandbox->status.id,
        .wall = sandbox->wall == NULL ? NULL : sandbox->wall->name,
        .status = CL_STATUS_ERROR,
        .exit_code = -1,
        .created_wall_ns = sandbox->status.created_ns,
    };
}

static int start(struct sandbox *sandbox, struct cl_error *err)
{
    int r;

    if (sandbox->wall == NULL)
        return cl_refuse(err, ENOTSUP, "this wall is not built yet");
    r = sandbox->wall->check(sandbox->plan, err);
    if (r < 0)
        return r;
    r = cl_steps_run(steps, CL_ARRAY_SIZE(steps), sandbox, err);
    if (r < 0) { /* what a step opened that failed half way */
        unwatch_parent(sandbox);
        close_state(sandbox);
    }
    return r;
}

/* From start to end: the status to exit with, or -errno where how it ended is lost. *RET is -errno
 * when it failed. */
static int run(struct sandbox *sandbox, int *ret, struct cl_error *err)
{
    int status = 0;
    int r = start(sandbox, err);

    if (r < 0) {
        sandbox->result.setup_ns = cl_clock_boot_ns() - sandbox->created_boot_ns;
        *ret = r;
        return conclude(sandbox, r, err);
    }
    r = supervise(sandbox, err);
    const int is_resting = r >= 0 && sandbox->supervisor.is_resting;
    if (is_resting)
        status = rest(sandbox, r, err);
    cl_supervisor_done(&sandbox->supervisor);
    cl_steps_undo(steps, CL_ARRAY_SIZE(steps), sandbox);
    *ret = r;
    return is_resting ? status : conclude(sandbox, r, err);
}

int cl_sandbox_run(const struct cl_plan *plan, const struct cl_run_options *options,
                   struct cl_error *err)
{
    /* 50 KiB of stream buffers: not for the stack, and not to be touched before they are
     * used (each page costs a fault, and another in init). */
    static struct sandbox sandbox;
    CL_CLEANUP_FD int result_fd = -1;
    char why[256] = "";
    int r = 0;

    *err = (struct cl_error){0};
    if (options->result_path != NULL) { /* first: nothing runs whose result can't be kept */
        result_fd = cl_result_file_open(options->result_path, err);
        if (result_fd < 0)
            return result_fd;
    }
    (void)cl_sys_umask(022); /* the caller's is its own affair: modes here are what we say */
    set_up(&sandbox, plan, options);
    sandbox.result_fd = result_fd;
    const int status = run(&sandbox, &r, err);
    cl_kept_done(&sandbox.kept);
    cl_state_done(&sandbox.state); /* open until the end was told */
    if (status < 0)
        return status;
    if (r < 0)
        return r;
    cl_result_explain(&sandbox.result, why);
    if (why[0] != '\0')
        (void)cl_refuse(err, ECANCELED, "%s", why);
    return status;
}
