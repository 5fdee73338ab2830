/* The engine of engine.h by Wasmtime's C API, without a compiler.
 *
 * The compiled module is mapped from its file, so that all workers of a module share its code. */
#include "engine/wasmtime.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "base/utf8.h"
#include "policy/wasm.h"

enum { MEMORIES_MOST = 8, TABLES_MOST = 64 };

int cl_engine_fail(wasmtime_error_t *error, const char *what, struct cl_error *err)
{
    wasm_message_t message;
    char text[300];

    wasmtime_error_message(error, &message);
    const size_t size = message.size < sizeof(text) ? message.size : sizeof(text) - 1;
    memcpy(text, message.data, size);
    text[size] = '\0';
    text[strcspn(text, "\n")] = '\0'; /* what led to it follows */
    wasm_byte_vec_delete(&message);
    wasmtime_error_delete(error);
    cl_utf8_make_printable(text);
    return cl_refuse(err, EINVAL, "%s: %s", what, text);
}

/* --- making one ----------------------------------------------------------- */

/* By a name that open() here knows for the descriptor: the engine maps files by their path, and in
 * the sandbox there is no path to this one (open.c). */
static int map_module(struct cl_guest *guest, int module, struct cl_error *err)
{
    char path[CL_MODULE_PATH_SIZE];

    cl_module_path(module, path);
    wasmtime_error_t *error = wasmtime_module_deserialize_file(guest->engine, path, &guest->module);
    if (error == NULL)
        return 0;
    (void)cl_engine_fail(error, "the compiled module", err);
    err->code = ENOEXEC;
    return -ENOEXEC;
}

static int make_engine(struct cl_guest *guest, struct cl_error *err)
{
    wasm_config_t *config = wasm_config_new();

    cl_wasm_configure(config); /* as the compiler's was */
    guest->engine = wasm_engine_new_with_config(config);
    return guest->engine == NULL ? cl_refuse(err, ENOMEM, "the engine could not be made") : 0;
}

static int make_store(struct cl_guest *guest, const struct cl_guest_limits *limits,
                      struct cl_error *err)
{
    guest->store = wasmtime_store_new(guest->engine, guest, NULL);
    if (guest->store == NULL)
        return cl_fail_memory(err);
    wasmtime_store_limiter(guest->store, (int64_t)limits->memory_bytes,
                           (int64_t)limits->table_elements, 1, TABLES_MOST, MEMORIES_MOST);
    /* Nothing ticks: the processor's time is what the supervisor counts. */
    wasmtime_context_set_epoch_deadline(wasmtime_store_context(guest->store), UINT64_MAX / 2);
    return 0;
}

static int find_start(struct cl_guest *guest, const wasmtime_instance_t *instance,
                      struct cl_error *err)
{
    wasmtime_context_t *context = wasmtime_store_context(guest->store);
    wasmtime_extern_t found;

    if (!wasmtime_instance_export_get(context, instance, "_start", strlen("_start"), &found))
        return cl_refuse(err, EINVAL,
                         "it exports no function _start: it is a library, and no command");
    if (found.kind != WASMTIME_EXTERN_FUNC) {
        wasmtime_extern_delete(&found);
        return cl_refuse(err, EINVAL, "its export _start is no function");
    }
    guest->start = found.of.func;
    if (wasmtime_instance_export_get(context, instance, "memory", strlen("memory"), &found)) {
        guest->has_memory = found.kind == WASMTIME_EXTERN_MEMORY;
        if (guest->has_memory)
            guest->memory = found.of.memory;
        else
            wasmtime_extern_delete(&found);
    }
    return 0;
}

static int make_linker(struct cl_guest *guest, struct cl_error *err)
{
    guest->linker = wasmtime_linker_new(guest->engine);
    return guest->linker == NULL ? cl_fail_memory(err) : cl_imports_define(guest->linker, err);
}

int cl_guest_new(int module, struct cl_wasi *wasi, const struct cl_guest_limits *limits,
                 struct cl_guest **ret_guest, struct cl_error *err)
{
    struct cl_guest *guest = cl_calloc(1, sizeof(*guest));

    if (guest == NULL) {
        cl_wasi_free(wasi);
        return cl_fail_memory(err);
    }
    guest->wasi = wasi;
    int r = make_engine(guest, err);
    if (r == 0)
        r = map_module(guest, module, err);
    if (r == 0)
        r = make_store(guest, limits, err);
    if (r == 0)
        r = make_linker(guest, err);
    if (r < 0)
        cl_guest_free(guest);
    else
        *ret_guest = guest;
    return r;
}

void cl_guest_free(struct cl_guest *guest)
{
    if (guest == NULL)
        return;
    if (guest->linker != NULL)
        wasmtime_linker_delete(guest->linker);
    if (guest->store != NULL)
        wasmtime_store_delete(guest->store);
    if (guest->module != NULL)
        wasmtime_module_delete(guest->module);
    if (guest->engine != NULL)
        wasm_engine_delete(guest->engine);
    cl_wasi_free(guest->wasi);
    free(guest);
}

/* --- running it ----------------------------------------------------------- */

/* A call that the guest ended by is an error of the engine's, as others are that are none of its.
 */
static void settle(struct cl_guest *guest, struct cl_guest_end *ret)
{
    *ret = (struct cl_guest_end){.is_trap = guest->end == CL_GUEST_RAISED};
    if (ret->is_trap)
        (void)snprintf(ret->trap, sizeof(ret->trap), "trap: the module raised a signal");
    else
        ret->exit_code = cl_wasi_exit_code(guest->wasi);
}

/* Takes what a call of the engine's ended with; both NULL: the guest ended by itself. */
static int judge(struct cl_guest *guest, wasmtime_error_t *error, wasm_trap_t *trap,
                 struct cl_guest_end *ret, struct cl_error *err)
{
    *ret = (struct cl_guest_end){0};
    if (guest->end != CL_GUEST_GOES_ON)
        settle(guest, ret);
    else if (trap != NULL)
        cl_trap_describe(trap, ret);
    else if (error != NULL)
        return cl_engine_fail(error, "the module can't be run", err);
    if (error != NULL)
        wasmtime_error_delete(error);
    if (trap != NULL)
        wasm_trap_delete(trap);
    return 0;
}

int cl_guest_run(struct cl_guest *guest, struct cl_guest_end *ret_end, struct cl_error *err)
{
    wasmtime_context_t *context = wasmtime_store_context(guest->store);
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error =
        wasmtime_linker_instantiate(guest->linker, context, guest->module, &instance, &trap);

    if (error == NULL && trap == NULL) {
        int r = find_start(guest, &instance, err);
        if (r < 0)
            return r;
        error = wasmtime_func_call(context, &guest->start, NULL, 0, NULL, 0, &trap);
    }
    return judge(guest, error, trap, ret_end, err);
}
