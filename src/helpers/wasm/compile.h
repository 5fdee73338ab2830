/* compile.h - a module's bytes as code for this machine. */
#ifndef CL_HELPERS_WASM_COMPILE_H
#define CL_HELPERS_WASM_COMPILE_H

#include "base/error.h"

struct wasm_engine_t;

struct cl_compile_job {
    const char *name; /* what messages begin with */
    int in_turns;     /* it will run beside others, and is to give way (policy/wasm.def) */
    int is_component; /* so it has been taken for one (WASI 0.2), and not for a module */
    size_t threads;
    int input; /* a regular file; it must keep its size */
    int output;
    struct wasm_engine_t *engine; /* by cl_compile_prepare */
};

/* Before the jail: the engine finds out what the processor can do. Engine and job are one
 * process's: what ends the engine early is told by JOB's name. */
void cl_compile_prepare(struct cl_compile_job *job);

/* As a jail's start_threads: CONTEXT is the job. */
int cl_compile_start_threads(void *context, struct cl_error *err);

int cl_compile_module(const struct cl_compile_job *job, struct cl_error *err);

#endif
