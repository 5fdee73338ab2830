/* programs.h - the compiled modules that a worker for many has mapped: each once, for all guests.
 *
 * A module is known by its file: those of the cache never change, and one that is mapped keeps its
 * file. What no guest runs stays, for the next one, while there is room.
 */
#ifndef CL_WORKER_PROGRAMS_H
#define CL_WORKER_PROGRAMS_H

#include <sys/types.h>

#include "engine/engine.h"

enum { CL_PROGRAMS_MOST = 256 }; /* that are mapped, run or not */

struct cl_mapped {
    struct cl_program *program; /* NULL: nothing here */
    dev_t device;
    ino_t inode;
    uint32_t guests;
    uint64_t used; /* a number that is larger for whoever was used later */
};

struct cl_programs {
    struct cl_engine *engine; /* borrowed */
    struct cl_mapped all[CL_PROGRAMS_MOST];
    uint64_t uses;
};

void cl_programs_init(struct cl_programs *ret, struct cl_engine *engine);
/* When no guest is left. */
void cl_programs_done(struct cl_programs *programs);

/* The one behind the descriptor MODULE (borrowed), for one guest more, who gives it back. Errors:
 * cl_program_new's; -EBUSY: as many others are run as there may be. */
int cl_programs_take(struct cl_programs *programs, int module, struct cl_mapped **ret,
                     struct cl_error *err);
void cl_programs_give(struct cl_mapped *mapped);

#endif
