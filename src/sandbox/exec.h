/* exec.h - one more command in a sandbox that runs: the client's side (walls/session.h).
 *
 * The client is the command line's process, with its caller's privilege. It carries the
 * standard streams as a supervisor does for `run`: none of its own descriptors enters. What
 * runs is the sandbox's: the client can ask for nothing that the sandbox's plan doesn't allow,
 * and its end is that of the command, unless that was detached.
 */
#ifndef CL_SANDBOX_EXEC_H
#define CL_SANDBOX_EXEC_H

#include "sandbox/state.h"

struct cl_exec_options {
    int detach; /* returns when the command runs */
};

/* Runs PLAN's command (cl_plan_decide_exec) in the sandbox FOUND. Its exit status, as for
 * `run`: the command's own, 128+n, 126 or 127 with why in ERR, 137 when the sandbox ended
 * before it, with that in ERR; or -errno. */
int cl_exec_run(const struct cl_found *found, const struct cl_plan *plan,
                const struct cl_exec_options *options, struct cl_error *err);

#endif
