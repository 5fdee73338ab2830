/* events.h - what becomes of sandboxes, told to whoever listens.
 *
 * There is no daemon. A listener (listener.h) makes a FIFO in the directory `events` of the state
 * directory, and who has something to tell writes one record of at most PIPE_BUF bytes into each
 * that is there; with nobody listening that is one openat, which finds no directory. Nobody waits
 * for a listener: a FIFO that is full loses the event, and a byte more in the file <listener>.lost
 * says so. One without a reader is a killed listener's, and removed.
 *
 * All is on directory descriptors, of files that belong to the user whose state it is.
 */
#ifndef CL_SANDBOX_EVENTS_H
#define CL_SANDBOX_EVENTS_H

#include <limits.h>

#include "base/flat.h"
#include "plan/plan.h"
#include "sandbox/result.h"
#include "sandbox/state.h"

enum cl_event_kind {
    CL_EVENT_START,
    CL_EVENT_EXEC,
    CL_EVENT_PAUSE,
    CL_EVENT_UNPAUSE,
    CL_EVENT_KILL,
    CL_EVENT_STOP,
    CL_EVENT_OOM,
    CL_EVENT_END,
    CL_EVENT_REMOVE,
    CL_EVENT_COUNT
};

enum cl_event_field {
    CL_EVENT_FIELD_KIND,
    CL_EVENT_FIELD_TIME,
    CL_EVENT_FIELD_ID,
    CL_EVENT_FIELD_NAME,
    CL_EVENT_FIELD_TENANT,
    CL_EVENT_FIELD_IMAGE,
    CL_EVENT_FIELD_LABELS,
    CL_EVENT_FIELD_SIGNAL,
    CL_EVENT_FIELD_STATUS,
    CL_EVENT_FIELD_EXIT_CODE,
    CL_EVENT_FIELD_ERROR,
    CL_EVENT_FIELD_CUT,
    CL_EVENT_FIELD_COUNT
};
#define CL_EVENT_BIT(field) (1ULL << CL_EVENT_FIELD_##field)

/* Strings are borrowed. */
struct cl_event {
    uint64_t set;
    uint64_t kind;
    uint64_t time_wall_ns;
    const char *id;
    const char *name;
    const char *tenant;
    const char *image;
    struct cl_strlist labels;
    uint64_t signal;    /* of KILL; of END where one ended the main process */
    uint64_t status;    /* of END: enum cl_result_status */
    uint64_t exit_code; /* of END, where the main process exited */
    const char *error;  /* of END */
    uint64_t cut;       /* 1: there was no room for labels, tenant and image */
};

static inline int cl_event_has(const struct cl_event *event, enum cl_event_field field)
{
    return (event->set & 1ULL << field) != 0;
}

/* "start" */
const char *cl_event_name(enum cl_event_kind kind);

/* What happens to the sandbox ID of PLAN; NULL: nothing is known of that. When is said by who tells
 * it. */
struct cl_event cl_event_of(enum cl_event_kind kind, const char *id, const struct cl_plan *plan);
/* Of its end, as RESULT says. */
struct cl_event cl_event_of_end(const struct cl_result *result);

/* Tells EVENT, which is now, to those who listen at the state directory DIR: one openat when there
 * is nobody. What fails is lost for them. */
void cl_events_tell(int dir, const struct cl_event *event);
/* The same of what is known by its KIND. */
void cl_events_say(int dir, enum cl_event_kind kind, const char *id, const struct cl_plan *plan);
/* Of an end as RESULT says: that memory ran out on the way, the end, and that nothing is kept where
 * the plan says so. */
void cl_events_tell_end(int dir, const struct cl_result *result);
/* Whether anybody may listen there. */
int cl_events_are_heard(int dir);

/* The bytes of an event, at most CL_EVENT_SIZE_MAX: 0 or -errno. BUF is empty. */
enum { CL_EVENT_SIZE_MAX = PIPE_BUF };
int cl_event_write(const struct cl_event *event, struct cl_buf *buf, struct cl_error *err);
/* How many bytes the event at DATA, of which SIZE are there, has: 0 when it isn't whole yet,
 * or -EBADMSG. */
int cl_event_size(const char *data, size_t size);
int cl_event_read(const char *data, size_t size, struct cl_arena *arena, struct cl_event *ret,
                  struct cl_error *err);

/* For who tells and who listens: names in `events`. */
#define CL_EVENTS_DIR "events"
enum { CL_EVENTS_NAME_SIZE = CL_ID_SIZE + 8 };
/* "<listener>.lost" */
void cl_events_lost_name(const char *listener, char ret[CL_EVENTS_NAME_SIZE]);

#endif
