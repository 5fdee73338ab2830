/* apart.h - a guest that is alone, in a root that has more than its files.
 *
 * What its engine was loaded from is there, and no business of the guest's: its own root is a
 * directory of scratch in there (CL_WORKER_APART), with a /tmp; the volumes are beside that, each
 * as a directory of its own.
 */
#ifndef CL_WORKER_APART_H
#define CL_WORKER_APART_H

#include "wasi/wasi.h"
#include "worker/orders.h"
#include "worker/volumes.h"

enum { CL_APART_OWN = 2 }; /* "/", and "/tmp" where that is read-only */

struct cl_apart {
    struct cl_volumes volumes;
    struct cl_wasi_preopen preopens[CL_APART_OWN + CL_WORKER_VOLUMES_MOST];
    size_t preopen_count;
};

/* As ORDERS say, whose volumes come from LINE. The preopens' descriptors are for cl_wasi_new to
 * take, their names RET's. Nothing is undone: a worker that can't do this ends. */
int cl_apart_make(const struct cl_worker_orders *orders, int line, struct cl_apart *ret,
                  struct cl_error *err);

#endif
