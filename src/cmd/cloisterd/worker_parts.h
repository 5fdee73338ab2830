/* worker_parts.h - what a worker's parts know of each other: the line to it (workers.c), how it
 * comes and goes (bring.c). */
#ifndef CL_CMD_DAEMON_WORKER_PARTS_H
#define CL_CMD_DAEMON_WORKER_PARTS_H

#include "cmd/cloisterd/daemon.h"

/* The source's callback of the line. */
int cl_worker_on_line(struct cl_source *source, uint32_t events, struct cl_error *err);
/* What tasks have to tell it goes, as far as it takes it. */
void cl_worker_pump(struct cl_worker *worker);
/* There is no line any more. */
void cl_worker_hang_up(struct cl_worker *worker);

/* Brings it, unless it is there or comes already. */
void cl_worker_need(struct cl_worker *worker);
/* What there is of it goes; who needs it meanwhile waits for that. */
int cl_worker_begin_removal(struct cl_worker *worker, struct cl_error *err);

#endif
