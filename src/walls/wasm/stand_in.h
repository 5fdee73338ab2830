/* stand_in.h - a guest of the tenant's worker, as a wall's process: walls/wasm's own.
 *
 * Such a guest has no process, or one that is the worker's child. What stands in for its first one
 * is a child of the supervisor's that holds the connection to the worker: it dies with the
 * supervisor, and the guest with the connection. It passes orders on, and writes into the report
 * what the worker answers, which is foreign bytes; to those who ask what the guest uses it answers
 * itself, so that the supervisor waits for no worker. Those are as many as wait at a time, and
 * nobody who asks is kept: a worker that says nothing is asked once.
 */
#ifndef CL_WALLS_WASM_STAND_IN_H
#define CL_WALLS_WASM_STAND_IN_H

#include "walls/wall.h"
#include "worker/orders.h"

/* Supervisor to stand-in, on the process's channel. With TELL comes where the answer goes, a FIFO.
 */
struct cl_stand_in_order {
    enum { CL_STAND_IN_BEGIN = 1, CL_STAND_IN_SIGNAL, CL_STAND_IN_PAUSE, CL_STAND_IN_TELL } kind;
    int32_t value;            /* the signal; whether it is to stop */
    struct cl_wall_told told; /* TELL: the answer, as far as the supervisor knows it */
};

/* What the stand-in has; all descriptors are the supervisor's too. */
struct cl_stand_in {
    const struct cl_wall_start *start;
    struct cl_report *report;
    int channel; /* orders come, and one byte goes when the guest runs */
    int line;    /* last words go, as a worker's of its own would say them */
};

/* The child's: to the guest's end, or the supervisor's. */
CL_NORETURN void cl_stand_in_run(struct cl_stand_in *stand_in);

#endif
