/* guest_users.h - the users of a tenant's WebAssembly worker whose guests have processes. */
#ifndef CL_PLAN_GUEST_USERS_H
#define CL_PLAN_GUEST_USERS_H

#include "plan/plan.h"

/* As many as there may be in one of the halves of a sandbox's ids. */
enum { CL_GUEST_USERS_MOST = 32000, CL_GUEST_USERS_HALF = 32768 };

/* One for each process: COUNT ids of the sandbox from FIRST on, none of which is the worker's own.
 * COUNT is 0 where all have that. */
struct cl_guest_users {
    uint32_t first;
    uint32_t count;
};

static inline struct cl_guest_users cl_guest_users_of(const struct cl_plan *plan)
{
    if (plan->image_kind != CL_IMAGE_MODULES || plan->wasm_model != CL_WASM_PROCESS ||
        cl_plan_without(plan, CL_LAYER_GUEST_USERS))
        return (struct cl_guest_users){0};
    return (struct cl_guest_users){
        .first = plan->uid < CL_GUEST_USERS_HALF ? CL_GUEST_USERS_HALF : 1,
        .count = (uint32_t)plan->guests,
    };
}

#endif
