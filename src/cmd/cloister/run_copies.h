/* run_copies.h - what --copy-in and --copy-out say. */
#ifndef CL_CMD_CLOISTER_RUN_COPIES_H
#define CL_CMD_CLOISTER_RUN_COPIES_H

#include "sandbox/errands.h"

enum { CL_RUN_COPIES_MOST = 64 }; /* each way */

struct cl_run_copies {
    size_t in_count;
    size_t out_count;
    struct cl_errand *in; /* of CL_RUN_COPIES_MOST, once there is one */
    struct cl_errand *out;
    struct cl_errand_plan plan;
};

/* What is to be copied, NULL for nothing. It lives as long as COPIES. */
const struct cl_errand_plan *cl_run_copies_plan(struct cl_run_copies *copies);

#endif
