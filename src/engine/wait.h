/* wait.h - of the engines that run one guest at a time. */
#ifndef CL_ENGINE_WAIT_H
#define CL_ENGINE_WAIT_H

#include "wasi/wasi.h"

/* Blocks until what WAIT is for may have come. Who asked looks again, whatever happened. */
void cl_engine_wait(const struct cl_wasi_wait *wait);

#endif
