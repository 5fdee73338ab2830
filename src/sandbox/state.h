/* state.h - what is known of living sandboxes: one directory each, below the state
 * directory of the user who started them.
 *
 *   /run/cloister (root), $XDG_RUNTIME_DIR/cloister or /tmp/cloister-UID (others),
 *   mode 0700, owner checked:
 *     sandboxes/<id>/record    struct cl_status, then the plan's flat form
 *     sandboxes/<id>/control   the supervisor's socket (control.h)
 *     ids                      a byte per uid range, OFD-locked by its user (ids.h)
 *
 * The supervisor holds a write lock (F_OFD_SETLK) on its record for as long as it
 * lives: a record that can be locked belongs to a dead supervisor and is swept. The
 * lock goes when the last copy of the descriptor does, so a forked child that is to
 * outlive nobody must close its copy. F_OFD_GETLK asks without taking, so that a
 * listing never stands in a creator's way. Creators hold a shared flock on
 * sandboxes/ from mkdir until the record is locked, and sweepers an exclusive one
 * while they judge an entry: what is half made is never taken for dead. Nothing is
 * synced: locks don't survive a boot, and the record names the one it was made in.
 * All work is on directory descriptors; no path of another user is followed.
 */
#ifndef CL_SANDBOX_STATE_H
#define CL_SANDBOX_STATE_H

#include "base/error.h"
#include "plan/plan.h"

enum { CL_ID_SIZE = 17, CL_BOOT_ID_SIZE = 37 }; /* 16 hex digits; a UUID; and NUL */

enum cl_phase { CL_PHASE_CREATING, CL_PHASE_RUNNING, CL_PHASE_ENDING, CL_PHASE_COUNT };

/* The record's head: rewritten in place by its supervisor with one pwrite. */
struct cl_status {
    uint32_t version;
    uint32_t phase;      /* enum cl_phase */
    int32_t supervisor;  /* pids as its own pid namespace has them; 0: not yet */
    int32_t init;
    int32_t main;
    uint32_t uid_base; /* root mode: first uid of the range, else 0 */
    uint64_t created_ns; /* CLOCK_REALTIME */
    uint64_t started_ns; /* 0: not yet */
    uint64_t layers;     /* CL_LAYER_BITs that were put up */
    char id[CL_ID_SIZE];
    char boot_id[CL_BOOT_ID_SIZE];
    char reserved[10];
};
_Static_assert(sizeof(struct cl_status) == 112, "the record's head is a file format");

struct cl_state {
    int dir;       /* the state directory */
    int sandboxes; /* its sandboxes/ */
};
#define CL_STATE_INIT ((struct cl_state){.dir = -1, .sandboxes = -1})
#define CL_CLEANUP_STATE CL_CLEANUP(cl_state_done)

/* One sandbox's directory, opened. RECORD is -1 where a creator died before it made
 * one. */
struct cl_entry {
    int dir;
    int record;
    char id[CL_ID_SIZE];
};
#define CL_ENTRY_INIT ((struct cl_entry){.dir = -1, .record = -1})
#define CL_CLEANUP_ENTRY CL_CLEANUP(cl_entry_done)

/* Opens the state directory, making it where it is missing. Refuses one that
 * belongs to somebody else or is open to others. */
int cl_state_open(struct cl_state *ret, struct cl_error *err);
void cl_state_done(struct cl_state *state);

/* A fresh random id. */
int cl_id_make(char ret[CL_ID_SIZE], struct cl_error *err);

/* Makes the directory of STATUS->id with its record (STATUS with boot id filled in,
 * and PLAN), locked by the calling process. The name, when the plan has one, must
 * not be that of a living sandbox: -EEXIST. */
int cl_state_create(struct cl_state *state, struct cl_status *status, const struct cl_plan *plan,
                    struct cl_entry *ret, struct cl_error *err);

/* Rewrites the record's head. */
int cl_entry_update(struct cl_entry *entry, const struct cl_status *status, struct cl_error *err);

/* Removes the directory and lets go of the lock. */
void cl_entry_remove(struct cl_state *state, struct cl_entry *entry);

/* Closes the descriptors only. */
void cl_entry_done(struct cl_entry *entry);

/* Whether ENTRY's supervisor lives, without taking its lock. */
int cl_entry_alive(const struct cl_entry *entry);

/* Takes the record's lock: 0, or -EAGAIN when another process holds it. */
int cl_entry_lock(struct cl_entry *entry);

/* Reads the record. The plan points into ARENA. -EBADMSG for what is none. */
int cl_entry_read(const struct cl_entry *entry, struct cl_arena *arena,
                  struct cl_status *ret_status, struct cl_plan *ret_plan, struct cl_error *err);

/* The gate between creators (LOCK_SH, or LOCK_EX to take a name) and sweepers
 * (LOCK_EX): waits for at most some seconds, then -EWOULDBLOCK. */
int cl_state_gate(struct cl_state *state, int operation);
void cl_state_ungate(struct cl_state *state);

/* Removes all entries of the directory DIR, at most COUNT and DEPTH deep, following
 * nothing. 0 or -errno of what could not be removed. */
int cl_state_empty(int dir, unsigned int count, int depth);

/* Calls VISIT for each sandbox directory; ALIVE says whether its supervisor lives. A
 * negative answer ends the walk and is returned. A record that is missing or none
 * (damaged, of another version) is visited with PLAN == NULL and a STATUS that has
 * the id alone. VISIT may take the entry's descriptors. */
struct cl_visit {
    struct cl_entry *entry;
    const struct cl_status *status;
    const struct cl_plan *plan;
    int alive;
};
int cl_state_walk(struct cl_state *state, int (*visit)(void *context, struct cl_visit *visit,
                                                       struct cl_error *err),
                  void *context, struct cl_error *err);

/* Finds the living sandbox with that id (or a unique prefix of at least 4 digits)
 * or name, and reads its record: -ESRCH with a message where there is none. */
int cl_state_find(struct cl_state *state, const char *id_or_name, struct cl_arena *arena,
                  struct cl_entry *ret_entry, struct cl_status *ret_status,
                  struct cl_plan *ret_plan, struct cl_error *err);

#endif
