/* wasm_version.h - which engine compiles and runs WebAssembly: what one version has compiled no
 * other loads. The same number as in engine/Cargo.toml; policy/wasm.h holds the two together. */
#ifndef CL_POLICY_WASM_VERSION_H
#define CL_POLICY_WASM_VERSION_H

#define CL_WASM_ENGINE_MAJOR 48
#define CL_WASM_ENGINE_MINOR 0
#define CL_WASM_ENGINE_PATCH 8

#define CL_WASM_TEXT_OF(number) #number
#define CL_WASM_TEXT(number) CL_WASM_TEXT_OF(number)
#define CL_WASM_ENGINE                                                                             \
    "wasmtime " CL_WASM_TEXT(CL_WASM_ENGINE_MAJOR) "." CL_WASM_TEXT(                               \
        CL_WASM_ENGINE_MINOR) "." CL_WASM_TEXT(CL_WASM_ENGINE_PATCH)

enum {
#define CL_WASM_BOUND(name, value, why) CL_WASM_##name = (value),
#include "policy/wasm.def"
};

#endif
