/* pause.h - a sandbox whose processes all stand still, until they go on.
 *
 * The supervisor's is the order of requests: it holds what the sandbox is, and writes that into the
 * record. Where the sandbox has a cgroup of v2 that is frozen (limits/freezer.h), init with it:
 * whoever is frozen there can be killed. v1's freezer is not used, whose processes can't be until
 * they are thawed, and the end would be nobody's to guarantee. So elsewhere init, which is the only
 * one that runs on, sends all of them SIGSTOP, and SIGCONT later.
 *
 * Processes that are not stopped yet may continue (SIGCONT) those that are. So the client looks
 * when the supervisor has answered (cl_pause_settle), as the host sees them, and asks again as long
 * as one runs; when it can't be had, all go on, and that is an error.
 */
#ifndef CL_SANDBOX_PAUSE_H
#define CL_SANDBOX_PAUSE_H

#include "sandbox/supervisor.h"

/* Supervisor: -EAGAIN before the main process has started, -ESRCH when it has ended, -EALREADY
 * when that is how it is. */
int cl_pause_set(struct cl_supervisor *supervisor, int is_paused, struct cl_error *err);
/* Supervisor: stops what runs though it is paused; -EALREADY when it isn't. */
int cl_pause_again(struct cl_supervisor *supervisor, struct cl_error *err);

/* Client: waits until nothing of ENTRY's runs, whose supervisor has been asked to pause it, and
 * asks again where that takes it. What can't be had is undone: -ETIMEDOUT. */
int cl_pause_settle(const struct cl_entry *entry, struct cl_error *err);

#endif
