/* exec_plan.h - what one more command in a sandbox is to be. */
#ifndef CL_CMD_CLOISTER_EXEC_PLAN_H
#define CL_CMD_CLOISTER_EXEC_PLAN_H

#include "plan/plan.h"

struct cl_exec_parts {
    const struct cl_plan *const *parts; /* later ones override earlier ones */
    size_t count;
    struct cl_arena *arena; /* takes what is made */
};

/* The plan of a command (cl_plan_decide_exec) in a sandbox with the plan BASE, on a host that can
 * start it safely. A note for the user goes to standard error. */
int cl_exec_plan(const struct cl_exec_parts *words, const struct cl_plan *base, struct cl_plan *ret,
                 struct cl_error *err);

#endif
