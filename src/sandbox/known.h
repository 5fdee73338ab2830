/* known.h - all sandboxes of this user that anything is known of: those that run (state.h) and
 * those that have ended and are kept (kept.h).
 */
#ifndef CL_SANDBOX_KNOWN_H
#define CL_SANDBOX_KNOWN_H

#include "sandbox/kept.h"
#include "sandbox/state.h"

/* As cl_state_walk, and then those that are kept and no supervisor's any more; their VISIT has
 * `ended`, and no table to its entry. */
int cl_known_walk(struct cl_state *state,
                  int (*visit)(void *context, struct cl_visit *visit, struct cl_error *err),
                  void *context, struct cl_error *err);

struct cl_known {
    struct cl_found found; /* of one that has ended, and doesn't rest, the entry has an id alone */
    int is_alive;
    int is_resting;        /* it has ended, and its supervisor keeps its files (run --keep) */
    struct cl_kept kept;   /* its dir -1: nothing is kept of it */
    struct cl_ended ended; /* where it isn't alive */
};
#define CL_KNOWN_INIT ((struct cl_known){.found = CL_FOUND_INIT, .kept = CL_KEPT_INIT})
#define CL_CLEANUP_KNOWN CL_CLEANUP(cl_known_done)

void cl_known_done(struct cl_known *known);

/* The one with that id (or a unique prefix of at least 4 digits) or name. What it says is
 * ARENA's. -ESRCH with a message where there is none. */
int cl_known_find(struct cl_state *state, const char *id_or_name, struct cl_arena *arena,
                  struct cl_known *ret, struct cl_error *err);

/* A pidfd of the supervisor of KNOWN, which was alive when it was found; -ESRCH when it has ended,
 * or another -errno. */
int cl_known_open_supervisor(const struct cl_known *known);
/* Waits until KNOWN, which was alive when it was found, has ended, or rests. TIMEOUT_MS as poll's.
 * 1, or 0 when time is over, or -errno. */
int cl_known_wait(const struct cl_known *known, int timeout_ms, struct cl_error *err);
/* Ends KNOWN, which was resting when it was found: its files go. */
int cl_known_release(const struct cl_known *known, struct cl_error *err);

#endif
