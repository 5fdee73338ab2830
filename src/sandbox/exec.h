/* exec.h - one more command in a sandbox that runs: the client's side (walls/session.h).
 *
 * The client is the command line's process, with its caller's privilege. It carries the
 * standard streams as a supervisor does for `run`: none of its own descriptors enters. What
 * runs is the sandbox's: the client can ask for nothing that the sandbox's plan doesn't allow,
 * and its end is that of the command, unless that was detached.
 */
#ifndef CL_SANDBOX_EXEC_H
#define CL_SANDBOX_EXEC_H

#include "sandbox/relay.h"
#include "sandbox/state.h"

/* What ended it. */
enum cl_exec_reason {
    CL_EXEC_ENDED,       /* it did, or it could not be executed */
    CL_EXEC_TIMEOUT,     /* its own time */
    CL_EXEC_INTERRUPTED, /* the grace after SIGINT or SIGTERM to us */
    CL_EXEC_OUTPUT,      /* the budget for output */
    CL_EXEC_LOST,        /* the sandbox's end */
};

struct cl_exec_end {
    enum cl_exec_reason reason;
    int signal;    /* that ended the command; 0: none, or it was us */
    int interrupt; /* the first SIGINT or SIGTERM that came to us and was passed on; 0: none */
};

struct cl_exec_options {
    int detach;          /* returns when the command runs */
    uint64_t timeout_ns; /* the command is killed after it; 0: never */
    /* Whether the command is killed GRACE_NS after the first SIGINT or SIGTERM. */
    int ends_when_interrupted;
    uint64_t grace_ns;
    struct cl_output_budget *budget; /* what it may write; NULL: no end of it */
    struct cl_exec_end *end;         /* says what the exit status doesn't; may be NULL */
};

/* Runs PLAN's command (cl_plan_decide_exec) in the sandbox FOUND. Its exit status, as for
 * `run`: the command's own, 128+n, 126 or 127 with why in ERR, 137 when the sandbox ended
 * before it, with that in ERR, 124 after its timeout, 137 at its output's end; or -errno, -ESRCH
 * when the sandbox had ended already. */
int cl_exec_run(const struct cl_found *found, const struct cl_plan *plan,
                const struct cl_exec_options *options, struct cl_error *err);

#endif
