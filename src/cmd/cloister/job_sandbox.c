/* The sandbox of a job: its plan, its start and its end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "cmd/cloister/detach.h"
#include "cmd/cloister/job_parts.h"
#include "cmd/cloister/run_plan.h"
#include "sandbox/control.h"
#include "sandbox/supervisor.h"

enum {
    STOP_GRACE_MS = 2000, /* it has no command that could want more */
    END_MS = 20000,       /* for the kernel to end what was killed, and the supervisor to say so */
};

/* --- the plan ---------------------------------------------------------------------------- */

/* The file's words, unless the command line has its own. */
static void set_text(struct cl_plan *flags, enum cl_field field, const char **member,
                     const char *text)
{
    if (text == NULL || cl_plan_has(flags, field))
        return;
    *member = text;
    cl_plan_mark(flags, field);
}

/* A command has to be there, for ps; it is never begun. */
static int set_command(struct cl_job_run *run, struct cl_error *err)
{
    struct cl_plan *flags = &run->request.flags;
    int r = cl_plan_add_str(flags, CL_FIELD_COMMAND, "job", run->request.arena, err);

    cl_plan_mark(flags, CL_FIELD_ENTRYPOINT); /* none */
    return r < 0 ? r : cl_plan_add_str(flags, CL_FIELD_COMMAND, run->path, run->request.arena, err);
}

/* What makes a sandbox a job's. */
static void set_manner(struct cl_plan *flags)
{
    flags->waits = 1; /* its first process stands for the steps, and for no command */
    flags->detach = 1;
    flags->remove = 1;
    flags->die_with_parent = 1;
    flags->stop_signal = SIGTERM;
    cl_plan_mark(flags, CL_FIELD_WAITS);
    cl_plan_mark(flags, CL_FIELD_DETACH);
    cl_plan_mark(flags, CL_FIELD_REMOVE);
    cl_plan_mark(flags, CL_FIELD_DIE_WITH_PARENT);
    cl_plan_mark(flags, CL_FIELD_STOP_SIGNAL);
}

/* The policy in the file, and over it the file's own words. */
static int make_below(const struct cl_job_run *run, struct cl_plan *ret, struct cl_error *err)
{
    struct cl_arena *arena = run->request.arena;
    const struct cl_job *job = &run->job;
    struct cl_plan own = {.env = job->env, .workdir = job->workdir};
    int r = cl_job_policy(job, arena, ret, err);

    if (cl_job_has(job, CL_JOB_ENV))
        cl_plan_mark(&own, CL_FIELD_ENV);
    if (cl_job_has(job, CL_JOB_WORKDIR))
        cl_plan_mark(&own, CL_FIELD_WORKDIR);
    if (r == 0)
        r = cl_run_rebase_files(ret, run->path, arena, err);
    return r < 0 ? r : cl_plan_overlay(ret, &own, arena, err);
}

int cl_job_decide(struct cl_job_run *run, struct cl_error *err)
{
    struct cl_plan *flags = &run->request.flags;
    struct cl_plan below = {.set = 0};
    int r = make_below(run, &below, err);

    set_text(flags, CL_FIELD_IMAGE, &flags->image, run->job.image);
    set_text(flags, CL_FIELD_NAME, &flags->name, run->job.name);
    set_text(flags, CL_FIELD_TENANT, &flags->tenant, run->job.tenant);
    set_manner(flags);
    if (r == 0)
        r = set_command(run, err);
    if (r == 0)
        r = cl_run_plan(&run->request, &below, &run->plan, &run->held, err);
    if (r < 0)
        return r;
    run->budget.limit =
        cl_plan_has(&run->plan, CL_FIELD_OUTPUT) ? run->plan.limits.output_bytes : UINT64_MAX;
    return 0;
}

/* --- its start --------------------------------------------------------------------------- */

static int start_sandbox(struct cl_job_run *run, char *const argv[], char ret_id[CL_ID_SIZE],
                         struct cl_error *err)
{
    struct cl_run_options options = {
        .argv = argv,
        .image = cl_run_module_file(&run->held.module),
    };

    while (argv[options.argc] != NULL)
        options.argc++;
    return cl_detach_start(&run->plan, &options, run->held.lock, ret_id, err);
}

int cl_job_start(struct cl_job_run *run, char *const argv[], struct cl_error *err)
{
    char id[CL_ID_SIZE];
    int r;

    run->signals = cl_supervisor_take_signals(err);
    if (run->signals < 0)
        return run->signals;
    r = start_sandbox(run, argv, id, err);
    if (r != 0)
        return r;
    r = cl_state_open(&run->state, err);
    return r < 0 ? r : cl_known_find(&run->state, id, run->request.arena, &run->known, err);
}

