/* run_module.h - the module of a run, where that is a WebAssembly module: a file, an image of one,
 * or the command's file in an image's tree.
 */
#ifndef CL_CMD_CLOISTER_RUN_MODULE_H
#define CL_CMD_CLOISTER_RUN_MODULE_H

#include "module/module.h"
#include "plan/plan.h"

/* What FLAGS' image is as the lowest part of the plan, where it is a module's file, which isn't
 * looked at yet: nothing when it is something else. */
int cl_run_module_part(const struct cl_plan *flags, struct cl_arena *arena, struct cl_plan *ret,
                       struct cl_error *err);

/* The module that PLAN, decided, runs; compiled when it wasn't yet. Of a file it gets the digest.
 * One that is a component it runs as that, in a process: -EINVAL where the other model IS ASKED
 * FOR, and not the default. RET stays as it was where PLAN runs none. */
int cl_run_module_compile(struct cl_plan *plan, int model_is_asked_for, struct cl_arena *arena,
                          struct cl_module *ret, struct cl_error *err);

/* For cl_run_options: MODULE, if it is one. */
static inline int cl_run_module_file(const struct cl_module *module)
{
    return module->fd >= 0 ? module->fd : 0;
}

#endif
