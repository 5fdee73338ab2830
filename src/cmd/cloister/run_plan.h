/* run_plan.h - from a request, as options make it, to the decided plan of a sandbox. */
#ifndef CL_CMD_CLOISTER_RUN_PLAN_H
#define CL_CMD_CLOISTER_RUN_PLAN_H

#include "cmd/cloister/run_module.h"
#include "cmd/cloister/run_options.h"

/* What POLICY, of the file at PATH, says of host paths that are relative counts from that file's
 * directory. */
int cl_run_rebase_files(struct cl_plan *policy, const char *path, struct cl_arena *arena,
                        struct cl_error *err);

/* What a run holds to its end. */
struct cl_run_held {
    int lock;                /* keeps an image of the store where it is; -1: there is none */
    struct cl_module module; /* compiled; its fd is -1 where none is run */
};
#define CL_RUN_HELD_INIT ((struct cl_run_held){.lock = -1, .module = CL_MODULE_INIT})

void cl_run_held_done(struct cl_run_held *held);
#define CL_CLEANUP_RUN_HELD CL_CLEANUP(cl_run_held_done)

/* The plan of REQUEST, whose image is pulled, and its module compiled, where it has to be. BELOW, a
 * part that comes under the policy of REQUEST and over the image, may be NULL. HELD is set as far
 * as it came, also on failure. A note for the user goes to standard error. */
int cl_run_plan(struct cl_run_request *request, const struct cl_plan *below, struct cl_plan *ret,
                struct cl_run_held *held, struct cl_error *err);

#endif
