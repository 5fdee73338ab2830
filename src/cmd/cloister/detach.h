/* detach.h - a run that doesn't stay: its sandbox gets a supervisor of its own. */
#ifndef CL_CMD_CLOISTER_DETACH_H
#define CL_CMD_CLOISTER_DETACH_H

#include "sandbox/sandbox.h"
#include "sandbox/state.h"

/* Starts PLAN's sandbox under a process in a session of its own, which holds nothing of the
 * caller's but KEEP (a descriptor, or -1) and what OPTIONS name. RET_ID says its id when its
 * command runs. 0, or as cl_sandbox_run of a sandbox that could not be started. */
int cl_detach_start(const struct cl_plan *plan, const struct cl_run_options *options, int keep,
                    char ret_id[CL_ID_SIZE], struct cl_error *err);
/* The same, and prints the id. */
int cl_detach(const struct cl_plan *plan, const struct cl_run_options *options, int keep,
              struct cl_error *err);

#endif
