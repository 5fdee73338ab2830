/* One guest: a store, an instance in it, and its way from the first instruction to the end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/wasmtime.h"

enum { MEMORIES_MOST = 8, TABLES_MOST = 64 };

/* --- making one ---------------------------------------------------------------------------- */

static int make_store(struct cl_guest *guest, const struct cl_guest_limits *limits,
                      struct cl_error *err)
{
    const struct cl_engine *engine = guest->program->engine;

    guest->store = wasmtime_store_new(engine->engine, guest, NULL);
    if (guest->store == NULL)
        return cl_fail_memory(err);
    wasmtime_store_limiter(guest->store, (int64_t)limits->memory_bytes,
                           (int64_t)limits->table_elements, 1, TABLES_MOST, MEMORIES_MOST);
    wasmtime_context_t *context = wasmtime_store_context(guest->store);
    /* Beside who is alone nothing ticks: its time is what the supervisor counts. */
    wasmtime_context_set_epoch_deadline(context, engine->has_turns ? 1 : UINT64_MAX / 2);
    /* What this answers is none of an error, whatever its declaration says: it can't fail. */
    if (engine->has_turns)
        (void)wasmtime_context_epoch_deadline_async_yield_and_update(context, 1);
    return 0;
}

int cl_guest_new(struct cl_program *program, struct cl_wasi *wasi,
                 const struct cl_guest_limits *limits, struct cl_guest **ret_guest,
                 struct cl_error *err)
{
    struct cl_guest *guest = cl_calloc(1, sizeof(*guest));

    if (guest == NULL) {
        cl_wasi_free(wasi);
        return cl_fail_memory(err);
    }
    guest->wasi = wasi;
    guest->program = program;
    int r = make_store(guest, limits, err);
    if (r < 0)
        cl_guest_free(guest);
    else
        *ret_guest = guest;
    return r;
}

/* The call under way is taken back first: it uses the store, and writes to what follows. */
static void drop_call(struct cl_guest *guest)
{
    if (guest->future != NULL)
        wasmtime_call_future_delete(guest->future);
    guest->future = NULL;
    if (guest->error != NULL)
        wasmtime_error_delete(guest->error);
    guest->error = NULL;
    if (guest->trap != NULL)
        wasm_trap_delete(guest->trap);
    guest->trap = NULL;
}

void cl_guest_free(struct cl_guest *guest)
{
    if (guest == NULL)
        return;
    drop_call(guest);
    if (guest->store != NULL)
        wasmtime_store_delete(guest->store);
    cl_wasi_free(guest->wasi);
    free(guest);
}

uint64_t cl_guest_memory_bytes(const struct cl_guest *guest)
{
    return guest->memory_bytes;
}

/* --- its end ------------------------------------------------------------------------------- */

/* A call that the guest ended by is an error of the engine's, as others are that are none of its.
 */
static void settle(const struct cl_guest *guest, struct cl_guest_end *ret)
{
    switch (guest->last_answer) {
    case CL_WASI_ENDS:
        ret->exit_code = cl_wasi_exit_code(guest->wasi);
        return;
    case CL_WASI_EXCEEDS:
        ret->kind = CL_GUEST_END_EXCEEDED;
        return;
    default:
        ret->kind = CL_GUEST_END_TRAPPED;
        (void)snprintf(ret->trap, sizeof(ret->trap), "trap: the module raised a signal");
    }
}

/* Takes what a call of the engine's ended with; both NULL: the guest ended by itself. */
static int judge(struct cl_guest *guest, struct cl_guest_end *ret, struct cl_error *err)
{
    wasmtime_error_t *error = guest->error;
    int r = 0;

    *ret = (struct cl_guest_end){0};
    if (guest->last_answer != 0) {
        settle(guest, ret);
    } else if (guest->trap != NULL) {
        cl_trap_describe(guest->trap, ret);
    } else if (error != NULL) {
        guest->error = NULL;
        r = cl_engine_fail(error, "the module can't be run", err);
    }
    drop_call(guest);
    return r;
}

