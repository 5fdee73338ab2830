#include "sandbox/outcome.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "sandbox/filter.h"

/* The kernel has two reckonings of CPU time, and limits by the one that counts ticks: what was
 * really used when that ended a process is less by a tick, or by a share where others compete
 * for the processor (3 % of a second were seen). */
enum { CLOCKS_MS = 10, CLOCKS_SHARE = 8 };

static void judge_times(const struct cl_seen *seen, struct cl_result *result)
{
    const struct cl_report *report = &seen->report;

    if (report->stage != CL_REPORT_STARTED && report->stage != CL_REPORT_ENDED) {
        result->setup_ns = seen->now_boot_ns - seen->created_boot_ns;
        return;
    }
    uint64_t ended = report->stage == CL_REPORT_ENDED ? report->ended_boot_ns : seen->now_boot_ns;
    result->setup_ns = report->started_boot_ns - seen->created_boot_ns;
    result->run_ns = ended - report->started_boot_ns;
    result->started_wall_ns = result->created_wall_ns + result->setup_ns;
    result->ended_wall_ns = result->started_wall_ns + result->run_ns;
}

static int has_file_size(const struct cl_plan *plan)
{
    return cl_plan_has(plan, CL_FIELD_FILE_SIZE) || cl_plan_find_rlimit(plan, RLIMIT_FSIZE) != NULL;
}

static void judge_main(const struct cl_seen *seen, struct cl_result *result)
{
    const int status = seen->report.main_status;

    if (WIFEXITED(status)) {
        result->status = CL_STATUS_EXITED;
        result->exit_code = WEXITSTATUS(status);
        return;
    }
    result->status = CL_STATUS_SIGNALED;
    result->signal = WTERMSIG(status);
    if (result->signal == SIGXFSZ && has_file_size(seen->plan)) /* not one of its own */
        result->limits_hit |= CL_HIT_FILE_SIZE;
}

static void judge_limits(const struct cl_seen *seen, struct cl_result *result)
{
    const struct cl_usage *usage = &seen->usage;

    result->usage = *usage;
    if (cl_usage_has(usage, CL_USAGE_TASKS_HIT) && usage->tasks_hit > 0)
        result->limits_hit |= CL_HIT_TASKS;
    if (cl_usage_has(usage, CL_USAGE_OOM_KILLS) && usage->oom_kills > 0)
        result->limits_hit |= CL_HIT_MEMORY;
    if (cl_usage_has(usage, CL_USAGE_CPUS_HIT) && usage->cpus_hit > 0)
        result->limits_hit |= CL_HIT_CPUS;
    if (seen->scratch_is_full)
        result->limits_hit |= CL_HIT_DISK;
}

/* Whether a signal, which the program can send to itself, is that of the kernel's limit of CPU
 * time: each process has it where no cgroup counts for all. */
static int is_spent(const struct cl_seen *seen, int signal)
{
    const struct cl_plan *plan = seen->plan;
    const uint64_t limit = plan->limits.cpu_time_ns;

    if (!cl_plan_has(plan, CL_FIELD_CPU_TIME) ||
        seen->report.main_cpu_ns + CLOCKS_MS * CL_NS_PER_MS < limit - limit / CLOCKS_SHARE)
        return 0;
    return signal == SIGXCPU ||
           (signal == SIGKILL && (seen->is_joined || cl_plan_without(plan, CL_LAYER_LIMITS)));
}

/* What ended it, if we did; else what the kernel's limits say of a killed main. */
static void judge_end(const struct cl_seen *seen, struct cl_result *result)
{
    int killed = result->status == CL_STATUS_SIGNALED && result->signal == SIGKILL;
    int unreported = result->status == CL_STATUS_ERROR;

    switch (seen->end) {
    case CL_END_TIME:
        result->status = CL_STATUS_TIMEOUT;
        result->limits_hit |= CL_HIT_TIME;
        return;
    case CL_END_CPU_TIME:
        result->status = CL_STATUS_CPU_TIME;
        result->limits_hit |= CL_HIT_CPU_TIME;
        return;
    case CL_END_OUTPUT:
        result->status = CL_STATUS_OUTPUT_LIMIT;
        result->limits_hit |= CL_HIT_OUTPUT;
        return;
    case CL_END_KILLED:
        result->status = CL_STATUS_KILLED;
        return;
    case CL_END_NONE:
        break;
    }
    if ((killed || unreported) && (result->limits_hit & CL_HIT_MEMORY) != 0) {
        result->status = CL_STATUS_OOM;
    } else if (result->status == CL_STATUS_SIGNALED && is_spent(seen, result->signal)) {
        result->status = CL_STATUS_CPU_TIME;
        result->limits_hit |= CL_HIT_CPU_TIME;
    }
}

/* Why there is no end of the command's own. */
static int judge_error(const struct cl_seen *seen, struct cl_error *err)
{
    const struct cl_report *report = &seen->report;

    if (report->stage == CL_REPORT_FAILED || report->stage == CL_REPORT_NO_EXEC) {
        *err = report->error;
        (void)cl_error_check(err);
    }
    if (report->stage == CL_REPORT_NO_EXEC)
        return report->exec_errno;
    if (report->stage == CL_REPORT_FAILED)
        (void)cl_filter_explain(seen->is_filtered, err);
    else
        (void)cl_refuse(err, EIO, "the sandbox's init was ended from outside (wait status %d)",
                        seen->init_status);
    return 0;
}

int cl_outcome_judge(const struct cl_seen *seen, struct cl_result *result, struct cl_error *err)
{
    result->layers = seen->report.layers;
    result->status = CL_STATUS_ERROR;
    judge_limits(seen, result);
    if (seen->report.stage == CL_REPORT_ENDED)
        judge_main(seen, result);
    judge_times(seen, result);
    judge_end(seen, result);
    return result->status == CL_STATUS_ERROR ? judge_error(seen, err) : 0;
}
