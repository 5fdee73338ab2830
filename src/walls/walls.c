#include "walls/wall.h"

static const struct cl_wall *const walls[CL_WALL_COUNT] = {
    [CL_WALL_CONTAINER] = &cl_wall_container,
    [CL_WALL_WASM] = &cl_wall_wasm,
};

const struct cl_wall *cl_wall_get(enum cl_wall_kind kind)
{
    return kind < CL_WALL_COUNT ? walls[kind] : NULL;
}
