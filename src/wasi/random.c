/* random.c - the kernel's random numbers. */
#include <errno.h>

#include "base/sys.h"
#include "wasi/calls.h"

/* Of one call of getrandom(2), which gives 32 MiB less a byte at most, and less when a signal
 * comes. */
enum { CHUNK = 1 << 20 };

/* random_get(buf, buf_len) */
CL_WASI_CALL(random_get)
{
    uint64_t left = (uint32_t)arguments[1];
    uint8_t *at = cl_wasi_at(memory, arguments[0], left);

    if (at == NULL)
        return CL_WASI_FAULT;
    while (left > 0) {
        ssize_t got = cl_sys_getrandom(at, cl_min_u64(left, CHUNK));

        if (got == -EINTR)
            continue;
        if (got < 0)
            return cl_wasi_errno(got);
        at += got;
        left -= (uint64_t)got;
    }
    return CL_WASI_SUCCESS;
}
