#include "engine/wait.h"

#include "base/clock.h"
#include "base/sys.h"

/* The one guest of the process: whoever else there is in it waits by being another. */
void cl_engine_wait(const struct cl_wasi_wait *wait)
{
    int timeout_ms = -1;

    if (wait->deadline_ns != UINT64_MAX) {
        const uint64_t now = cl_clock_mono_ns();
        const uint64_t left = wait->deadline_ns > now ? wait->deadline_ns - now : 0;

        /* a part of a millisecond is waited for whole; more than int holds comes in turns */
        timeout_ms = left / CL_NS_PER_MS >= INT32_MAX
                         ? INT32_MAX
                         : (int)((left + CL_NS_PER_MS - 1) / CL_NS_PER_MS);
    }
    (void)cl_sys_poll(wait->fds, wait->count, timeout_ms); /* whatever it says, we look again */
}
