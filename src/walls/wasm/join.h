/* join.h - a sandbox that is a guest of its tenant's worker: walls/wasm's own.
 */
#ifndef CL_WALLS_WASM_JOIN_H
#define CL_WALLS_WASM_JOIN_H

#include "walls/wall.h"

/* As the wall's functions of these names, for a START with a worker, and the process made so
 * (`is_joined`). */
int cl_wasm_join(const struct cl_wall_start *start, struct cl_wall_process *ret,
                 struct cl_error *err);
int cl_wasm_join_release(struct cl_wall_process *process, const struct cl_limits *limits,
                         struct cl_error *err);
int cl_wasm_join_signal(struct cl_wall_process *process, int signal, struct cl_error *err);
int cl_wasm_join_pause(struct cl_wall_process *process, int is_paused, struct cl_error *err);
int cl_wasm_join_tell(struct cl_wall_process *process, const struct cl_wall_told *told, int client,
                      struct cl_error *err);
int cl_wasm_join_receive(struct cl_wall_process *process, struct cl_error *err);

#endif
