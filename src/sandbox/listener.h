/* listener.h - one who listens to events (events.h).
 *
 *   events/<listener>       its FIFO; made as new-<listener>, and renamed when it can be read
 *   events/<listener>.lost  a byte for each event that found it full
 *
 * The FIFO is open for writing too, so that it has no end.
 */
#ifndef CL_SANDBOX_LISTENER_H
#define CL_SANDBOX_LISTENER_H

#include "sandbox/events.h"

struct cl_listener {
    int dir;    /* the state directory; borrowed */
    int events; /* the directory */
    int fifo;
    uint64_t lost; /* so far */
    size_t start;  /* of what has been read and not given out */
    size_t end;
    char name[CL_ID_SIZE];
    char bytes[1 << 16];
};
#define CL_CLEANUP_LISTENER CL_CLEANUP(cl_listener_done)

int cl_listener_open(const struct cl_state *state, struct cl_listener *ret, struct cl_error *err);

/* The next event, which points into ARENA and LISTENER, until the next call: 1; 0 when there is
 * none yet. */
int cl_listener_next(struct cl_listener *listener, struct cl_arena *arena, struct cl_event *ret,
                     struct cl_error *err);

/* How many events have been lost since this was last asked. */
uint64_t cl_listener_lost(struct cl_listener *listener);

/* Removes what killed listeners left, and the directory when nobody listens; for sweeps. */
void cl_listeners_sweep(const struct cl_state *state);

/* Removes what is LISTENER's, and the directory with the last of them. */
void cl_listener_done(struct cl_listener *listener);

#endif
