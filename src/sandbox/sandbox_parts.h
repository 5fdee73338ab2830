/* sandbox_parts.h - one sandbox on its way from plan to result: sandbox.c's and start.c's own.
 */
#ifndef CL_SANDBOX_SANDBOX_PARTS_H
#define CL_SANDBOX_SANDBOX_PARTS_H

#include "base/steps.h"
#include "sandbox/kept.h"
#include "sandbox/log.h"
#include "sandbox/sandbox.h"
#include "sandbox/state.h"
#include "sandbox/supervisor.h"

struct cl_sandbox {
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
    int worker;    /* the tenant's, that it joins; -1: it has a place of its own */
    int is_joined; /* it has */
    int result_fd; /* where the record goes, borrowed; -1: nowhere */
    int ours[3];   /* our ends of the standard streams */
    int theirs[3]; /* the main process's */
    uint64_t created_boot_ns;
};

/* start.c: how one is made, each step with its undo; the context is a struct cl_sandbox. */
extern const struct cl_step cl_sandbox_steps[];
extern const size_t cl_sandbox_step_count;
/* What the steps may leave open that failed half way. */
void cl_sandbox_unwatch_parent(void *context);
void cl_sandbox_close_state(void *context);

/* What a standard stream of the command is carried to or from: -1 for the log, and for an input
 * that is held for who attaches. */
int cl_sandbox_stream_of(const struct cl_sandbox *sandbox, int fd);

#endif
