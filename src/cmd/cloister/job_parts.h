/* job_parts.h - what the files of `cloister job run` share: one job on its way.
 *
 * Theory of operation. The file is a record (plan/job.h) and that, with the options, a plan. From
 * that one sandbox is started, whose supervisor is a process of its own; each step is a command of
 * it as `exec` has them, one after the other. So the wall and the limits stand once around all of
 * them, and what a step leaves the next one finds. The supervisor keeps the job's time and watches
 * us (die_with_parent): however we end, the sandbox does, and nothing of it is kept (remove); its
 * record is read from a descriptor that is open by then.
 *
 * Whatever happens once the command line is understood is told in one result, job_result.c.
 */
#ifndef CL_CMD_CLOISTER_JOB_PARTS_H
#define CL_CMD_CLOISTER_JOB_PARTS_H

#include "base/json.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/run_plan.h"
#include "plan/job.h"
#include "sandbox/known.h"
#include "sandbox/relay.h"

/* How a job, or a step of it, ended. */
enum cl_job_status {
    CL_JOB_PASSED,
    CL_JOB_FAILED,
    CL_JOB_TIMEOUT,
    CL_JOB_CPU_TIME,
    CL_JOB_OOM,
    CL_JOB_OUTPUT_LIMIT,
    CL_JOB_KILLED,      /* by `kill`, or by what runs in the sandbox */
    CL_JOB_INTERRUPTED, /* by SIGINT or SIGTERM to us */
    CL_JOB_ERROR,       /* Cloister's own */
    CL_JOB_SKIPPED,     /* a step alone: never begun */
    CL_JOB_STATUS_COUNT
};

enum { CL_JOB_ERROR_SIZE = 256 };

struct cl_job_step_end {
    enum cl_job_status status;
    int exit_code;            /* -1: it didn't exit */
    int signal;               /* that ended it; 0: none */
    int exit_status;          /* as a shell has it */
    uint64_t started_wall_ns; /* 0: never */
    uint64_t ended_wall_ns;
    uint64_t time_ns;
    char error[CL_JOB_ERROR_SIZE]; /* "": none */
};

struct cl_job_artifact_end {
    uint64_t entries; /* files, directories and links */
    uint64_t bytes;
    char error[CL_JOB_ERROR_SIZE]; /* "": it is there */
};

struct cl_job_run {
    struct cl_run_request request; /* first: the setters of run's rows fill it */
    const char *artifacts;         /* --artifacts; once it was looked at absolute */
    int keep_going;

    const char *path; /* of the job's file */
    struct cl_job job;
    struct cl_plan plan; /* of the sandbox */
    struct cl_run_held held;
    int signals;   /* a signalfd; -1: not taken over yet */
    int interrupt; /* SIGINT or SIGTERM that came; 0: none */
    int record_fd; /* where --format json goes; -1: nowhere */
    int result_fd; /* of --result; -1: none */
    struct cl_state state;
    struct cl_known known; /* is_alive: it was started and its end isn't known yet */
    int has_ended;         /* `ended` is there: how the sandbox ended */
    struct cl_output_budget budget;

    struct cl_job_step_end *steps; /* of each */
    struct cl_job_artifact_end *artifact_ends;
    enum cl_job_status status;
    int exit_status;
    uint64_t started_wall_ns;
    uint64_t started_boot_ns;
    char error[CL_ERROR_MSG_SIZE]; /* "": none */
};

const char *cl_job_status_name(enum cl_job_status status);

/* The job's first failure stays; PASSED before. EXIT_STATUS is what to exit with, and FMT the line
 * about it. */
void cl_job_fail(struct cl_job_run *run, enum cl_job_status status, int exit_status,
                 const char *fmt, ...) CL_PRINTF(4, 5);

/* --- job_sandbox.c ----------------------------------------------------------------------- */

/* From the file and the options to run->plan. */
int cl_job_decide(struct cl_job_run *run, struct cl_error *err);
/* Starts the sandbox and finds it. 0, or as cl_detach_start. */
int cl_job_start(struct cl_job_run *run, char *const argv[], struct cl_error *err);
/* Whether SIGINT or SIGTERM has come; it is remembered. */
int cl_job_is_interrupted(struct cl_job_run *run);
/* Reads how the sandbox ended, which it has or is about to. */
int cl_job_learn_end(struct cl_job_run *run, struct cl_error *err);
/* Ends the sandbox where it hasn't ended by itself, and learns how. */
int cl_job_stop(struct cl_job_run *run, struct cl_error *err);
/* The status and line of a sandbox that has ended on its own. */
enum cl_job_status cl_job_end_status(const struct cl_job_run *run, char ret_why[CL_JOB_ERROR_SIZE]);
int cl_job_exit_status(enum cl_job_status status);

/* --- job_steps.c ------------------------------------------------------------------------- */

/* Runs the steps; how they ended is in RUN. */
void cl_job_run_steps(struct cl_job_run *run);

/* --- job_copy.c -------------------------------------------------------------------------- */

/* Makes the directory for artifacts, where there are some to come, and refuses one that has them:
 * a job doesn't run whose artifacts can't be kept, and none is taken for this job's that is an
 * earlier one's. */
int cl_job_check_artifacts(struct cl_job_run *run, struct cl_error *err);
/* What the job brings along, before its first step. */
int cl_job_copy_in(struct cl_job_run *run, struct cl_error *err);
/* Its artifacts, from the sandbox to the directory for them; how each went is in RUN. */
void cl_job_collect(struct cl_job_run *run);

/* --- job_say.c: standard error, but with --quiet ------------------------------------------ */

void cl_job_say_begin(const struct cl_job_run *run);
void cl_job_say_step(const struct cl_job_run *run, size_t index);
void cl_job_say_step_end(const struct cl_job_run *run, size_t index);
void cl_job_say_artifacts(const struct cl_job_run *run);

/* --- job_result.c ------------------------------------------------------------------------ */

/* Opens what --result names, and keeps standard output for the record alone with --format json. */
int cl_job_open_results(struct cl_job_run *run, struct cl_error *err);
/* Writes the record wherever it is wanted. */
int cl_job_write_results(struct cl_job_run *run, struct cl_error *err);

#endif
