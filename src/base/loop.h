/* loop.h - one small event loop: epoll over descriptors, each with a callback.
 *
 * Single-threaded. Pidfds, signalfds, timerfds, pipes and sockets are all just
 * descriptors. The loop borrows the sources: a struct cl_source is the caller's and
 * must outlive its registration. A callback may remove any source, its own too.
 */
#ifndef CL_BASE_LOOP_H
#define CL_BASE_LOOP_H

#include "base/error.h"

struct cl_source {
    int fd; /* borrowed */
    uint32_t events;
    /* >= 0 goes on, < 0 ends the loop with that error. EVENTS are epoll's. */
    int (*on_event)(struct cl_source *source, uint32_t events, struct cl_error *err);
    void *context;
    int added; /* kept by the loop */
};

struct cl_loop {
    int epfd;
    int stopped;
};

int cl_loop_init(struct cl_loop *ret, struct cl_error *err);
void cl_loop_done(struct cl_loop *loop);

int cl_loop_add(struct cl_loop *loop, struct cl_source *source, struct cl_error *err);
void cl_loop_remove(struct cl_loop *loop, struct cl_source *source);
/* SOURCE, which is in it, gets other events; where that fails it has those that it had. */
int cl_loop_change(struct cl_loop *loop, struct cl_source *source, uint32_t events,
                   struct cl_error *err);

/* Dispatches until cl_loop_stop or a callback's error. */
int cl_loop_run(struct cl_loop *loop, struct cl_error *err);
void cl_loop_stop(struct cl_loop *loop);

/* For whoever has more to do than to wait: dispatches one event, if there is one within TIMEOUT_NS
 * (UINT64_MAX: for ever). 1, 0 when there was none or a signal came first, or a callback's error.
 */
int cl_loop_dispatch(struct cl_loop *loop, uint64_t timeout_ns, struct cl_error *err);

#endif
