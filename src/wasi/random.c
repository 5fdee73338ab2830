/* random.c - the kernel's random numbers. */
#include <errno.h>

#include "base/sys.h"
#include "wasi/calls.h"

/* Of one call of getrandom(2), which gives 32 MiB less a byte at most, and less when a signal
 * comes. After each the others may run. */
enum { CHUNK = 1 << 20 };

/* random_get(buf, buf_len) */
CL_WASI_CALL(random_get)
{
    const uint64_t size = (uint32_t)arguments[1];
    uint8_t *at = cl_wasi_at(memory, arguments[0], size);
    uint64_t done = cl_wasi_is_again(&wasi->random, arguments, 2) ? wasi->random.done : 0;
    ssize_t got;

    wasi->random.is_waiting = 0;
    if (at == NULL)
        return CL_WASI_FAULT;
    do
        got = cl_sys_getrandom(at + done, cl_min_u64(size - done, CHUNK));
    while (got == -EINTR);
    if (got < 0)
        return cl_wasi_errno(got);
    done += (uint64_t)got;
    if (done == size)
        return CL_WASI_SUCCESS;
    wasi->random.done = done;
    cl_wasi_go_on_later(&wasi->random, arguments, 2);
    wasi->wait = (struct cl_wasi_wait){.deadline_ns = 0};
    return CL_WASI_WAITS;
}
