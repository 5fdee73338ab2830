/* state.h - what is known of living sandboxes, in the state directory of the user who
 * started them.
 *
 *   /run/cloister (root), $XDG_RUNTIME_DIR/cloister or /tmp/cloister-UID (others),
 *   mode 0700, owner checked:
 *     table         a seat for each sandbox (table.h) with its record: struct cl_status,
 *                   then the plan's flat form
 *     plans/<id>    the flat form of a plan that is too large for a seat
 *     bells/<seat>  the FIFO by which the one in that seat is called (control.h)
 *     workers/      sockets of those who serve a tenant (clients.h); and in which seats they are:
 *     served/
 *     events/       where listeners are (events.h); only while there are any
 *     ids.<n>       a byte per uid range, OFD-locked by its user (ids.h)
 *
 * A sandbox is alive as long as its supervisor holds the lock of its seat; that goes with
 * the supervisor, whatever ends him. A lock doesn't survive a boot either, so a table on
 * a disk holds only dead ones after it, and needs neither a boot's name nor to be synced.
 * F_OFD_GETLK asks without taking: a listing never stands in a creator's way. What can be
 * found in a record comes before it can exist: the record is made before the sandbox's
 * cgroups and plan file, and goes after them, so a dead one's leavings all have a seat.
 * Creators that want a name hold a flock on the table from looking for it until they have
 * it; others wait for nobody.
 *
 * Nothing is made or removed for a usual start: the table, the bells and the file of ids
 * stay. All work is on directory descriptors; no path of another user is followed.
 */
#ifndef CL_SANDBOX_STATE_H
#define CL_SANDBOX_STATE_H

#include "base/error.h"
#include "plan/format.h"
#include "plan/plan.h"

enum { CL_ID_SIZE = 17 }; /* 16 hex digits and NUL */

enum cl_phase {
    CL_PHASE_CREATING,
    CL_PHASE_RUNNING,
    CL_PHASE_PAUSED,
    CL_PHASE_RESTING, /* it has ended, and stands on for its files (run --keep) */
    CL_PHASE_COUNT,
};

/* The record's head: rewritten in place by its supervisor with one pwrite. */
struct cl_status {
    uint32_t version;   /* of the record; set by cl_state_create, as plan_size is */
    uint32_t plan_size; /* in bytes, wherever it is */
    uint32_t phase;     /* enum cl_phase */
    int32_t supervisor; /* pids as its own pid namespace has them; 0: not yet */
    int32_t init;
    int32_t main;
    uint32_t uid_base;   /* root mode: first uid of the range, else 0 */
    uint32_t has_limits; /* its plan asks for cgroups */
    uint64_t created_ns; /* CLOCK_REALTIME */
    uint64_t started_ns; /* 0: not yet */
    uint64_t layers;     /* CL_LAYER_BITs that were put up */
    char id[CL_ID_SIZE];
    char reserved[7];
};
_Static_assert(sizeof(struct cl_status) == 80, "the record's head is a file format");

struct cl_ended;
struct cl_wall_told;

struct cl_state {
    int dir; /* the state directory */
};
#define CL_STATE_INIT ((struct cl_state){.dir = -1})
#define CL_CLEANUP_STATE CL_CLEANUP(cl_state_done)

/* One sandbox's seat. DIR is its state's, borrowed; -1 for no entry. */
struct cl_entry {
    int dir;
    int table; /* owned; that of the creator has the seat's lock */
    int seat;
    char id[CL_ID_SIZE];
};
#define CL_ENTRY_INIT ((struct cl_entry){.dir = -1, .table = -1, .seat = -1})
#define CL_CLEANUP_ENTRY CL_CLEANUP(cl_entry_done)

/* Opens the state directory, making it where it is missing. Refuses one that
 * belongs to somebody else or is open to others. */
int cl_state_open(struct cl_state *ret, struct cl_error *err);
/* Adds what to do where the directory can't be written to; R is the -errno that was told
 * in ERR, and returned. */
int cl_state_hint(int r, struct cl_error *err);
void cl_state_done(struct cl_state *state);
/* Opens PATH below DIRFD, a directory of our own, which is made where it is missing: a
 * descriptor or -errno without a message. FLAGS are open(2)'s. */
int cl_state_open_dir(int dirfd, const char *path, int flags);

