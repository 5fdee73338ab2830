/* spec.h - an OCI runtime configuration, or a part of one, as a record of plan/spec.h.
 *
 * The shape is that of the OCI runtime specification 1.2 (config.md, config-linux.md), and any
 * 1.x is taken: a property that nobody here knows is passed over with a warning. A value of a
 * wrong type, one that can't be and one that is missing are errors with its path:
 * NAME: process.user.uid: expected integer, got string "0". What a bundle asks for is not judged
 * here; only what contradicts itself is refused.
 */
#ifndef CL_HELPERS_PLAN_SPEC_H
#define CL_HELPERS_PLAN_SPEC_H

#include "helpers/common/report.h"
#include "plan/spec.h"

/* What RET holds lives in ARENA. A seccomp profile is RET's as it stands (spec_filter.h). */
int cl_spec_parse(enum cl_spec_kind kind, const struct cl_document *document,
                  struct cl_arena *arena, struct cl_spec *ret, struct cl_error *err);

#endif
