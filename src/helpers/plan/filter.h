/* filter.h - a decoded profile as a program for the kernel, made by libseccomp. */
#ifndef CL_HELPERS_PLAN_FILTER_H
#define CL_HELPERS_PLAN_FILTER_H

#include "helpers/plan/profile.h"
#include "plan/plan.h"

struct cl_filter_input {
    struct cl_document document; /* its name stands in the plan too */
    struct cl_profile_host host;
    int scratch_fd; /* an empty file of memory: libseccomp writes the program there */
};

/* Compiles the document into RET's seccomp program and its name. */
int cl_filter_compile(const struct cl_filter_input *input, struct cl_arena *arena,
                      struct cl_plan *ret, struct cl_error *err);

#endif
