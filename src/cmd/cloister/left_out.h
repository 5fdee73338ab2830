/* left_out.h - what a copy left out, said to people. */
#ifndef CL_CMD_CLOISTER_LEFT_OUT_H
#define CL_CMD_CLOISTER_LEFT_OUT_H

#include "base/error.h"

struct cl_left_out {
    const char *top; /* what is copied */
    int is_quiet;
    unsigned int count; /* so far */
};

/* For struct cl_copy_job: says on standard error that PATH was left out, and why. The first
 * few times. */
void cl_left_out_say(void *context, const char *path, int why);
/* What is missing is no success: 0 where nothing was left out. */
int cl_left_out_end(const struct cl_left_out *left, struct cl_error *err);

#endif
