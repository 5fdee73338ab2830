/* turns.h - many guests on one thread: who may run, who waits for what, and when a turn is over.
 *
 * A guest runs until it waits, ends, or has had the processor from one tick to the next. Whoever
 * waits is parked: its descriptors are the event loop's, its moment is a deadline. In between,
 * events are looked at each tick, so that a guest that never waits keeps nobody from being ended.
 *
 * Limits of time are looked at when a turn is over, which is one tick after they were reached at
 * most, or by the deadline of whoever doesn't run.
 *
 * Ownership: a taker lies in what it is of, and is borrowed from enter to leave, or to on_end.
 */
#ifndef CL_WORKER_TURNS_H
#define CL_WORKER_TURNS_H

#include <sys/queue.h>

#include "base/loop.h"
#include "engine/engine.h"
#include "worker/deadlines.h"
#include "worker/orders.h"

struct cl_taker {
    struct cl_guest *guest;
    struct cl_wasi *wasi;
    uint64_t cpu_limit_ns; /* UINT64_MAX: none */
    uint64_t until_ns;     /* CLOCK_MONOTONIC; UINT64_MAX: for ever */
    uint64_t cpu_ns;       /* that it has used */

    /* turns.c's */
    struct cl_turns *turns;
    enum { CL_TAKER_OUT, CL_TAKER_READY, CL_TAKER_PARKED, CL_TAKER_HELD } state;
    int is_paused;
    TAILQ_ENTRY(cl_taker) link; /* READY */
    struct cl_deadline deadline;
    struct cl_source one; /* PARKED: what it waits for, */
    struct cl_source *sources;
    size_t source_count; /* these, which are `one` or on the heap */
};

/* How a taker ended. STATUS 0: it could not begin, and ERR says why. END is of EXITED and TRAPPED,
 * its backtrace the callee's. */
struct cl_taker_end {
    enum cl_answer_status status;
    struct cl_guest_end *end;
    const struct cl_error *err;
};

struct cl_turns {
    struct cl_loop loop; /* for the sources of others, too */
    struct cl_deadlines deadlines;
    TAILQ_HEAD(cl_takers, cl_taker) ready;
    size_t ready_count;
    int is_ticking;
    uint64_t ran_ns; /* when somebody ran last */
    int is_stopped;
    /* It is out, and may be freed with its guest. */
    void (*on_end)(struct cl_taker *taker, const struct cl_taker_end *end);
    /* When nobody is ready: does some small work, if there is any; whether there is more. */
    int (*on_idle)(void *context);
    void *context;
};

/* For MOST takers. The callbacks are the caller's to set. */
int cl_turns_init(struct cl_turns *ret, struct cl_engine *engine, size_t most,
                  struct cl_error *err);
void cl_turns_done(struct cl_turns *turns);

/* TAKER, whose members before turns.c's are set and whose others are 0, is ready. */
void cl_turns_enter(struct cl_turns *turns, struct cl_taker *taker);
/* Takes it out, wherever it is; not from its own turn. */
void cl_turns_leave(struct cl_taker *taker);
void cl_turns_pause(struct cl_taker *taker, int is_paused);

/* Whether so many are ready that whoever brings more should be slow. */
int cl_turns_are_busy(const struct cl_turns *turns);

/* Until is_stopped, or a callback's error. */
int cl_turns_run(struct cl_turns *turns, struct cl_error *err);

#endif
