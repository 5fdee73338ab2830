/* ticker.h - the clock by which turns end: a signal each millisecond, while somebody runs.
 *
 * The handler tells the engine, whose code looks at a counter in loops and calls, and counts. It
 * is SIGALRM's, on the signal stack that the engine has for traps. One for the process.
 */
#ifndef CL_WORKER_TICKER_H
#define CL_WORKER_TICKER_H

#include "engine/engine.h"

enum { CL_TICK_US = 1000 };

/* ENGINE is borrowed until cl_ticker_done, after which nothing ticks. */
int cl_ticker_init(struct cl_engine *engine, struct cl_error *err);
void cl_ticker_done(void);
int cl_ticker_set(int is_on, struct cl_error *err);
/* How many ticks there have been. */
unsigned int cl_ticker_count(void);

#endif
