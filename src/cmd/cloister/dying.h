/* dying.h - supervisors that were killed and haven't let go of their sandboxes yet. */
#ifndef CL_CMD_CLOISTER_DYING_H
#define CL_CMD_CLOISTER_DYING_H

#include "sandbox/state.h"

/* Waits until each supervisor that is being killed is gone, for MOST_NS together at
 * most. Those that live are left alone. */
int cl_dying_wait(struct cl_state *state, uint64_t most_ns, struct cl_error *err);

/* Whether /proc/PID/stat tells of a process that runs no more of its program: SIGKILL is
 * pending, or it exits. Source: proc(5), <linux/sched.h>. */
int cl_dying_is(const char *stat);

#endif
