/* order.h - a client's message, looked at before anything is done with it. */
#ifndef CL_WORKER_ORDER_H
#define CL_WORKER_ORDER_H

#include "base/error.h"
#include "worker/orders.h"

/* DATA of SIZE bytes as an order of this version; -EPROTO. *RET_RUN is set for RUN alone, with its
 * counts fit for cl_order_strings; both lie in DATA, which is aligned. */
int cl_order_take(const void *data, size_t size, const struct cl_order **ret,
                  const struct cl_order_run **ret_run, struct cl_error *err);

/* The strings behind RUN, which SIZE bytes in all hold: two NULL-ended lists, one behind the other,
 * in one allocation that is the caller's. NULL: no memory. */
const char **cl_order_strings(const struct cl_order_run *run, size_t size);

#endif
