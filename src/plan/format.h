/* format.h - the plan's flat form: a versioned header and a row of records.
 *
 *   header  8 bytes magic, u32 version, u32 record count, u64 total size
 *   record  u16 field id, u16 zero, u32 payload size, payload, zeros up to 8 bytes
 *
 * Little-endian. Numbers are u64; strings end in NUL and hold no other; a string
 * list is u32 count and its strings; files and rlimits as in format.c. Each field
 * stands at most once, ids rise, values lie in the bounds of their row: a plan that
 * reads is a plan that was written by this version. Trust: bytes come from helpers,
 * caches and state directories and may be hostile; the reader checks every size.
 */
#ifndef CL_PLAN_FORMAT_H
#define CL_PLAN_FORMAT_H

#include "base/buf.h"
#include "plan/plan.h"

enum { CL_PLAN_VERSION = 2, CL_PLAN_MAX_SIZE = 4 << 20 };

/* Appends PLAN's flat form to BUF. */
int cl_plan_write(const struct cl_plan *plan, struct cl_buf *buf, struct cl_error *err);

/* Reads SIZE bytes at DATA (8-byte aligned is not needed). Strings point into DATA;
 * arrays are made in ARENA. -EBADMSG for anything that is not a plan. */
int cl_plan_read(const void *data, size_t size, struct cl_arena *arena, struct cl_plan *ret,
                 struct cl_error *err);

#endif
