/* pace.h - whether a transfer still goes on, or has to be given up as stalled. Pure: time is
 * passed in.
 *
 * Two rules. Silence: no byte for a while. Slowness: over a longer while fewer bytes a second
 * than any link has, from a server that keeps us by a byte now and then. What is small all in
 * all may be slow, since it is over soon, but has a time by which it has to be.
 */
#ifndef CL_HELPERS_FETCH_PACE_H
#define CL_HELPERS_FETCH_PACE_H

#include "base/defs.h"

enum {
    CL_PACE_LEAST = 1024,      /* bytes a second */
    CL_PACE_SMALL = 64 << 10,  /* a body up to this size is small */
    CL_PACE_SMALL_WINDOWS = 5, /* and has so many times `window_ns` in all */
};

struct cl_pace_limits {
    uint64_t silence_ns;
    uint64_t window_ns;
};

struct cl_pace {
    uint64_t began_ns;
    uint64_t last_ns;      /* when bytes came last */
    uint64_t window_ns;    /* when the window began */
    uint64_t window_bytes; /* since then */
    int small;
};

enum cl_pace_verdict { CL_PACE_FINE, CL_PACE_SILENT, CL_PACE_SLOW };

void cl_pace_begin(struct cl_pace *pace, uint64_t now_ns);
void cl_pace_count(struct cl_pace *pace, uint64_t now_ns, uint64_t bytes);
enum cl_pace_verdict cl_pace_judge(struct cl_pace *pace, const struct cl_pace_limits *limits,
                                   uint64_t now_ns);

#endif
