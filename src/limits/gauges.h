/* gauges.h - what a running sandbox uses at this moment, for who only looks.
 *
 * Where its cgroups are says the kernel, of its first process: /proc/PID/cgroup. No path is
 * believed that doesn't end in the sandbox's own name, so that a number which has become another
 * process's leads nowhere.
 *
 * Owner: whoever holds the struct. Descriptors are CLOEXEC. Privilege: none but to see the
 * process; the files are open to everybody.
 */
#ifndef CL_LIMITS_GAUGES_H
#define CL_LIMITS_GAUGES_H

#include "base/error.h"

enum cl_gauge {
    CL_GAUGE_CPU,    /* processor time so far, in nanoseconds */
    CL_GAUGE_MEMORY, /* bytes that count against its limit, caches too */
    CL_GAUGE_TASKS,  /* without the wall's init */
    CL_GAUGE_READ,   /* bytes from block devices */
    CL_GAUGE_WRITTEN,
    CL_GAUGE_COUNT
};

/* Directories that sandboxes have their cgroups in: as a rule all have the same, which are kept
 * open from one to the next. */
struct cl_gauge_places {
    int layout; /* enum cl_cgroup_layout, -1: not looked yet */
    struct cl_gauge_place {
        int dir;
        char path[1024];
    } of[3];
};
#define CL_GAUGE_PLACES_INIT ((struct cl_gauge_places){-1, {{.dir = -1}, {.dir = -1}, {.dir = -1}}})

void cl_gauge_places_done(struct cl_gauge_places *places);

/* -1 for what this host can't tell. Read and written bytes are in one file. */
struct cl_gauges {
    int is_v2;
    int cpu;
    int memory;
    int tasks;
    int io;
};
#define CL_GAUGES_INIT ((struct cl_gauges){0, -1, -1, -1, -1})
#define CL_CLEANUP_GAUGES CL_CLEANUP(cl_gauges_close)

struct cl_readings {
    unsigned int known; /* 1 << enum cl_gauge */
    uint64_t values[CL_GAUGE_COUNT];
};

static inline int cl_readings_have(const struct cl_readings *readings, enum cl_gauge gauge)
{
    return (readings->known & 1U << gauge) != 0;
}

/* Opens those of the sandbox ID, whose first process is INIT. 0, also where there are none
 * (without cgroups, or init is not to be seen from here): all is unknown then. -EMFILE and
 * other failures of this process's own, without a message. */
int cl_gauges_open(struct cl_gauge_places *places, const char *id, int32_t init,
                   struct cl_gauges *ret);
void cl_gauges_close(struct cl_gauges *gauges);

/* 0, or -ESRCH when the cgroups have been removed: it has ended. A file whose text is not what
 * the kernel's documents say leaves its value unknown. */
int cl_gauges_read(const struct cl_gauges *gauges, struct cl_readings *ret);

#endif
