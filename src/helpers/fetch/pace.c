#include "helpers/fetch/pace.h"

#include "base/clock.h"

void cl_pace_begin(struct cl_pace *pace, uint64_t now_ns)
{
    *pace = (struct cl_pace){.began_ns = now_ns, .last_ns = now_ns, .window_ns = now_ns};
}

void cl_pace_count(struct cl_pace *pace, uint64_t now_ns, uint64_t bytes)
{
    if (bytes == 0)
        return;
    pace->last_ns = now_ns;
    pace->window_bytes += bytes;
}

/* Whether fewer bytes came in ELAPSED_NS than CL_PACE_LEAST has it. */
static int is_slow(uint64_t bytes, uint64_t elapsed_ns)
{
    return bytes < elapsed_ns / CL_NS_PER_MS * CL_PACE_LEAST / 1000;
}

enum cl_pace_verdict cl_pace_judge(struct cl_pace *pace, const struct cl_pace_limits *limits,
                                   uint64_t now_ns)
{
    const uint64_t elapsed = now_ns - pace->window_ns;

    if (now_ns - pace->last_ns >= limits->silence_ns)
        return CL_PACE_SILENT;
    if (pace->small)
        return now_ns - pace->began_ns >= CL_PACE_SMALL_WINDOWS * limits->window_ns ? CL_PACE_SLOW
                                                                                    : CL_PACE_FINE;
    if (elapsed < limits->window_ns)
        return CL_PACE_FINE;
    if (is_slow(pace->window_bytes, elapsed))
        return CL_PACE_SLOW;
    pace->window_ns = now_ns;
    pace->window_bytes = 0;
    return CL_PACE_FINE;
}
