/* process_end.h - how a helper ends. */
#ifndef CL_HELPERS_COMMON_PROCESS_END_H
#define CL_HELPERS_COMMON_PROCESS_END_H

#include "base/error.h"
#include "oci/exit_status.h"

/* Ends with status 0, or, where R is negative, with ERR's line on descriptor 2 and a status of
 * enum cl_helper_status. By _exit: what libraries and instrumentation do at exit would need the
 * files that the jail took. */
CL_NORETURN void cl_process_end(int r, const struct cl_error *err);

#endif
