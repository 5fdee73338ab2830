/* publisher.h - events on their way to containerd, by its ttrpc socket.
 *
 * They arrive in their order: one is on its way at a time, and goes again when its connection ends
 * before the answer. So containerd may restart meanwhile; it may see one twice then. What it
 * refuses is given up after some tries. While it is away for long the oldest are given up: who
 * comes back asks for each task's state anyway.
 *
 * Process: single-threaded, as the loop.
 */
#ifndef CL_RPC_PUBLISHER_H
#define CL_RPC_PUBLISHER_H

#include "base/loop.h"
#include "rpc/message.h"

enum { CL_PUBLISHER_MOST = 2048 }; /* events that wait */

struct cl_publication; /* one of them */

struct cl_publisher {
    struct cl_loop *loop;
    const char *address; /* a socket's path; "": nobody listens */
    const char *space;   /* containerd's namespace */
    struct cl_source socket;
    struct cl_source timer; /* the next try */
    struct cl_publication *first, **end;
    size_t count;
    uint32_t stream;
    int is_under_way; /* the first, on that stream */
    struct cl_buf out;
    size_t sent;
    struct cl_buf in;
    unsigned int failures; /* in a row */
    /* When nothing waits any more. NULL: nobody has to know. */
    void (*on_idle)(void *context);
    void *context;
};

/* ADDRESS and SPACE are borrowed. */
int cl_publisher_init(struct cl_publisher *ret, struct cl_loop *loop, const char *address,
                      const char *space, struct cl_error *err);
void cl_publisher_done(struct cl_publisher *publisher);

/* RECORD of SHAPE is the event TYPE ("containerd.events.TaskExit") under TOPIC ("/tasks/exit").
 * -ENOMEM. */
int cl_publish(struct cl_publisher *publisher, const char *topic, const char *type,
               const struct cl_wire_shape *shape, const void *record);
static inline int cl_publisher_is_idle(const struct cl_publisher *publisher)
{
    return publisher->count == 0;
}

#endif
