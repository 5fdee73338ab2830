/* library.h - a worker whose engine is a library: what it finds in its root. walls/wasm's own. */
#ifndef CL_WALLS_WASM_LIBRARY_H
#define CL_WALLS_WASM_LIBRARY_H

#include "base/arena.h"
#include "plan/plan.h"

/* Makes PLAN (a copy, of the caller's) that of such a worker; what is added is ARENA's. RET_LOADER
 * is as in struct cl_wall_program. */
int cl_wasm_add_library(struct cl_plan *plan, struct cl_arena *arena, const char **ret_loader,
                        struct cl_error *err);

#endif
