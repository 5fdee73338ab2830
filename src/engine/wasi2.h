/* wasi2.h - what engine/component/lib.rs adds to the engine's C API: WASI 0.2 for one guest. */
#ifndef CL_ENGINE_WASI2_H
#define CL_ENGINE_WASI2_H

#include <wasm.h>
#include <wasmtime.h>

/* Lists end with NULL; all of it may go when the guest is made. */
struct cl_component_setup {
    const char *const *arguments;
    const char *const *environment; /* "NAME=VALUE"; the value of PWD is the initial directory */
    uint64_t memory_bytes;          /* that each linear memory may have */
    uint64_t table_elements;        /* that each table may */
    int has_network;                /* 0: it makes no socket, whatever its guest asks for */
};

struct cl_component_guest;

/* One that runs COMPONENT with the process's streams and root directory; nothing of it runs yet.
 * NULL, or what is wrong with it. */
wasmtime_error_t *cl_component_guest_new(const wasm_engine_t *engine,
                                         const wasmtime_component_t *component,
                                         const struct cl_component_setup *setup,
                                         struct cl_component_guest **ret);

struct cl_component_end {
    int32_t status;
    int is_trap;
    int32_t trap_code; /* of a trap; -1: none of an instruction: TEXT says what */
    char text[200];
    wasmtime_error_t *error; /* NULL: it ended with STATUS */
};

/* Runs GUEST to its end, once. RET is zeros before. */
void cl_component_guest_run(struct cl_component_guest *guest, struct cl_component_end *ret);

#endif
