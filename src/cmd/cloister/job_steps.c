/* Steps, each a command in the job's sandbox as `exec` has them. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/cloister/exec_plan.h"
#include "cmd/cloister/job_parts.h"
#include "sandbox/exec.h"

enum { STEP_ARENA_MAX = 16 << 20 };

/* --- its plan ---------------------------------------------------------------------------- */

/* The shell's words with the text behind them, or the step's own. */
static int set_command(const struct cl_job *job, const struct cl_job_step *step,
                       struct cl_arena *arena, struct cl_plan *part, struct cl_error *err)
{
    const size_t count = job->shell.count;

    cl_plan_mark(part, CL_FIELD_COMMAND);
    part->command = step->command;
    if (step->run[0] == '\0')
        return 0;
    const char **words = cl_arena_array(arena, count + 1, sizeof(*words));
    if (words == NULL)
        return cl_fail_memory(err);
    memcpy(words, job->shell.items, count * sizeof(*words));
    words[count] = step->run;
    part->command = (struct cl_strlist){words, count + 1};
    return 0;
}

static int decide(const struct cl_job_run *run, const struct cl_job_step *step,
                  struct cl_arena *arena, struct cl_plan *ret, struct cl_error *err)
{
    struct cl_plan part = {.env = step->env, .workdir = step->workdir};
    const struct cl_plan *const parts[] = {&part};
    const struct cl_exec_parts words = {parts, 1, arena};
    int r = set_command(&run->job, step, arena, &part, err);

    cl_plan_mark(&part, CL_FIELD_ENV);
    if (step->workdir[0] != '\0')
        cl_plan_mark(&part, CL_FIELD_WORKDIR);
    return r < 0 ? r : cl_exec_plan(&words, &run->known.found.plan, ret, err);
}

/* --- its end ----------------------------------------------------------------------------- */

static void end_step(struct cl_job_step_end *ret, enum cl_job_status status, int exit_status,
                     const char *error)
{
    ret->status = status;
    ret->exit_status = exit_status;
    (void)snprintf(ret->error, sizeof(ret->error), "%.255s", error);
}

/* The sandbox has ended under the step. */
static void lose_sandbox(struct cl_job_run *run, struct cl_job_step_end *ret)
{
    char why[CL_JOB_ERROR_SIZE];
    struct cl_error err = {0};

    if (cl_job_learn_end(run, &err) < 0) {
        end_step(ret, CL_JOB_ERROR, CL_EXIT_FAILED, err.msg);
        return;
    }
    const enum cl_job_status status = cl_job_end_status(run, why);
    end_step(ret, status, cl_job_exit_status(status), "");
    (void)snprintf(ret->error, sizeof(ret->error), "the sandbox was %.200s", why);
}

/* The command has ended by itself. STATUS is as a shell has it. */
static void judge_command(const struct cl_exec_end *end, int status, const char *error,
                          struct cl_job_step_end *ret)
{
    end_step(ret, status == 0 ? CL_JOB_PASSED : CL_JOB_FAILED, status, error);
    ret->signal = end->signal;
    ret->exit_code = end->signal == 0 ? status : -1;
}

/* What cl_exec_run answered, R with ERR, and END. */
static void judge(struct cl_job_run *run, const struct cl_exec_end *end, int r,
                  const struct cl_error *err, struct cl_job_step_end *ret)
{
    if (end->interrupt != 0)
        run->interrupt = end->interrupt;
    if (r == -ESRCH || (r >= 0 && end->reason == CL_EXEC_LOST))
        lose_sandbox(run, ret);
    else if (r < 0)
        end_step(ret, CL_JOB_ERROR, CL_EXIT_FAILED, err->msg);
    else if (end->reason == CL_EXEC_TIMEOUT)
        end_step(ret, CL_JOB_TIMEOUT, 124, "ended after its timeout");
    else if (end->reason == CL_EXEC_OUTPUT)
        end_step(ret, CL_JOB_OUTPUT_LIMIT, 137, "ended by the job's output limit");
    else if (end->reason == CL_EXEC_INTERRUPTED)
        end_step(ret, CL_JOB_INTERRUPTED, r, "killed: it went on after the interrupt");
    else
        judge_command(end, r, err->msg, ret);
    if (run->interrupt != 0 && ret->status != CL_JOB_PASSED) {
        ret->status = CL_JOB_INTERRUPTED;
        ret->exit_status = 128 + run->interrupt;
    }
}

static void run_step(struct cl_job_run *run, size_t index)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(STEP_ARENA_MAX);
    const struct cl_job_step *step = &run->job.steps.items[index];
    struct cl_job_step_end *ret = &run->steps[index];
    const uint64_t began_ns = cl_clock_boot_ns();
    struct cl_exec_end end = {.reason = CL_EXEC_ENDED};
    struct cl_plan plan = {.set = 0};
    struct cl_error err = {0};
    const struct cl_exec_options options = {
        .timeout_ns = step->timeout_ns,
        .ends_when_interrupted = 1,
        .grace_ns = run->plan.limits.grace_ns,
        .budget = &run->budget,
        .end = &end,
    };

    ret->started_wall_ns = cl_clock_wall_ns();
    int r = decide(run, step, &arena, &plan, &err);
    if (r == 0)
        r = cl_exec_run(&run->known.found, &plan, &options, &err);
    judge(run, &end, r, &err, ret);
    ret->ended_wall_ns = cl_clock_wall_ns();
    ret->time_ns = cl_clock_boot_ns() - began_ns;
}

/* --- one after the other ----------------------------------------------------------------- */

static void blame(struct cl_job_run *run, size_t index)
{
    const struct cl_job_step_end *end = &run->steps[index];
    const char *name = run->job.steps.items[index].name;

    if (end->error[0] != '\0')
        cl_job_fail(run, end->status, end->exit_status, "step \"%s\": %s", name, end->error);
    else
        cl_job_fail(run, end->status, end->exit_status, "step \"%s\" failed with status %d", name,
                    end->exit_status);
}

/* Whether another step can follow the one at INDEX. After a timeout what it began may still be at
 * work, and must not meet the next. */
static int goes_on(const struct cl_job_run *run, size_t index)
{
    const struct cl_job_step_end *end = &run->steps[index];

    if (end->status == CL_JOB_PASSED)
        return 1;
    return end->status == CL_JOB_FAILED &&
           (run->keep_going || run->job.steps.items[index].allow_failure);
}

static int is_allowed(const struct cl_job_run *run, size_t index)
{
    return run->steps[index].status == CL_JOB_FAILED && run->job.steps.items[index].allow_failure;
}

void cl_job_run_steps(struct cl_job_run *run)
{
    for (size_t i = 0; i < run->job.steps.count && !cl_job_is_interrupted(run); i++) {
        cl_job_say_step(run, i);
        run_step(run, i);
        cl_job_say_step_end(run, i);
        if (run->steps[i].status != CL_JOB_PASSED && run->steps[i].status != CL_JOB_INTERRUPTED &&
            !is_allowed(run, i))
            blame(run, i);
        if (!goes_on(run, i))
            break;
    }
    if (run->interrupt != 0)
        cl_job_fail(run, CL_JOB_INTERRUPTED, 128 + run->interrupt,
                    "the job was ended by signal %d (%s)", run->interrupt,
                    run->interrupt == SIGINT ? "SIGINT" : "SIGTERM");
}
