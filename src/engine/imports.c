/* The functions that a module imports, each a row of WASI's table.
 *
 * They are "unchecked" functions of the engine: their types are given once, and a call costs no
 * conversion. What the engine promises for that is that the arguments are of those types.
 */
#include <string.h>

#include "engine/wait.h"
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
    guest->memory_bytes = ret->size_bytes;
}

static void take_arguments(const char *parameters, const wasmtime_val_raw_t *values, uint64_t *ret)
{
    for (size_t i = 0; parameters[i] != '\0'; i++)
        ret[i] = parameters[i] == 'I' ? (uint64_t)values[i].i64 : (uint32_t)values[i].i32;
}

static wasm_trap_t *trap_of(const char *message)
{
    return wasmtime_trap_new(message, strlen(message));
}

/* The engine's, of a guest that is not to go on: who ran it knows better why. NULL: it goes on. */
static wasm_trap_t *end_of(struct cl_guest *guest, uint32_t answer)
{
    if (answer <= UINT16_MAX)
        return NULL;
    guest->last_answer = answer;
    return trap_of("the guest ends");
}

/* --- of a guest that is alone -------------------------------------------------------------- */

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
        cl_engine_wait(cl_wasi_waits_for(guest->wasi));
    if (function->has_result)
        values[0].i32 = (int32_t)answer;
    return end_of(guest, answer);
}

/* --- of one that runs in turns ------------------------------------------------------------- */

/* Makes the call, the first time or again. True when it is over. */
static bool make_call(void *env)
{
    struct cl_guest *guest = env;
    const struct cl_guest_call *made = &guest->call;
    const uint32_t answer = made->function->call(guest->wasi, &made->memory, made->arguments);

    guest->is_waiting = answer == CL_WASI_WAITS;
    if (guest->is_waiting)
        return false;
    if (made->function->has_result) /* as long as it waits the engine keeps both places */
        made->results[0] = (wasmtime_val_t){.kind = WASMTIME_I32, .of = {.i32 = (int32_t)answer}};
    *made->trap = end_of(guest, answer);
    return true;
}

static bool is_over(CL_UNUSED void *env)
{
    return true;
}

/* What it can't do at once it goes on with when the guest is run again, on whose stack it is. The
 * caller is good for this call alone. */
// NOLINTNEXTLINE(readability-function-size): the engine says what it gets
static void call_in_turns(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *parameters,
                          CL_UNUSED size_t parameter_count, wasmtime_val_t *results,
                          CL_UNUSED size_t result_count, wasm_trap_t **trap,
                          wasmtime_async_continuation_t *ret)
{
    wasmtime_context_t *context = wasmtime_caller_context(caller);
    struct cl_guest *guest = wasmtime_context_get_data(context);
    struct cl_guest_call *made = &guest->call;

    made->function = env;
    for (size_t i = 0; made->function->parameters[i] != '\0'; i++)
        made->arguments[i] = made->function->parameters[i] == 'I' ? (uint64_t)parameters[i].of.i64
                                                                  : (uint32_t)parameters[i].of.i32;
    find_memory(guest, caller, context, &made->memory);
    made->results = results;
    made->trap = trap;
    ret->callback = make_call(guest) ? is_over : make_call;
    ret->env = guest;
}

/* --- the table ----------------------------------------------------------------------------- */

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

/* A call that may wait in turns costs some 200 ns more than one that can't. */
static wasmtime_error_t *define(const struct cl_engine *engine,
                                const struct cl_wasi_function *function,
                                const wasm_functype_t *type)
{
    void *env = cl_unconst(function);

    if (engine->has_turns && function->may_wait)
        return wasmtime_linker_define_async_func(engine->linker, module_name, strlen(module_name),
                                                 function->name, strlen(function->name), type,
                                                 call_in_turns, env, NULL);
    return wasmtime_linker_define_func_unchecked(engine->linker, module_name, strlen(module_name),
                                                 function->name, strlen(function->name), type, call,
                                                 env, NULL);
}

int cl_imports_define(struct cl_engine *engine, struct cl_error *err)
{
    for (size_t i = 0; i < CL_WASI_FUNCTION_COUNT; i++) {
        const struct cl_wasi_function *function = &cl_wasi_functions[i];
        wasm_functype_t *type = type_of(function);
        wasmtime_error_t *error = define(engine, function, type);

        wasm_functype_delete(type);
        if (error != NULL)
            return cl_engine_fail(error, function->name, err);
    }
    return 0;
}
