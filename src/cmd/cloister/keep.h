/* keep.h - run --keep in the foreground: the supervisor is a process of its own, which stays. */
#ifndef CL_CMD_CLOISTER_KEEP_H
#define CL_CMD_CLOISTER_KEEP_H

#include "sandbox/sandbox.h"

/* As cl_sandbox_run, but returns when the sandbox has come to rest, too. LOCK is a descriptor that
 * the supervisor holds, or -1. */
int cl_keep(const struct cl_plan *plan, const struct cl_run_options *options, int lock,
            struct cl_error *err);

#endif
