#include "sandbox/sandbox.h"

#include <linux/magic.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/clients.h"
#include "sandbox/ended.h"
#include "sandbox/events.h"
#include "sandbox/filter.h"
#include "sandbox/outcome.h"
#include "sandbox/result_file.h"
#include "sandbox/sandbox_parts.h"
#include "sandbox/sweep.h"

enum { EXIT_ERROR = 125 };

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
static int judge_kept(struct cl_sandbox *sandbox, struct cl_error *err)
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
static void hear_last_words(struct cl_sandbox *sandbox)
{
    struct cl_result *result = &sandbox->result;

    if (sandbox->wall->explain == NULL ||
        (result->status != CL_STATUS_EXITED && result->status != CL_STATUS_SIGNALED))
        return;
    sandbox->wall->explain(&sandbox->process, &sandbox->last_words);
    if (sandbox->last_words.msg[0] != '\0')
        result->error = sandbox->last_words.msg;
}

/* Of one that has no cgroup, what its worker says that it used. */
static void add_joined_usage(struct cl_seen *seen)
{
    if (seen->report.stage != CL_REPORT_ENDED || cl_usage_has(&seen->usage, CL_USAGE_MEMORY_PEAK))
        return;
    seen->usage.cpu_user_ns = seen->report.main_cpu_ns; /* the kernel's part is in it */
    seen->usage.memory_peak_bytes = seen->report.memory_peak_bytes;
    seen->usage.known |= CL_USAGE_BIT(CL_USAGE_CPU_USER);
    if (seen->usage.memory_peak_bytes != 0)
        seen->usage.known |= CL_USAGE_BIT(CL_USAGE_MEMORY_PEAK);
}

/* What has become of it: exec's errno or 0; an error when its limits didn't hold. */
static int judge(struct cl_sandbox *sandbox, struct cl_error *err)
{
    cl_clients_note_layers(&sandbox->process, sandbox->state.dir);
    struct cl_seen seen = {
        .plan = sandbox->plan,
        .report = *sandbox->process.report, /* read once */
        .end = sandbox->supervisor.end,
        .init_status = sandbox->supervisor.init_status,
        .scratch_is_full = is_full(sandbox->process.scratch),
        .is_filtered = sandbox->is_filtered,
        .is_joined = sandbox->is_joined,
        .created_boot_ns = sandbox->created_boot_ns,
        .now_boot_ns = cl_clock_boot_ns(),
    };

    cl_limits_usage(&sandbox->limits, &seen.usage);
    if (sandbox->is_joined)
        add_joined_usage(&seen);
    int r = cl_outcome_judge(&seen, &sandbox->result, err);
    hear_last_words(sandbox);
    return sandbox->result.status == CL_STATUS_ERROR ? r : judge_kept(sandbox, err);
}

static void write_result(struct cl_sandbox *sandbox, int fd, struct cl_error *err)
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
static int settle_kept(struct cl_sandbox *sandbox, int exit_status, struct cl_error *err)
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
    const struct cl_sandbox *sandbox = context;

    cl_events_say(sandbox->state.dir, CL_EVENT_START, sandbox->status.id, sandbox->plan);
    if (sandbox->options->on_started != NULL)
        sandbox->options->on_started(sandbox->options->context, sandbox->status.id);
}

/* Runs the sandbox that stands; returns exec's errno or 0, or -errno. */
static int supervise(struct cl_sandbox *sandbox, struct cl_error *err)
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
        supervisor->streams[fd] = cl_sandbox_stream_of(sandbox, fd);
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
static int conclude(struct cl_sandbox *sandbox, int r, struct cl_error *err)
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
static int rest(struct cl_sandbox *sandbox, int r, struct cl_error *err)
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

static void set_up(struct cl_sandbox *sandbox, const struct cl_plan *plan,
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
    sandbox->worker = -1;
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

static int start(struct cl_sandbox *sandbox, struct cl_error *err)
{
    int r;

    if (sandbox->wall == NULL)
        return cl_refuse(err, ENOTSUP, "this wall is not built yet");
    r = sandbox->wall->check(sandbox->plan, err);
    if (r < 0)
        return r;
    r = cl_steps_run(cl_sandbox_steps, cl_sandbox_step_count, sandbox, err);
    if (r < 0) { /* what a step opened that failed half way */
        cl_sandbox_unwatch_parent(sandbox);
        cl_sandbox_close_state(sandbox);
    }
    return r;
}

/* From start to end: the status to exit with, or -errno where how it ended is lost. *RET is -errno
 * when it failed. */
static int run(struct cl_sandbox *sandbox, int *ret, struct cl_error *err)
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
    cl_steps_undo(cl_sandbox_steps, cl_sandbox_step_count, sandbox);
    *ret = r;
    return is_resting ? status : conclude(sandbox, r, err);
}

int cl_sandbox_run(const struct cl_plan *plan, const struct cl_run_options *options,
                   struct cl_error *err)
{
    /* 50 KiB of stream buffers: not for the stack, and not to be touched before they are
     * used (each page costs a fault, and another in init). */
    static struct cl_sandbox sandbox;
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
