/* The engine of engine.h by Wasmtime's C API, without a compiler, and the programs it runs. */
#include "engine/engine.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "engine/wasmtime.h"
#include "policy/wasm.h"

/* --- the engine ---------------------------------------------------------------------------- */

/* What the engine will reserve for POOL, more or less. */
static uint64_t room_for(const struct cl_engine_pool *pool)
{
    const bool in_turns CL_UNUSED = true;
#define CL_WASM_SAME(setting, value, why) const uint64_t setting CL_UNUSED = (uint64_t)(value);
#define CL_WASM_WORKER(setting, value, why) const uint64_t setting CL_UNUSED = (uint64_t)(value);
#include "policy/wasm.def"

    return pool->guests * (memory_reservation + memory_guard_size + async_stack_size +
                           pool->table_elements * sizeof(void *));
}

/* The engine knows no answer but its end when the host refuses it that (ulimit -v). */
static int check_room(const struct cl_engine_pool *pool, struct cl_error *err)
{
    const uint64_t bytes = room_for(pool);
    void *room = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (room == MAP_FAILED)
        return cl_refuse(err, ENOMEM,
                         "%u guests take %llu GiB of address space, more than there is; see "
                         "ulimit -v",
                         pool->guests, (unsigned long long)(bytes >> 30));
    (void)munmap(room, bytes); /* it was ours */
    return 0;
}

/* All of it is address space: what nobody touches is no memory. */
static void add_pool(wasm_config_t *config, const struct cl_engine_pool *pool)
{
    wasmtime_pooling_allocation_config_t *pooling = wasmtime_pooling_allocation_config_new();

    wasmtime_pooling_allocation_config_total_core_instances_set(pooling, pool->guests);
    wasmtime_pooling_allocation_config_total_stacks_set(pooling, pool->guests);
    wasmtime_pooling_allocation_config_total_memories_set(pooling, pool->guests);
    wasmtime_pooling_allocation_config_total_tables_set(pooling, pool->guests);
    wasmtime_pooling_allocation_config_max_memory_size_set(pooling, pool->memory_bytes);
    wasmtime_pooling_allocation_config_table_elements_set(pooling, pool->table_elements);
#define CL_WASM_POOL(setting, value, why)                                                          \
    wasmtime_pooling_allocation_config_##setting##_set(pooling, value);
#include "policy/wasm.def"
    wasmtime_pooling_allocation_strategy_set(config, pooling);
    wasmtime_pooling_allocation_config_delete(pooling);
}

/* The engine wants to know of stacks of its own that they are no smaller; it makes none here. */
static int add_own_stack(wasm_config_t *config, struct cl_error *err)
{
    uint64_t bytes = 0;
    int r = cl_engine_own_stack(&bytes, err);

    if (r < 0)
        return r;
    wasmtime_config_max_wasm_stack_set(config, (size_t)bytes);
    wasmtime_config_async_stack_size_set(config, bytes);
    return 0;
}

static int make_engine(const struct cl_engine_pool *pool, int in_turns, struct cl_engine *ret,
                       struct cl_error *err)
{
    wasm_config_t *config = wasm_config_new();

    cl_wasm_configure(config, in_turns); /* as the compiler's was */
    ret->has_turns = pool != NULL;
    int r = 0;
    if (pool != NULL)
        add_pool(config, pool);
    else
        r = add_own_stack(config, err);
    if (r < 0) {
        wasm_config_delete(config);
        return r;
    }
    ret->engine = wasm_engine_new_with_config(config);
    if (ret->engine == NULL)
        return cl_refuse(err, ENOMEM, "the engine could not be made");
    ret->linker = wasmtime_linker_new(ret->engine);
    return ret->linker == NULL ? cl_fail_memory(err) : cl_imports_define(ret, err);
}

static int new_engine(const struct cl_engine_pool *pool, int in_turns,
                      struct cl_engine **ret_engine, struct cl_error *err)
{
    struct cl_engine *engine = cl_calloc(1, sizeof(*engine));

    if (engine == NULL)
        return cl_fail_memory(err);
    int r = make_engine(pool, in_turns, engine, err);
    if (r < 0)
        cl_engine_free(engine);
    else
        *ret_engine = engine;
    return r;
}

int cl_engine_new(const struct cl_engine_pool *pool, struct cl_engine **ret_engine,
                  struct cl_error *err)
{
    int r = check_room(pool, err);

    return r < 0 ? r : new_engine(pool, 1, ret_engine, err);
}

int cl_engine_new_alone(int in_turns, struct cl_engine **ret_engine, struct cl_error *err)
{
    return new_engine(NULL, in_turns, ret_engine, err);
}

void cl_engine_free(struct cl_engine *engine)
{
    if (engine == NULL)
        return;
    if (engine->linker != NULL)
        wasmtime_linker_delete(engine->linker);
    if (engine->engine != NULL)
        wasm_engine_delete(engine->engine);
    free(engine);
}

void cl_engine_tick(struct cl_engine *engine)
{
    wasmtime_engine_increment_epoch(engine->engine);
}

int cl_engine_probe(CL_UNUSED struct cl_buf *out, CL_UNUSED struct cl_error *err)
{
    return 0;
}

/* --- programs ------------------------------------------------------------------------------ */

/* By a name that open() here knows for the descriptor: the engine maps files by their path, and in
 * the sandbox there is no path to this one (open.c). All guests of a program share its code. */
static int map_module(struct cl_program *program, int module, struct cl_error *err)
{
    char path[CL_MODULE_PATH_SIZE];

    cl_module_path(module, path);
    wasmtime_error_t *error =
        wasmtime_module_deserialize_file(program->engine->engine, path, &program->module);
    program->file = cl_module_opened();
    if (error == NULL)
        return 0;
    (void)cl_engine_fail(error, "the compiled module", err);
    err->code = ENOEXEC;
    return -ENOEXEC;
}

static int find_imports(struct cl_program *program, struct cl_error *err)
{
    wasmtime_error_t *error =
        wasmtime_linker_instantiate_pre(program->engine->linker, program->module, &program->pre);

    return error == NULL ? 0 : cl_engine_fail(error, "the module can't be run", err);
}

int cl_program_new(struct cl_engine *engine, int module, struct cl_program **ret_program,
                   struct cl_error *err)
{
    struct cl_program *program = cl_calloc(1, sizeof(*program));

    if (program == NULL)
        return cl_fail_memory(err);
    program->engine = engine;
    int r = map_module(program, module, err);
    if (r == 0)
        r = find_imports(program, err);
    if (r < 0)
        cl_program_free(program);
    else
        *ret_program = program;
    return r;
}

int cl_program_file(const struct cl_program *program)
{
    return program->file;
}

void cl_program_free(struct cl_program *program)
{
    if (program == NULL)
        return;
    if (program->pre != NULL)
        wasmtime_instance_pre_delete(program->pre);
    if (program->module != NULL)
        wasmtime_module_delete(program->module);
    free(program);
}
