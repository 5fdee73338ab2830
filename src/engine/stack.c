/* The stack of a guest that is alone: the process's own, as far as that may grow.
 *
 * The kernel looks at the limit when the stack grows, so that a worker that was started with a low
 * one raises it before its guest runs. What the guest has of it is bounded by the engine, whose
 * trap comes before the kernel's signal does. */
#include <sys/resource.h>

#include "base/sys.h"
#include "engine/wasmtime.h"
#include "policy/wasm.h"

enum { LEAST = 64 << 10 };

int cl_engine_own_stack(uint64_t *ret_bytes, struct cl_error *err)
{
    struct cl_rlimit64 limit;
    int r = cl_sys_prlimit(0, RLIMIT_STACK, NULL, &limit);

    if (r < 0)
        return cl_fail(err, r, "read the limit of the stack");
    const uint64_t size =
        cl_min_u64(((uint64_t)CL_WASM_GUEST_STACK_KIB << 10) + CL_ENGINE_HOST_ROOM, limit.max);
    if (size < CL_ENGINE_HOST_ROOM + LEAST)
        return cl_refuse(err, EINVAL, "a stack of %llu KiB is too small: at least %d are needed",
                         (unsigned long long)(size >> 10), (CL_ENGINE_HOST_ROOM + LEAST) >> 10);
    if (limit.cur < size) {
        limit.cur = size;
        r = cl_sys_prlimit(0, RLIMIT_STACK, &limit, NULL);
        if (r < 0)
            return cl_fail(err, r, "raise the limit of the stack");
    }
    *ret_bytes = size - CL_ENGINE_HOST_ROOM;
    return 0;
}
