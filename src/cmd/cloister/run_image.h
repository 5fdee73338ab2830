/* run_image.h - the image of a run, where it is one of the store, or is to come there first.
 */
#ifndef CL_CMD_CLOISTER_RUN_IMAGE_H
#define CL_CMD_CLOISTER_RUN_IMAGE_H

#include "cmd/cloister/progress.h"
#include "plan/plan.h"

/* --pull */
enum cl_pull_when { CL_PULL_MISSING, CL_PULL_ALWAYS, CL_PULL_NEVER };

struct cl_run_image {
    const char *text; /* as the user wrote it */
    enum cl_pull_when pull;
    enum cl_progress_how progress;
    int without_landlock;
};

/* What the store knows of IMAGE as the lowest part of the plan: nothing when it isn't one of the
 * store's (host, rootfs:DIR), or when it isn't there and may not be pulled, which
 * cl_plan_decide says then. *RET_LOCK, to be closed at the end, keeps the image in the store; it
 * stays as it was where there is nothing to keep. */
int cl_run_image_part(const struct cl_run_image *image, struct cl_arena *arena, struct cl_plan *ret,
                      int *ret_lock, struct cl_error *err);

#endif
