/* describe.h - a sandbox's record in words and as JSON, for ps and inspect. */
#ifndef CL_CMD_CLOISTER_DESCRIBE_H
#define CL_CMD_CLOISTER_DESCRIBE_H

#include "base/json.h"
#include "sandbox/state.h"

/* "creating", "running"; how it ended, as in a result; "dead" where the supervisor is gone and
 * nothing is kept. */
const char *cl_describe_status(const struct cl_visit *visit);

/* One object with what a list needs. */
void cl_describe_brief(struct cl_json *json, const struct cl_visit *visit);

/* One object with all that is known, under KEY. VISIT has a plan. */
void cl_describe_all(struct cl_json *json, const char *key, const struct cl_visit *visit);

#endif
