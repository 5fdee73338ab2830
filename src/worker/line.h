/* line.h - a worker's line: the orders that come by it at first, and the last words that go. */
#ifndef CL_WORKER_LINE_H
#define CL_WORKER_LINE_H

#include "engine/engine.h"
#include "worker/orders.h"

/* The orders of a worker that can have MOST guests at a time (0: one, alone), from its line.
 * -EPROTO: they are none such. */
int cl_line_take_orders(uint32_t most, struct cl_worker_orders *ret, struct cl_error *err);
/* MESSAGE on LINE. Who goes unheard has at least its status. */
void cl_line_say(int line, const char *message);
/* Of a worker alone: ends as a program of the kernel's would that did what its guest did, with the
 * backtrace on the descriptor TERMINAL. */
CL_NORETURN void cl_line_end_by_trap(const struct cl_guest_end *end, int terminal);

#endif