int cl_job_is_interrupted(struct cl_job_run *run)
{
    struct signalfd_siginfo info;

    while (cl_sys_read(run->signals, &info, sizeof(info)) == sizeof(info)) {
        if ((info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM) && run->interrupt == 0)
            run->interrupt = (int)info.ssi_signo;
    }
    return run->interrupt != 0;
}

/* --- its end ----------------------------------------------------------------------------- */

int cl_job_learn_end(struct cl_job_run *run, struct cl_error *err)
{
    const char *id = run->known.found.entry.id;
    struct cl_kept_record record = {0};

    if (run->has_ended)
        return 0;
    int r = cl_known_wait(&run->known, END_MS, err);
    if (r < 0)
        return r;
    if (r == 0)
        return cl_refuse(err, ETIMEDOUT, "sandbox %s was to end and has not", id);
    r = cl_kept_read(&run->known.kept, run->request.arena, &record, err);
    if (r == 0 && !record.has_ended && !record.is_lost)
        r = cl_refuse(err, ENODATA, "sandbox %s has ended and nobody says how", id);
    if (r < 0)
        return r;
    run->known.found.status = record.status;
    run->known.ended = record.ended;
    run->known.is_alive = 0;
    run->has_ended = 1;
    return 0;
}

enum cl_job_status cl_job_end_status(const struct cl_job_run *run, char ret_why[CL_JOB_ERROR_SIZE])
{
    static const enum cl_job_status statuses[CL_STATUS_COUNT] = {
        [CL_STATUS_EXITED] = CL_JOB_KILLED,   [CL_STATUS_SIGNALED] = CL_JOB_KILLED,
        [CL_STATUS_TIMEOUT] = CL_JOB_TIMEOUT, [CL_STATUS_CPU_TIME] = CL_JOB_CPU_TIME,
        [CL_STATUS_OOM] = CL_JOB_OOM,         [CL_STATUS_OUTPUT_LIMIT] = CL_JOB_OUTPUT_LIMIT,
        [CL_STATUS_KILLED] = CL_JOB_KILLED,   [CL_STATUS_ERROR] = CL_JOB_ERROR,
    };
    const struct cl_result result =
        cl_ended_result(&run->known.ended, &run->plan, run->known.found.entry.id);
    const enum cl_job_status status = statuses[result.status];

    cl_result_explain(&result, ret_why);
    if (result.status == CL_STATUS_EXITED || result.status == CL_STATUS_SIGNALED)
        (void)snprintf(ret_why, CL_JOB_ERROR_SIZE, "ended from within");
    if (ret_why[0] == '\0')
        (void)snprintf(ret_why, CL_JOB_ERROR_SIZE, "%.200s",
                       result.error == NULL ? "ended" : result.error);
    return status;
}

int cl_job_exit_status(enum cl_job_status status)
{
    switch (status) {
    case CL_JOB_PASSED:
        return 0;
    case CL_JOB_TIMEOUT:
        return 124;
    case CL_JOB_CPU_TIME:
    case CL_JOB_OOM:
    case CL_JOB_OUTPUT_LIMIT:
    case CL_JOB_KILLED:
        return 137;
    case CL_JOB_FAILED:
    case CL_JOB_INTERRUPTED:
    case CL_JOB_ERROR:
    case CL_JOB_SKIPPED:
    case CL_JOB_STATUS_COUNT:
        break;
    }
    return CL_EXIT_FAILED;
}

/* A step's process that the kernel killed for want of memory looks like any other that was killed;
 * that there was such a lack is in the sandbox's record. */
static void blame_memory(struct cl_job_run *run)
{
    if (run->status != CL_JOB_FAILED || (run->known.ended.limits_hit & CL_HIT_MEMORY) == 0)
        return;
    for (size_t i = 0; i < run->job.steps.count; i++) {
        struct cl_job_step_end *end = &run->steps[i];

        if (end->status != CL_JOB_FAILED || run->job.steps.items[i].allow_failure)
            continue;
        if (end->exit_status == 128 + SIGKILL) {
            end->status = CL_JOB_OOM;
            run->status = CL_JOB_OOM;
            (void)snprintf(run->error, sizeof(run->error),
                           "step \"%s\": the sandbox ran into its memory limit",
                           run->job.steps.items[i].name);
        }
        return; /* the first failure is the job's */
    }
}

int cl_job_stop(struct cl_job_run *run, struct cl_error *err)
{
    const struct cl_entry *entry = &run->known.found.entry;
    int r = 0;

    if (!run->has_ended) {
        r = cl_control_stop(entry, STOP_GRACE_MS, err);
        if (r == -ESRCH) /* it has ended meanwhile */
            r = 0;
    }
    if (r == 0)
        r = cl_job_learn_end(run, err);
    if (r == 0)
        blame_memory(run);
    return r;
}
