/* requests.h - for the supervisor only: what clients ask it for at the bell (control.h), and what
 * of the supervisor that takes.
 */
#ifndef CL_SANDBOX_REQUESTS_H
#define CL_SANDBOX_REQUESTS_H

#include "sandbox/events.h"
#include "sandbox/supervisor.h"

/* SOURCE's event: serves one request at the bell of the supervisor that is its context. */
int cl_requests_serve(struct cl_source *source, uint32_t events, struct cl_error *err);

/* Writes into the record what has become known since the start. */
int cl_requests_refresh(struct cl_supervisor *supervisor, struct cl_error *err);

/* Tells who listens (events.h) that KIND happens to the sandbox. */
static inline void cl_supervisor_say(const struct cl_supervisor *supervisor,
                                     enum cl_event_kind kind)
{
    cl_events_say(supervisor->entry->dir, kind, supervisor->entry->id, supervisor->plan);
}

/* supervisor.c's: kills the sandbox, END being why if nothing was before. */
void cl_supervisor_kill(struct cl_supervisor *supervisor, enum cl_end end);
/* Sends the main process its stop signal. */
void cl_supervisor_send_stop(struct cl_supervisor *supervisor);
/* Lets go of what is held until all that was written is in the pipes; takes no more input. */
void cl_supervisor_release(struct cl_supervisor *supervisor);
/* Ends the loop when nothing of the output is left to be carried. */
void cl_supervisor_settle(struct cl_supervisor *supervisor);
/* Sets the timer of the time limit, or makes one. */
int cl_supervisor_arm(struct cl_supervisor *supervisor, uint64_t after_ns, struct cl_error *err);

#endif
