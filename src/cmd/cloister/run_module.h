/* run_module.h - the image of a run, where it is a WebAssembly module.
 */
#ifndef CL_CMD_CLOISTER_RUN_MODULE_H
#define CL_CMD_CLOISTER_RUN_MODULE_H

#include "module/module.h"
#include "plan/plan.h"

/* The module in the file PATH, compiled for TENANT (NULL: who has none) when it wasn't yet.
 * IN_TURNS: as one of many (module.h). */
int cl_module_of_file(const char *path, const char *tenant, int in_turns, struct cl_module *ret,
                      struct cl_error *err);

/* What FLAGS' image is as the lowest part of the plan: nothing when it is no module. Compiled
 * when it wasn't yet. *RET_FILE, to be closed at the end, is the compiled form; it stays as it was
 * where there is none. */
int cl_run_module_part(const struct cl_plan *flags, struct cl_arena *arena, struct cl_plan *ret,
                       int *ret_file, struct cl_error *err);

/* Once PLAN is decided: puts in the place of *FILE the code for its model, where that is not what
 * cl_run_module_part could guess from FLAGS. */
int cl_run_module_settle(const struct cl_plan *flags, const struct cl_plan *plan, int *file,
                         struct cl_error *err);

/* For cl_run_options: FILE, which is something else where PLAN's image is no file. */
static inline int cl_run_image_file(const struct cl_plan *plan, int file)
{
    return plan->image_kind == CL_IMAGE_MODULE ? file : 0;
}

#endif
