/* process.h - how a helper begins, before its jail, and how it ends. */
#ifndef CL_HELPERS_COMMON_PROCESS_H
#define CL_HELPERS_COMMON_PROCESS_H

#include "base/error.h"
#include "oci/exit_status.h"

/* What has to happen before the jail: descriptors from FIRST_FREE on are closed, and jansson
 * gets the hash seed that it would take from a file. */
int cl_process_begin(unsigned int first_free, struct cl_error *err);

/* Ends with status 0, or, where R is negative, with ERR's line on descriptor 2 and a status of
 * enum cl_helper_status.
 * By _exit: what libraries and instrumentation do at exit would need the files that the jail
 * took. */
CL_NORETURN void cl_process_end(int r, const struct cl_error *err);

#endif
