/* fetcher.h - cloister-fetch as the core sees it: started once, asked for several things at
 * once, believed in nothing (oci/fetch.h).
 */
#ifndef CL_IMAGE_FETCHER_H
#define CL_IMAGE_FETCHER_H

#include "base/buf.h"
#include "base/child.h"
#include "oci/fetch.h"

struct cl_fetcher {
    struct cl_child child;
    int channel;
    int complaint; /* complaint.h */
    uint64_t last_id;
};
#define CL_FETCHER_INIT                                                                            \
    ((struct cl_fetcher){.child = CL_CHILD_INIT, .channel = -1, .complaint = -1})

void cl_fetcher_done(struct cl_fetcher *fetcher);
#define CL_CLEANUP_FETCHER CL_CLEANUP(cl_fetcher_done)

/* Starts the program. WITHOUT_LANDLOCK: the caller accepts that the host has none. */
int cl_fetcher_start(int without_landlock, struct cl_fetcher *ret, struct cl_error *err);

/* Sends REQUEST, giving it a number of its own, with the descriptors BODY and TICKS (-1: none;
 * both stay the caller's). */
int cl_fetcher_ask(struct cl_fetcher *fetcher, struct cl_fetch_request *request, int body,
                   int ticks, struct cl_error *err);

/* The next report, read into BUF, with its lists in ARENA; blocks when there is none. */
int cl_fetcher_listen(struct cl_fetcher *fetcher, struct cl_buf *buf, struct cl_arena *arena,
                      struct cl_fetch_report *ret, struct cl_error *err);

#endif
