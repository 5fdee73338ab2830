/* The functions that a module imports, each a row of WASI's table.
 *
 * They are "unchecked" functions of the engine: their types are given once, and a call costs no
 * conversion. What the engine promises for that is that the arguments are of those types.
 */
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "engine/wasmtime.h"

static const char module_name[] = "wasi_snapshot_preview1";

/* A module that runs WASI's functions before all of it is made (its start function) has its memory
 * looked up by name; one that exports none has none that a pointer could point into. */
static void find_memory(struct cl_guest *guest, wasmtime_caller_t *caller,
                        wasmtime_context_t *context, struct cl_wasi_memory *ret)
{
    wasmtime_extern_t found;

    *ret = (struct cl_wasi_memory){0};
    if (!guest->has_memory) {
        if (!wasmtime_caller_export_get(caller, "memory", strlen("memory"), &found))
            return;
        if (found.kind != WASMTIME_EXTERN_MEMORY) {
            wasmtime_extern_delete(&found);
            return;
        }
        guest->memory = found.of.memory;
        guest->has_memory = 1;
    }
    ret->base = wasmtime_memory_data(context, &guest->memory);
    ret->size_bytes = wasmtime_memory_data_size(context, &guest->memory);
}

static void take_arguments(const char *parameters, const wasmtime_val_raw_t *values, uint64_t *ret)
{
    for (size_t i = 0; parameters[i] != '\0'; i++)
        ret[i] = parameters[i] == 'I' ? (uint64_t)values[i].i64 : (uint32_t)values[i].i32;
}

/* The one guest of the process: whoever else there is in it waits by being another. */
static void wait_for(const struct cl_wasi_wait *wait)
{
    int timeout_ms = -1;

    if (wait->deadline_ns != UINT64_MAX) {
        const uint64_t now = cl_clock_mono_ns();
        const uint64_t left = wait->deadline_ns > now ? wait->deadline_ns - now : 0;

        /* a part of a millisecond is waited for whole; more than int holds comes in turns */
        timeout_ms = left / CL_NS_PER_MS >= INT32_MAX
                         ? INT32_MAX
                         : (int)((left + CL_NS_PER_MS - 1) / CL_NS_PER_MS);
    }
    (void)cl_sys_poll(wait->fds, wait->count, timeout_ms); /* whatever it says, we look again */
}

static wasm_trap_t *trap_of(const char *message)
{
    return wasmtime_trap_new(message, strlen(message));
}

static wasm_trap_t *call(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *values,
                         size_t CL_UNUSED count)
{
    const struct cl_wasi_function *function = env;
    wasmtime_context_t *context = wasmtime_caller_context(caller);
    struct cl_guest *guest = wasmtime_context_get_data(context);
    uint64_t arguments[CL_WASI_MAX_ARGUMENTS];
    struct cl_wasi_memory memory;
    uint32_t answer;

    take_arguments(function->parameters, values, arguments);
    find_memory(guest, caller, context, &memory);
    while ((answer = function->call(guest->wasi, &memory, arguments)) == CL_WASI_WAITS)
        wait_for(cl_wasi_waits_for(guest->wasi));
    if (answer == CL_WASI_ENDS || answer == CL_WASI_TRAPS) {
        guest->end = answer == CL_WASI_ENDS ? CL_GUEST_EXITED : CL_GUEST_RAISED;
        return trap_of("the guest ends"); /* for the engine; who ran it knows better */
    }
    if (function->has_result)
        values[0].i32 = (int32_t)answer;
    return NULL;
}

static wasm_functype_t *type_of(const struct cl_wasi_function *function)
{
    const size_t count = strlen(function->parameters);
    wasm_valtype_vec_t parameters;
    wasm_valtype_vec_t results;

    wasm_valtype_vec_new_uninitialized(&parameters, count);
    for (size_t i = 0; i < count; i++)
        parameters.data[i] = wasm_valtype_new(function->parameters[i] == 'I' ? WASM_I64 : WASM_I32);
    if (function->has_result) {
        wasm_valtype_vec_new_uninitialized(&results, 1);
        results.data[0] = wasm_valtype_new(WASM_I32);
    } else {
        wasm_valtype_vec_new_empty(&results);
    }
    return wasm_functype_new(&parameters, &results); /* takes both */
}

int cl_imports_define(wasmtime_linker_t *linker, struct cl_error *err)
{
    for (size_t i = 0; i < CL_WASI_FUNCTION_COUNT; i++) {
        const struct cl_wasi_function *function = &cl_wasi_functions[i];
        wasm_functype_t *type = type_of(function);
        wasmtime_error_t *error = wasmtime_linker_define_func_unchecked(
            linker, module_name, strlen(module_name), function->name, strlen(function->name), type,
            call, cl_unconst(function), NULL);

        wasm_functype_delete(type);
        if (error != NULL)
            return cl_engine_fail(error, function->name, err);
    }
    return 0;
}
