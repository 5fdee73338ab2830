/* policy.h - a policy file (YAML, JSON being a subset) as a partial plan.
 *
 * The shape is the table of src/plan/fields.def: rows of scope POLICY, dots in their
 * path being nested maps. docs/policy.md is the reference for users. Everything the
 * shape does not name is an error with its place: NAME:LINE:COLUMN: PATH: why.
 */
#ifndef CL_HELPERS_PLAN_POLICY_H
#define CL_HELPERS_PLAN_POLICY_H

#include "helpers/common/report.h"
#include "plan/plan.h"

/* What RET holds lives in ARENA. */
int cl_policy_parse(const struct cl_document *document, struct cl_arena *arena, struct cl_plan *ret,
                    struct cl_error *err);

#endif
