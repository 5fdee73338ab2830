/* deadlines.h - who is to be woken when: a heap of those whose moment is known.
 *
 * An entry lies in what it is of; the heap borrows it. Nothing here allocates but init: the heap
 * has room for all that there may be.
 */
#ifndef CL_WORKER_DEADLINES_H
#define CL_WORKER_DEADLINES_H

#include "base/defs.h"

struct cl_deadline {
    uint64_t at_ns; /* CLOCK_MONOTONIC */
    size_t place;   /* in the heap, from 1; 0: not in it */
};

struct cl_deadlines {
    struct cl_deadline **heap; /* from 1 */
    size_t count, most;
};

/* 0 or -ENOMEM. */
int cl_deadlines_init(struct cl_deadlines *ret, size_t most);
void cl_deadlines_done(struct cl_deadlines *deadlines);

/* DEADLINE is not in it, and at_ns is set. */
void cl_deadlines_add(struct cl_deadlines *deadlines, struct cl_deadline *deadline);
/* Not to be in it is fine. */
void cl_deadlines_remove(struct cl_deadlines *deadlines, struct cl_deadline *deadline);
/* The earliest; NULL: there is none. */
struct cl_deadline *cl_deadlines_first(const struct cl_deadlines *deadlines);

#endif
