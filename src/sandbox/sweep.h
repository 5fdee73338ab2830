/* sweep.h - removing what dead supervisors left: cgroups and state directories.
 *
 * Processes and mounts are not its business: the kernel has ended them with their
 * supervisor. Called by commands when their own work is done, never on a run's start
 * path. All removal is by directory descriptors and bounded.
 */
#ifndef CL_SANDBOX_SWEEP_H
#define CL_SANDBOX_SWEEP_H

#include "base/error.h"
#include "sandbox/state.h"

/* Sweeps every dead entry and tells ON_SWEPT (may be NULL) the id of each that is
 * gone. One that can't be swept now stays for the next; the others go all the same,
 * and the first failure is returned with its message. Otherwise returns how many are
 * gone. An entry that another sweeper holds counts as neither. */
int cl_sweep(struct cl_state *state, void (*on_swept)(void *context, const char *id),
             void *context, struct cl_error *err);

/* As cl_sweep, but does nothing when the directory holds no entry, or when one of these
 * looked less than CL_SWEEP_PAUSE_MS ago: what each run can afford at its end, also
 * with hundreds of sandboxes alive. */
enum { CL_SWEEP_PAUSE_MS = 1000 };
int cl_sweep_seldom(struct cl_state *state, struct cl_error *err);

#endif
