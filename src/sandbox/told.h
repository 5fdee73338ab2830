/* told.h - what a running sandbox uses, from who runs it: one that is among others in its tenant's
 * worker has no cgroup that would say it.
 *
 * The supervisor is rung for (control.h), and has the client's FIFO answered by what stands in for
 * the sandbox's first process when the worker has: with a struct cl_wall_told, or not at all. Who
 * wants to know it of many asks all of them, and then waits for all of them together: one that is
 * stopped, or whose worker is, holds up nobody for longer than CL_TOLD_WAIT_MS in all.
 */
#ifndef CL_SANDBOX_TOLD_H
#define CL_SANDBOX_TOLD_H

#include "sandbox/control.h"
#include "walls/wall.h"

enum { CL_TOLD_WAIT_MS = 500 };

/* Whether a sandbox of PLAN may be such a one; where it isn't, who asks is told nothing. */
int cl_told_may_be(const struct cl_plan *plan);

/* Asks ENTRY's supervisor. Who can't be asked is like one that doesn't answer. */
void cl_told_ask(const struct cl_entry *entry, struct cl_control_asked *ret);
/* The answer, which is waited for until UNTIL_NS (boot clock) at most: 1, or 0 when there is none.
 * ASKED is done with either way. */
int cl_told_take(struct cl_control_asked *asked, uint64_t until_ns, struct cl_wall_told *ret);

#endif
