/* steps.h - privileged work as a list of named steps, run by one executor.
 *
 * A sequence that holds privilege is an array of rows, each a name and a function
 * on the sequence's own context. The executor runs them in order and puts the name
 * of the failing step before its message. Where a step must be undone it has an
 * undo function; undo runs for the steps done so far, last first.
 */
#ifndef CL_BASE_STEPS_H
#define CL_BASE_STEPS_H

#include "base/error.h"

struct cl_step {
    const char *name; /* NULL: what it says needs none */
    int (*run)(void *context, struct cl_error *err);
    void (*undo)(void *context);
};

/* Runs all steps. After a failure the steps before it are undone and the step's
 * own -errno is returned. */
int cl_steps_run(const struct cl_step *steps, size_t count, void *context, struct cl_error *err);

/* Undoes all steps, last first: the ordinary end of what cl_steps_run made. */
void cl_steps_undo(const struct cl_step *steps, size_t count, void *context);

#endif
