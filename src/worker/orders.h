/* orders.h - what the supervisor of a wasm sandbox and its worker say to each other: one message
 * each way on the line, a SOCK_SEQPACKET pair that the worker has as descriptor 3.
 *
 * The worker is assumed to be broken by its guest: what it says is foreign bytes. What it is told
 * speaks of nothing of the host. Both are of one build; another version is refused.
 */
#ifndef CL_ENGINE_ORDERS_H
#define CL_ENGINE_ORDERS_H

#include <stdint.h>

enum {
    CL_WORKER_VERSION = 1,
    CL_WORKER_LINE = 3,   /* descriptors of the worker */
    CL_WORKER_MODULE = 4, /* the compiled module, a regular file */
    CL_WORKER_FDS = 2,
};

/* Supervisor to worker, before it begins. */
struct cl_worker_orders {
    uint32_t version;
    uint32_t max_descriptors; /* of the guest */
    uint64_t memory_bytes;    /* that each linear memory may have */
    uint64_t table_elements;  /* that each table may */
};

/* Worker to supervisor: why the guest didn't end by itself, or could not begin. */
struct cl_worker_words {
    uint32_t version;
    char message[300]; /* NUL-ended */
};

#endif
