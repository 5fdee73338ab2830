/* wasm.h - the engine's configuration by policy/wasm.def, for programs that link the engine.
 *
 * The engine also reads WASMTIME_BACKTRACE_DETAILS from the environment when a configuration is
 * made, and what it says is in the code: a program that has an environment clears it before.
 */
#ifndef CL_POLICY_WASM_H
#define CL_POLICY_WASM_H

#include <stdbool.h>
#include <wasmtime.h>

#include "policy/wasm_version.h"

_Static_assert(WASMTIME_VERSION_MAJOR == CL_WASM_ENGINE_MAJOR &&
                   WASMTIME_VERSION_MINOR == CL_WASM_ENGINE_MINOR &&
                   WASMTIME_VERSION_PATCH == CL_WASM_ENGINE_PATCH,
               "policy/wasm_version.h names another engine than engine/Cargo.toml");

/* Sets all rows that this build of the engine knows. */
static inline void cl_wasm_configure(wasm_config_t *config, bool in_turns)
{
#define CL_WASM_SAME(setting, value, why) wasmtime_config_##setting##_set(config, value);
#ifdef WASMTIME_FEATURE_COMPILER
#define CL_WASM_COMPILER(setting, value, why) wasmtime_config_##setting##_set(config, value);
#else
#define CL_WASM_WORKER(setting, value, why) wasmtime_config_##setting##_set(config, value);
#endif
#include "policy/wasm.def"
}

#endif
