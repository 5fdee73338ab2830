/* volumes.h - the directories of a worker's root that its guests have, as the line tells.
 *
 * Ownership: names and descriptors are the list's.
 */
#ifndef CL_WORKER_VOLUMES_H
#define CL_WORKER_VOLUMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { CL_WORKER_VOLUMES_MOST = 256 };

struct cl_volume {
    char *name;
    int directory;
    int is_read_only;
};

struct cl_volumes {
    struct cl_volume items[CL_WORKER_VOLUMES_MOST];
    size_t count;
};

/* Takes COUNT messages from LINE, whose directories it opens below ROOT (both borrowed). RET is
 * empty; on failure it has those so far. */
int cl_volumes_take(struct cl_volumes *ret, uint32_t count, int line, int root,
                    struct cl_error *err);
void cl_volumes_done(struct cl_volumes *volumes);

#endif
