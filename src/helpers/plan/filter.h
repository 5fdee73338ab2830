/* filter.h - a decoded profile as a program for the kernel, made by libseccomp. */
#ifndef CL_HELPERS_PLAN_FILTER_H
#define CL_HELPERS_PLAN_FILTER_H

#include "helpers/plan/profile.h"
#include "plan/plan.h"

/* How its rules are read. */
enum cl_filter_manner {
    CL_FILTER_JUDGED, /* a user's own: what can't have been meant is an error */
    CL_FILTER_OBEYED, /* a bundle's: as libseccomp takes them, and so other runtimes */
};

struct cl_filter_job {
    const struct cl_profile_doc *doc;
    enum cl_filter_manner manner;
    const struct cl_profile_host *host; /* JUDGED: what conditions are compared with */
    struct cl_warnings *warnings;       /* OBEYED */
    struct cl_arena *arena;             /* for the program */
    size_t max_size;                    /* of the program, in bytes */
    int scratch_fd; /* an empty file of memory: libseccomp writes the program there */
};

/* The program: struct sock_filter[]. */
int cl_filter_make(const struct cl_filter_job *job, struct cl_bytes *ret, struct cl_error *err);

struct cl_filter_input {
    struct cl_document document; /* its name stands in the plan too */
    struct cl_profile_host host;
    int scratch_fd;
};

/* Compiles the document, a user's own, into RET's seccomp program and its name. */
int cl_filter_compile(const struct cl_filter_input *input, struct cl_arena *arena,
                      struct cl_plan *ret, struct cl_error *err);

#endif
