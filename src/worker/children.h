/* children.h - guests in processes of their own, forked from the worker, which runs none itself.
 *
 * A fork of a small process is warm: engine and code are there. Each has its own address space and
 * number, and the cgroups of whoever had it made. The kernel runs them; here is who waits for their
 * ends, and ends them when their time is over.
 *
 * Ownership: a child is on the heap from cl_child_new until on_end, or cl_child_leave, after which
 * it is nobody's and goes when its process has.
 */
#ifndef CL_WORKER_CHILDREN_H
#define CL_WORKER_CHILDREN_H

#include <sys/queue.h>

#include "base/loop.h"
#include "worker/deadlines.h"
#include "worker/newborn.h"
#include "worker/orders.h"

struct cl_child {
    uint64_t cpu_limit_ns; /* UINT64_MAX: none */
    uint64_t until_ns;     /* CLOCK_MONOTONIC; UINT64_MAX: for ever */
    void *owner;           /* NULL: has left */

    /* children.c's */
    struct cl_children *children;
    LIST_ENTRY(cl_child) link;
    struct cl_source source; /* its pidfd, owned */
    struct cl_deadline deadline;
    pid_t pid;
    uint32_t seat; /* of the children's */
    int words;
    enum cl_answer_status ended_for; /* why it was killed; 0: it wasn't */
    int is_paused;
};

struct cl_children {
    struct cl_loop loop; /* for the sources of others, too */
    struct cl_deadlines deadlines;
    LIST_HEAD(, cl_child) all;
    size_t count, most; /* those that have left count until they are gone */
    uint32_t *seats;    /* numbers below MOST: from COUNT on those that are free */
    int is_stopped;
    /* OWNER's child is gone: ANSWER has its kind, how it ended, and what it used. */
    void (*on_end)(void *owner, struct cl_answer *answer);
    /* As in turns.h. */
    int (*on_idle)(void *context);
    void *context;
};

int cl_children_init(struct cl_children *ret, size_t most, struct cl_error *err);
/* Ends all that there are, and waits until they are gone. */
void cl_children_done(struct cl_children *children);
/* Until is_stopped, or a callback's error. */
int cl_children_run(struct cl_children *children, struct cl_error *err);

/* Forks one that runs NEWBORN's guest, whose members words and parent are set here, and user, of
 * which it is the first: no two at a time have the same. Descriptors
 * stay the caller's. -EBUSY: there are as many as there may be. The owner and the limits are the
 * caller's to set then, before cl_child_watch. */
int cl_child_new(struct cl_children *children, struct cl_newborn *newborn,
                 struct cl_child **ret_child, struct cl_error *err);
void cl_child_watch(struct cl_child *child);

void cl_child_pause(struct cl_child *child, int is_paused);
/* Ends it; on_end says STATUS, if it hasn't ended by itself. */
void cl_child_kill(struct cl_child *child, enum cl_answer_status status);
/* Ends it without a word. */
void cl_child_leave(struct cl_child *child);
/* Processor time so far; 0: unknown. */
uint64_t cl_child_cpu_ns(const struct cl_child *child);

#endif
