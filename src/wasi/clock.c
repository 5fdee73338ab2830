/* clock.c - the clocks that a guest can read. */
#include "wasi/calls.h"

#include "base/clock.h"
#include "base/sys.h"

/* The two of CPU time are those of the process that runs the guest. wasi-libc's clock() and the
 * benchmarks of several languages end the program when they are refused; so they are given,
 * although guests that share the process share them: the time of them all runs there. */
static int host_clock(uint64_t id, clockid_t *ret)
{
    static const clockid_t clocks[] = {
        [CL_WASI_REALTIME] = CLOCK_REALTIME,
        [CL_WASI_MONOTONIC] = CLOCK_MONOTONIC,
        [CL_WASI_PROCESS_CPUTIME] = CLOCK_PROCESS_CPUTIME_ID,
        [CL_WASI_THREAD_CPUTIME] = CLOCK_THREAD_CPUTIME_ID,
    };

    if (id >= CL_ARRAY_SIZE(clocks))
        return 0;
    *ret = clocks[id];
    return 1;
}

/* What ASK says of the clock ID, to RET. */
static uint32_t give(uint64_t id, int (*ask)(clockid_t, struct timespec *), uint8_t *ret)
{
    struct timespec time = {0};
    clockid_t clock;

    if (!host_clock(id, &clock))
        return CL_WASI_INVAL;
    if (ret == NULL)
        return CL_WASI_FAULT;
    int r = ask(clock, &time);
    if (r < 0)
        return cl_wasi_errno(r);
    cl_wasi_store64(ret, (uint64_t)time.tv_sec * CL_NS_PER_S + (uint64_t)time.tv_nsec);
    return CL_WASI_SUCCESS;
}

/* clock_res_get(id, ret_timestamp) */
CL_WASI_CALL(clock_res_get)
{
    return give(arguments[0], cl_sys_clock_getres, cl_wasi_at(memory, arguments[1], 8));
}

/* clock_time_get(id, precision, ret_timestamp): as precise as it can be, always. */
CL_WASI_CALL(clock_time_get)
{
    return give(arguments[0], cl_sys_clock_gettime, cl_wasi_at(memory, arguments[2], 8));
}
