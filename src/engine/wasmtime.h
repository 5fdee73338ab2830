/* wasmtime.h - the adapter to Wasmtime's C API, shared by its files only. */
#ifndef CL_ENGINE_WASMTIME_H
#define CL_ENGINE_WASMTIME_H

#include <wasm.h>
#include <wasmtime.h>

#include "engine/engine.h"

struct cl_engine {
    wasm_engine_t *engine;
    wasmtime_linker_t *linker; /* with WASI in it */
    int has_turns;
};

struct cl_program {
    struct cl_engine *engine;
    wasmtime_module_t *module;
    wasmtime_instance_pre_t *pre; /* its imports are found */
    int file;                     /* what the engine has open of it; -1: nothing */
};

/* A call of the host's that is not over, when it waits. */
struct cl_guest_call {
    const struct cl_wasi_function *function;
    uint64_t arguments[CL_WASI_MAX_ARGUMENTS];
    struct cl_wasi_memory memory; /* stays where it is: who would move it waits */
    wasmtime_val_t *results;      /* the engine's, to the end of the call */
    wasm_trap_t **trap;
};

struct cl_guest {
    struct cl_wasi *wasi;
    struct cl_program *program;
    wasmtime_store_t *store;
    wasmtime_instance_t instance;
    wasmtime_func_t start;
    wasmtime_memory_t memory; /* once has_memory */
    int has_memory;
    uint64_t memory_bytes; /* as last seen */
    uint32_t last_answer;  /* of a call that it ended by; 0: none */

    /* Of one that runs in turns; the engine writes to ERROR and TRAP when FUTURE is over. */
    enum { CL_GUEST_NEW, CL_GUEST_BEGINS, CL_GUEST_RUNS } stage;
    wasmtime_call_future_t *future;
    wasmtime_error_t *error;
    wasm_trap_t *trap;
    int is_waiting;
    struct cl_guest_call call;
};

/* Gives ENGINE's linker the functions of wasi_snapshot_preview1. */
int cl_imports_define(struct cl_engine *engine, struct cl_error *err);
/* Takes ERROR, of WHAT, into ERR: -EINVAL. */
int cl_engine_fail(wasmtime_error_t *error, const char *what, struct cl_error *err);
/* The text of a TRAP and its backtrace; borrows it. */
void cl_trap_describe(const wasm_trap_t *trap, struct cl_guest_end *ret_end);
/* The same of an ERROR that is a trap of that CODE, or of none (-1): WORDS say what it was. */
void cl_trap_describe_error(const wasmtime_error_t *error, int32_t code, const char *words,
                            struct cl_guest_end *ret_end);

/* How much of its own stack this process can give to a guest, whose limit is raised for that: at
 * most CL_WASM_GUEST_STACK_KIB. Linux 2.6.36. */
int cl_engine_own_stack(uint64_t *ret_bytes, struct cl_error *err);
enum { CL_ENGINE_HOST_ROOM = 256 << 10 }; /* what it keeps for calls of the host, at the deepest */

/* A path at which open(2), called by the engine, finds the descriptor FD (open.c). */
enum { CL_MODULE_PATH_SIZE = 40 };
void cl_module_path(int fd, char ret[CL_MODULE_PATH_SIZE]);
/* What the engine has opened by such a path since it was last asked, and not closed; or -1. */
int cl_module_opened(void);

#endif
