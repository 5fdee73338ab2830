/* kept.h - what is kept of a detached sandbox on the disk, while it runs and after it has ended,
 * until somebody removes it.
 *
 *   /var/lib/cloister/sandboxes (root), $XDG_STATE_HOME/cloister/sandboxes or
 *   ~/.local/state/cloister/sandboxes (others), mode 0700, owner checked:
 *     <id>/record    struct cl_status, then the plan's flat form (state.h); when it has ended,
 *                    then how (ended.h)
 *     <id>/log, ...  what it wrote (log.h)
 *     name-<name>    a link to <id>: whose name it is
 *
 * Its supervisor holds a lock (F_OFD) on the record as long as he lives. A record that nobody
 * holds and without an end is that of a supervisor who was killed, or of before a boot. All work
 * is on directory descriptors. What a start makes here comes after its seat (state.h), by which a
 * name is taken.
 */
#ifndef CL_SANDBOX_KEPT_H
#define CL_SANDBOX_KEPT_H

#include "sandbox/ended.h"
#include "sandbox/state.h"

struct cl_kept {
    int base;   /* the directory of all; owned */
    int dir;    /* its own; owned; -1: nothing is kept */
    int record; /* its record, locked in the supervisor; -errno when it can't be opened: -ENOENT
                   while it is being made */
    char id[CL_ID_SIZE];
};
#define CL_KEPT_INIT ((struct cl_kept){.base = -1, .dir = -1, .record = -1})
#define CL_CLEANUP_KEPT CL_CLEANUP(cl_kept_done)

/* The supervisor's: makes the directory of STATUS->id with its record, and its name. */
int cl_kept_create(const struct cl_status *status, const struct cl_plan *plan, struct cl_kept *ret,
                   struct cl_error *err);
/* Rewrites the record's head. */
int cl_kept_update(const struct cl_kept *kept, const struct cl_status *status,
                   struct cl_error *err);
/* Says how it ended. Who has the record open can read it, also when it is removed after that. */
int cl_kept_end(const struct cl_kept *kept, const struct cl_ended *ended, struct cl_error *err);
/* Removes all of it. 0 or -errno. */
int cl_kept_remove(const struct cl_kept *kept);
/* Lets go of it, and of the lock. */
void cl_kept_done(struct cl_kept *kept);

/* Opens that of ID for reading; -ENOENT, without a message, where nothing is kept of it. */
int cl_kept_open(const char *id, struct cl_kept *ret, struct cl_error *err);

/* The error of one whose end nobody wrote down. */
#define CL_KEPT_LOST "its supervisor was killed"

/* What a record says. What was read points into the arena. */
struct cl_kept_record {
    struct cl_status status;
    struct cl_plan plan;
    int is_alive;  /* its supervisor is */
    int has_ended; /* `ended` is there */
    int is_lost;   /* nobody wrote it down: its supervisor was killed */
    struct cl_ended ended;
};

/* Room for what cl_kept_read takes of an arena: the bytes, and the lists of pointers into them. */
#define CL_KEPT_ROOM (4UL * CL_RECORD_MAX)

/* -EBADMSG for what is none. Who was killed with his sandbox has ended with the status
 * "error". */
int cl_kept_read(const struct cl_kept *kept, struct cl_arena *arena, struct cl_kept_record *ret,
                 struct cl_error *err);

/* Waits until its supervisor has let go of it. 0 or -errno. */
int cl_kept_wait(const struct cl_kept *kept);

/* Calls VISIT with each of which something is kept, in no order. A negative answer ends the
 * walk and is returned. 0 where nothing ever was. */
int cl_kept_walk(int (*visit)(void *context, const struct cl_kept *kept, struct cl_error *err),
                 void *context, struct cl_error *err);

/* Calls VISIT with each id of which something is kept, as above, and opens nothing. */
int cl_kept_ids(int (*visit)(void *context, const char *id, struct cl_error *err), void *context,
                struct cl_error *err);

/* The id of the one kept that has NAME: 1, 0 where there is none, or -errno. */
int cl_kept_named(const char *name, char ret[CL_ID_SIZE], struct cl_error *err);

/* Writes down the end of those whose supervisors were killed, or removes them where their plan
 * says so, and what a killed start left. */
int cl_kept_sweep(struct cl_error *err);

#endif
