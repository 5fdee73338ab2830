/* sweep.h - removing what dead supervisors left: their cgroups, plan files and seats.
 *
 * Processes and mounts are not its business: the kernel has ended them with their
 * supervisor. Nor are loop devices: the one that a sandbox's scratch is on is configured
 * with LO_FLAGS_AUTOCLEAR, so that it goes with its last holder or mount, and its file
 * (O_TMPFILE) has no name that could be left. A uid range is held by a lock that goes with
 * its holder (ids.h).
 *
 * Never on a run's start path. A run sweeps when its sandbox runs (cl_sweep_seldom);
 * the commands that list or remove do it wholly when their own work is done (cl_sweep).
 * All removal is by directory descriptors and bounded.
 */
#ifndef CL_SANDBOX_SWEEP_H
#define CL_SANDBOX_SWEEP_H

#include "base/error.h"
#include "sandbox/state.h"

/* Sweeps every dead entry and tells ON_SWEPT (may be NULL) the id of each that is
 * gone; also cgroups that no record knows and what clients and listeners left that died. Waits for
 * what is dying, for supervisors that were killed and still end CL_SWEEP_DYING_MS in all. One that
 * can't be swept now stays for the next; the others go all the same, and the first failure is
 * returned with its message. Otherwise returns how many are gone. An entry that another sweeper
 * holds counts as neither. */
enum { CL_SWEEP_DYING_MS = 500 };
int cl_sweep(struct cl_state *state, void (*on_swept)(void *context, const char *id), void *context,
             struct cl_error *err);

/* What each run can afford: sweeps the dead that it finds, without waiting for anything
 * and for at most CL_SWEEP_MOST_MS. It looks at all seats that are taken when they are no
 * more than CL_SWEEP_LOOK or nobody looked at all for CL_SWEEP_PAUSE_MS, else at
 * CL_SWEEP_FEW of them, from a random one on (a look costs the more the more are held): with
 * hundreds of sandboxes alive it costs no more than with a few. 3 us when there is nothing. What it
 * can't sweep for another reason than a process that is still dying is left to cl_sweep, and costs
 * no later run anything. Returns how many are gone. */
enum {
    CL_SWEEP_LOOK = 16,
    CL_SWEEP_FEW = 4,
    CL_SWEEP_PAUSE_MS = 1000,
    CL_SWEEP_MOST_MS = 50,
};
int cl_sweep_seldom(struct cl_state *state, struct cl_error *err);

/* The same from beside the caller's sandbox OWN, by its hold on the table: another would
 * have the kernel go through all locks once more. */
int cl_sweep_beside(struct cl_state *state, const struct cl_entry *own, struct cl_error *err);

#endif
