/* run_image.h - the image of a run, where it is one of the store.
 */
#ifndef CL_CMD_CLOISTER_RUN_IMAGE_H
#define CL_CMD_CLOISTER_RUN_IMAGE_H

#include "plan/plan.h"

/* What the store knows of IMAGE, as the user wrote it, as the lowest part of the plan: nothing when
 * IMAGE isn't a name (host, rootfs:DIR) or isn't in the store, which cl_plan_decide says then.
 * RET_LOCK, to be closed at the end, keeps the image in the store; -1: nothing to keep. */
int cl_run_image_part(const char *image, struct cl_arena *arena, struct cl_plan *ret, int *ret_lock,
                      struct cl_error *err);

#endif
