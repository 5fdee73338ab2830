/* many.h - the worker for many guests. */
#ifndef CL_CMD_CLOISTER_WASM_MANY_H
#define CL_CMD_CLOISTER_WASM_MANY_H

#include "base/error.h"
#include "worker/orders.h"

/* Until the line ends; the process ignores SIGPIPE and SIGXFSZ. */
int cl_many_run(const struct cl_worker_orders *orders, struct cl_error *err);

#endif
