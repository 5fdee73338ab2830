/* run_plan.h - from a request, as options make it, to the decided plan of a sandbox. */
#ifndef CL_CMD_CLOISTER_RUN_PLAN_H
#define CL_CMD_CLOISTER_RUN_PLAN_H

#include "cmd/cloister/run_options.h"

/* What POLICY, of the file at PATH, says of host paths that are relative counts from that file's
 * directory. */
int cl_run_rebase_files(struct cl_plan *policy, const char *path, struct cl_arena *arena,
                        struct cl_error *err);

/* The plan of REQUEST, whose image is pulled where it has to be. BELOW, a part that comes under the
 * policy of REQUEST and over the image, may be NULL. *IMAGE_LOCK, to be closed at the end of the
 * run, keeps an image of the store where it is, or is a module, compiled (cl_run_image_file). A
 * note for the user goes to standard error. */
int cl_run_plan(struct cl_run_request *request, const struct cl_plan *below, struct cl_plan *ret,
                int *image_lock, struct cl_error *err);

#endif
