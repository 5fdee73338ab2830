/* policy.h - a policy file (YAML, JSON being a subset) as a partial plan.
 *
 * The shape is the table of src/plan/fields.def: rows of scope POLICY, dots in their
 * path being nested maps. docs/policy.md is the reference for users. Everything the
 * shape does not name is an error with its place: NAME:LINE:COLUMN: PATH: why.
 */
#ifndef CL_HELPERS_PLAN_POLICY_H
#define CL_HELPERS_PLAN_POLICY_H

#include "helpers/plan/yaml_reader.h"
#include "plan/plan.h"

/* What RET holds lives in ARENA. */
int cl_policy_parse(const struct cl_document *document, struct cl_arena *arena, struct cl_plan *ret,
                    struct cl_error *err);

/* The map that NODE opened in a document of another kind as a policy; the path before its keys in
 * messages is YAML's `within`. Memory is YAML's arena's. */
int cl_policy_parse_map(struct cl_yaml *yaml, const struct cl_yaml_node *node, struct cl_plan *ret,
                        struct cl_error *err);
/* The map of variables at PATH that NODE opened: sets RET's env alone. */
int cl_policy_parse_env(struct cl_yaml *yaml, const struct cl_yaml_node *node, const char *path,
                        struct cl_plan *ret, struct cl_error *err);

#endif
