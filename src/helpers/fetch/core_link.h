/* core_link.h - the socket to the core: requests with their descriptors in, reports out.
 *
 * Context: one thread; nothing here waits.
 */
#ifndef CL_HELPERS_FETCH_CORE_LINK_H
#define CL_HELPERS_FETCH_CORE_LINK_H

#include "base/buf.h"
#include "base/error.h"
#include "oci/fetch.h"

struct cl_core_link {
    int fd; /* borrowed */
    struct cl_buf in;
    struct cl_buf out;
};

int cl_core_link_init(int fd, struct cl_core_link *ret, struct cl_error *err);
void cl_core_link_done(struct cl_core_link *link);

/* 1: *RET is a message, good until the next call, and FDS what came with it, the caller's now
 * (-1: none). 0: there is none. -EPIPE: the core has gone. */
int cl_core_link_receive(struct cl_core_link *link, struct cl_bytes *ret, int ret_fds[2],
                         struct cl_error *err);
/* Whether the core has gone, whatever messages of its are still here. */
int cl_core_link_is_closed(const struct cl_core_link *link);
/* The message's secrets are of no more use. */
void cl_core_link_wipe(struct cl_core_link *link);

/* 0, or -EAGAIN while the core is behind. */
int cl_core_link_send(struct cl_core_link *link, const struct cl_fetch_report *report,
                      struct cl_error *err);

#endif
