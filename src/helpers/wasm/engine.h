/* engine.h - what engine/compiler/lib.rs adds to the engine's C API. */
#ifndef CL_HELPERS_WASM_ENGINE_H
#define CL_HELPERS_WASM_ENGINE_H

#include "base/defs.h"

enum cl_engine_death { CL_ENGINE_BUG, CL_ENGINE_OUT_OF_MEMORY };

/* Ends the process; called by any of its threads with SIZE bytes that say more. */
typedef void cl_engine_died(void *context, enum cl_engine_death why, const char *text, size_t size);

/* Comes before all other calls. CONTEXT lives as long as the process. */
void cl_engine_begin(cl_engine_died *died, void *context);

/* Starts COUNT threads to compile on; returns when they run. How many there are: 1, the caller
 * alone, where the host gives none. */
size_t cl_engine_start(size_t count);

struct wasm_engine_t; /* of the C API */

struct cl_engine_bytes {
    const void *data; /* never NULL */
    size_t size;
};

/* Checks all of MODULE, which is a component or isn't, then compiles it. 0 with the code, which
 * stays to the end; or -1 with what is wrong in TEXT, at most SIZE bytes with a NUL. */
// NOLINTNEXTLINE(readability-function-size): as the engine's side takes them
int cl_engine_compile(const struct wasm_engine_t *engine, const struct cl_engine_bytes *module,
                      int is_component, struct cl_engine_bytes *ret, char *text, size_t size);

#endif