/* --- its beginning ------------------------------------------------------------------------- */

static void find_memory(struct cl_guest *guest, wasmtime_context_t *context)
{
    wasmtime_extern_t found;

    if (!wasmtime_instance_export_get(context, &guest->instance, "memory", strlen("memory"),
                                      &found))
        return;
    guest->has_memory = found.kind == WASMTIME_EXTERN_MEMORY;
    if (guest->has_memory)
        guest->memory = found.of.memory;
    else
        wasmtime_extern_delete(&found);
}

static int find_start(struct cl_guest *guest, struct cl_error *err)
{
    wasmtime_context_t *context = wasmtime_store_context(guest->store);
    wasmtime_extern_t found;

    if (!wasmtime_instance_export_get(context, &guest->instance, "_start", strlen("_start"),
                                      &found))
        return cl_refuse(err, EINVAL,
                         "it exports no function _start: it is a library, and no command");
    if (found.kind != WASMTIME_EXTERN_FUNC) {
        wasmtime_extern_delete(&found);
        return cl_refuse(err, EINVAL, "its export _start is no function");
    }
    guest->start = found.of.func;
    find_memory(guest, context);
    return 0;
}

/* --- alone --------------------------------------------------------------------------------- */

int cl_guest_run(struct cl_guest *guest, struct cl_guest_end *ret_end, struct cl_error *err)
{
    wasmtime_context_t *context = wasmtime_store_context(guest->store);

    CL_ASSERT(!guest->program->engine->has_turns);
    guest->error = wasmtime_instance_pre_instantiate(guest->program->pre, context, &guest->instance,
                                                     &guest->trap);
    if (guest->error == NULL && guest->trap == NULL) {
        int r = find_start(guest, err);
        if (r < 0)
            return r;
        guest->error = wasmtime_func_call(context, &guest->start, NULL, 0, NULL, 0, &guest->trap);
    }
    return judge(guest, ret_end, err);
}

/* --- in turns ------------------------------------------------------------------------------ */

/* Has the next call of the engine's under way: the instance is made, then it is run. */
static int begin_stage(struct cl_guest *guest, struct cl_error *err)
{
    wasmtime_context_t *context = wasmtime_store_context(guest->store);

    if (guest->stage == CL_GUEST_NEW) {
        guest->future = wasmtime_instance_pre_instantiate_async(
            guest->program->pre, context, &guest->instance, &guest->trap, &guest->error);
        guest->stage = CL_GUEST_BEGINS;
        return 0;
    }
    int r = find_start(guest, err);
    if (r < 0)
        return r;
    guest->future = wasmtime_func_call_async(context, &guest->start, NULL, 0, NULL, 0, &guest->trap,
                                             &guest->error);
    guest->stage = CL_GUEST_RUNS;
    return 0;
}

static void end_stage(struct cl_guest *guest)
{
    wasmtime_call_future_delete(guest->future);
    guest->future = NULL;
}

/* At its end; before that each call of the host's has looked (imports.c). */
static void look_at_memory(struct cl_guest *guest)
{
    if (guest->has_memory)
        guest->memory_bytes =
            wasmtime_memory_data_size(wasmtime_store_context(guest->store), &guest->memory);
}

int cl_guest_go_on(struct cl_guest *guest, struct cl_guest_end *ret_end, struct cl_error *err)
{
    CL_ASSERT(guest->program->engine->has_turns);
    for (;;) {
        if (guest->future == NULL) {
            int r = begin_stage(guest, err);
            if (r < 0)
                return r;
        }
        const int is_done = wasmtime_call_future_poll(guest->future);
        if (!is_done)
            return guest->is_waiting ? CL_TURN_WAITS : CL_TURN_OVER;
        end_stage(guest);
        look_at_memory(guest);
        if (guest->stage == CL_GUEST_RUNS || guest->error != NULL || guest->trap != NULL) {
            int r = judge(guest, ret_end, err);
            return r < 0 ? r : CL_TURN_ENDED;
        }
    }
}
