/* outcome.h - what has become of a sandbox, from what was seen of it. */
#ifndef CL_SANDBOX_OUTCOME_H
#define CL_SANDBOX_OUTCOME_H

#include "sandbox/result.h"
#include "sandbox/supervisor.h"
#include "walls/wall.h"

/* All that tells. Nothing here is asked of the host again. */
struct cl_seen {
    const struct cl_plan *plan;
    struct cl_report report; /* as the first process left it, read once: foreign bytes */
    enum cl_end end;         /* what we ended it for */
    int init_status;         /* wait status of the first process */
    struct cl_usage usage;
    int scratch_is_full;
    int is_filtered; /* somebody's seccomp filter is on the supervisor itself */
    int is_joined;   /* it is one of many in a worker, whose account of it the report has */
    uint64_t created_boot_ns;
    uint64_t now_boot_ns; /* when it was over */
};

/* Fills RESULT's status, exit code, signal, limits hit, usage, layers and times, except
 * created_wall_ns, which is there. With CL_STATUS_ERROR, ERR says why. Returns the errno for
 * which the command could not be executed, or 0. */
int cl_outcome_judge(const struct cl_seen *seen, struct cl_result *result, struct cl_error *err);

#endif
