/* lodging.h - what a guest gets: its streams, its directories, its bounds. */
#ifndef CL_WORKER_LODGING_H
#define CL_WORKER_LODGING_H

#include "worker/worker.h"

struct cl_lodging {
    struct cl_wasi_setup wasi; /* of what follows */
    struct cl_wasi_preopen preopens[1 + CL_WORKER_VOLUMES_MOST];
    struct cl_guest_limits limits;
    const char **strings;
};

/* As RUN, which is PACKET's, says for LODGER: takes the streams from PACKET, and a scratch
 * directory. The volumes' descriptors are copies where guests take turns, and else the worker's
 * own. With the strings all is the caller's, also on failure. */
int cl_lodging_make(struct cl_lodger *lodger, const struct cl_order_run *run,
                    struct cl_packet *packet, struct cl_lodging *ret, struct cl_error *err);
/* Closes the streams and directories that are no more of use to the worker. */
void cl_lodging_close(const struct cl_worker *worker, struct cl_lodging *lodging);

#endif
