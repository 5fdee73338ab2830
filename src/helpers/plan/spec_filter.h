/* spec_filter.h - a bundle's seccomp profile (linux.seccomp) as a program for the kernel. */
#ifndef CL_HELPERS_PLAN_SPEC_FILTER_H
#define CL_HELPERS_PLAN_SPEC_FILTER_H

#include "helpers/common/report.h"
#include "plan/spec.h"

/* Sets RET's program, the flags to load it with, and where SCMP_ACT_NOTIFY is used who is to be
 * told; what RET holds lives in ARENA. SCRATCH_FD is an empty file of memory. */
int cl_spec_filter(const struct cl_document *document, int scratch_fd, struct cl_arena *arena,
                   struct cl_spec *ret, struct cl_error *err);

#endif
