#include "base/clock.h"

#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Not by the vDSO: to find it once takes longer than the few calls of a run. Not by sys.h
 * either: a clock can't fail. */
static uint64_t read_clock(clockid_t clock)
{
    struct timespec now = {0};

    CL_ASSERT(syscall(SYS_clock_gettime, clock, &now) == 0);
    return (uint64_t)now.tv_sec * CL_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t cl_clock_boot_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

uint64_t cl_clock_mono_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t cl_clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

void cl_clock_rfc3339(uint64_t wall_ns, char ret[CL_RFC3339_SIZE])
{
    time_t seconds = (time_t)(wall_ns / CL_NS_PER_S);
    struct tm tm = {0};

    (void)gmtime_r(&seconds, &tm); /* fails only for years beyond an int */
    (void)snprintf(ret, CL_RFC3339_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%09uZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                   (unsigned int)(wall_ns % CL_NS_PER_S));
}
