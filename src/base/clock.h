/* clock.h - time, in nanoseconds. */
#ifndef CL_BASE_CLOCK_H
#define CL_BASE_CLOCK_H

#include "base/defs.h"

/* CLOCK_BOOTTIME: goes on while the machine sleeps; for limits and durations. */
uint64_t cl_clock_boot_ns(void);
uint64_t cl_clock_mono_ns(void);
/* CLOCK_REALTIME, since 1970. */
uint64_t cl_clock_wall_ns(void);

enum { CL_RFC3339_SIZE = 84 };
/* "2026-01-02T03:04:05.678901234Z" */
void cl_clock_rfc3339(uint64_t wall_ns, char ret[CL_RFC3339_SIZE]);

#define CL_NS_PER_MS 1000000ULL
#define CL_NS_PER_S 1000000000ULL

#endif
