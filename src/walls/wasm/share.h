/* share.h - what of a sandbox's memory is its guest's: walls/wasm's own. */
#ifndef CL_WALLS_WASM_SHARE_H
#define CL_WALLS_WASM_SHARE_H

#include "plan/plan.h"

/* Of the limit, what a process that runs a guest takes itself, at most. */
enum {
    CL_WASM_OWN_BYTES = 8 << 20,
    CL_WASM_COMPONENTS_OWN_BYTES = 12 << 20,
    CL_WASM_LIBRARYS_BYTES = 32 << 20,
};

static inline uint64_t cl_wasm_own_bytes(const struct cl_plan *plan)
{
    if (plan->wasm_engine == CL_WASM_WASMEDGE)
        return CL_WASM_LIBRARYS_BYTES;
    return plan->image_component ? CL_WASM_COMPONENTS_OWN_BYTES : CL_WASM_OWN_BYTES;
}

/* A memory that grows to that ends in an answer to the guest, not in an OOM kill. */
static inline uint64_t cl_wasm_guests_bytes(const struct cl_plan *plan)
{
    const uint64_t all = plan->limits.memory_bytes;
    const uint64_t own = cl_wasm_own_bytes(plan);

    return all > 2 * own ? all - own : all / 2;
}

#endif
