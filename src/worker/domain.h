/* domain.h - a guest's own Landlock domain: what a worker that it has broken may still open. */
#ifndef CL_WORKER_DOMAIN_H
#define CL_WORKER_DOMAIN_H

#include "wasi/wasi.h"

/* The calling process can open what is below WASI's preopens, and nothing else, for good; it
 * executes nothing. */
int cl_domain_enter(const struct cl_wasi_setup *wasi, struct cl_error *err);

#endif
