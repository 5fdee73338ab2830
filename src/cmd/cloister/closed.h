/* closed.h - directories that only the caller may read, shown to a sandbox that is another.
 *
 * A look for the sake of a message, should the run fail: nothing depends on it.
 */
#ifndef CL_CMD_CLOISTER_CLOSED_H
#define CL_CMD_CLOISTER_CLOSED_H

#include "plan/plan.h"

/* Puts a hint into RET when PLAN's image or a volume is closed to its user; else "". */
void cl_closed_explain(const struct cl_plan *plan, char *ret, size_t size);

#endif