/* A fresh random id. */
int cl_id_make(char ret[CL_ID_SIZE], struct cl_error *err);
int cl_id_is(const char *text);
/* Whether WORD is the start of ID, of 4 digits at least. */
int cl_id_begins(const char *id, const char *word);
/* Whether IDS, CL_ID_SIZE bytes each, has ID. */
int cl_ids_have(const struct cl_buf *ids, const char *id);

/* Takes a seat for STATUS->id, with its record (STATUS completed, and PLAN), held by this
 * process as long as ENTRY is open. The name, when the plan has one, must not be that of a
 * living sandbox: -EEXIST. RET must not outlive STATE. */
int cl_state_create(struct cl_state *state, struct cl_status *status, const struct cl_plan *plan,
                    struct cl_entry *ret, struct cl_error *err);

/* Rewrites the record's head. */
int cl_entry_update(struct cl_entry *entry, const struct cl_status *status, struct cl_error *err);

/* Frees the seat and lets go of it. For who holds its lock only. */
void cl_entry_remove(struct cl_state *state, struct cl_entry *entry);

/* Lets go of the seat, which stays taken: for the next sweep. */
void cl_entry_done(struct cl_entry *entry);

/* Reads the record. The plan points into ARENA. -EBADMSG for what is none, -ESRCH when
 * another sandbox has the seat by now. An ENTRY without an id takes the record's. */
int cl_entry_read(struct cl_entry *entry, struct cl_arena *arena, struct cl_status *ret_status,
                  struct cl_plan *ret_plan, struct cl_error *err);

/* The record's head alone, checked: 0, or -EBADMSG or another -errno without a message. */
int cl_status_read(int table, int seat, struct cl_status *ret);

/* A record as it stands in a seat, or in the directory of one that is kept: STATUS, completed by
 * the plan's size, and then PLAN. Appends to BUF, which is empty. */
enum { CL_RECORD_MAX = (int)sizeof(struct cl_status) + CL_PLAN_MAX_SIZE };
int cl_record_write(struct cl_status *status, const struct cl_plan *plan, struct cl_buf *buf,
                    struct cl_error *err);
/* Whether STATUS, read from a record, is one of this version. */
int cl_status_is_whole(const struct cl_status *status);

/* Removes the plan file, where STATUS says that there is one. */
void cl_plan_file_remove(int dir, const struct cl_status *status);

/* Calls VISIT for each seat that is taken; ALIVE says whether its supervisor lives. A
 * negative answer ends the walk and is returned. A record that is damaged or of another
 * version is visited with PLAN == NULL and a STATUS that has the id "seat-N" alone. All
 * is lent for the call only. */
struct cl_visit {
    struct cl_entry *entry;
    const struct cl_status *status;
    const struct cl_plan *plan;
    int alive;
    const struct cl_ended *ended;    /* of one that is kept (known.h), else NULL */
    const struct cl_wall_told *told; /* what it uses, for who has asked (told.h), else NULL */
};
int cl_state_walk(struct cl_state *state,
                  int (*visit)(void *context, struct cl_visit *visit, struct cl_error *err),
                  void *context, struct cl_error *err);
/* Whether it is alive, and has not come to rest. */
static inline int cl_visit_runs(const struct cl_visit *visit)
{
    return visit->alive && visit->status->phase != CL_PHASE_RESTING;
}

/* How well WANTED, an id, the start of one (of 4 digits at least) or a name, names a sandbox. */
enum cl_match { CL_MATCH_NONE, CL_MATCH_PREFIX, CL_MATCH_NAME, CL_MATCH_ID };
enum cl_match cl_visit_match(const struct cl_visit *visit, const char *wanted);

/* What is found: the seat, and its record. */
struct cl_found {
    struct cl_entry entry;
    struct cl_status status;
    struct cl_plan plan; /* points into the arena */
};
#define CL_FOUND_INIT ((struct cl_found){.entry = CL_ENTRY_INIT})
#define CL_CLEANUP_FOUND CL_CLEANUP(cl_found_done)

static inline void cl_found_done(struct cl_found *found)
{
    cl_entry_done(&found->entry);
}

/* Finds the living sandbox with that id (or a unique prefix of at least 4 digits)
 * or name, and reads its record: -ESRCH with a message where there is none. */
int cl_state_find(struct cl_state *state, const char *id_or_name, struct cl_arena *arena,
                  struct cl_found *ret, struct cl_error *err);

#endif
