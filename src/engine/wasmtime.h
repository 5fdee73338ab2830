/* wasmtime.h - the adapter to Wasmtime's C API, shared by its files only. */
#ifndef CL_ENGINE_WASMTIME_H
#define CL_ENGINE_WASMTIME_H

#include <wasm.h>
#include <wasmtime.h>

#include "engine/engine.h"

struct cl_guest {
    struct cl_wasi *wasi;
    wasm_engine_t *engine;
    wasmtime_module_t *module;
    wasmtime_linker_t *linker;
    wasmtime_store_t *store;
    wasmtime_func_t start;
    wasmtime_memory_t memory; /* once has_memory */
    int has_memory;
    enum { CL_GUEST_GOES_ON, CL_GUEST_EXITED, CL_GUEST_RAISED } end; /* by a call of its own */
};

/* Gives LINKER the functions of wasi_snapshot_preview1. */
int cl_imports_define(wasmtime_linker_t *linker, struct cl_error *err);
/* Takes ERROR, of WHAT, into ERR: -EINVAL. */
int cl_engine_fail(wasmtime_error_t *error, const char *what, struct cl_error *err);
/* The text of a TRAP and its backtrace; borrows it. */
void cl_trap_describe(const wasm_trap_t *trap, struct cl_guest_end *ret_end);

/* A path at which open(2), called by the engine, finds the descriptor FD (open.c). */
enum { CL_MODULE_PATH_SIZE = 40 };
void cl_module_path(int fd, char ret[CL_MODULE_PATH_SIZE]);

#endif
