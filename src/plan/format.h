/* format.h - the plan's flat form (base/flat.h): what helpers write, caches and the state
 * directory keep, and workers read. Its fields are those of fields.def.
 */
#ifndef CL_PLAN_FORMAT_H
#define CL_PLAN_FORMAT_H

#include "base/buf.h"
#include "plan/plan.h"

enum { CL_PLAN_VERSION = 4, CL_PLAN_MAX_SIZE = 4 << 20 };

/* Appends PLAN's flat form to BUF. */
int cl_plan_write(const struct cl_plan *plan, struct cl_buf *buf, struct cl_error *err);

/* Reads SIZE bytes at DATA (8-byte aligned is not needed). Strings point into DATA;
 * arrays are made in ARENA. -EBADMSG for anything that is not a plan. */
int cl_plan_read(const void *data, size_t size, struct cl_arena *arena, struct cl_plan *ret,
                 struct cl_error *err);

#endif
