/* call.h - to ask a running sandbox's first process for something: one more command, or a copy
 * of files. The client's side of walls/session.h up to where it begins. */
#ifndef CL_SANDBOX_CALL_H
#define CL_SANDBOX_CALL_H

#include "sandbox/state.h"
#include "walls/session.h"

struct cl_call {
    const struct cl_found *found;
    const struct cl_plan *plan; /* of it command, env, workdir, uid and gid go over */
    uint32_t flags;             /* enum cl_exec_flag but the streams' */
    uint16_t rows;              /* of a pty */
    uint16_t columns;
    int streams[3];     /* the other side's ends, borrowed; -1: none */
    const char *client; /* by what name it rings, as cl_control_connect has it; or NULL */
};

/* Asks, and waits for the supervisor to have passed it on: our end of the session. */
int cl_call_make(const struct cl_call *call, struct cl_error *err);

#endif
