/* The component of component.h by Wasmtime's C API, and what engine/component/ adds to it. */
#include "engine/component.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "engine/wasi2.h"
#include "engine/wasmtime.h"
#include "policy/wasm.h"

struct cl_component {
    struct cl_component_guest *guest;
};

/* The guest runs on a stack that the engine makes, of whose size the process's own limit decides.
 */
static int make_engine(wasm_engine_t **ret, struct cl_error *err)
{
    uint64_t bytes = 0;
    int r = cl_engine_own_stack(&bytes, err);

    if (r < 0)
        return r;
    wasm_config_t *config = wasm_config_new();
    cl_wasm_configure(config, 0); /* as the compiler's was */
    wasmtime_config_wasm_component_model_set(config, true);
    wasmtime_config_max_wasm_stack_set(config, (size_t)bytes);
    wasmtime_config_async_stack_size_set(config, bytes + CL_ENGINE_HOST_ROOM);
    *ret = wasm_engine_new_with_config(config);
    return *ret == NULL ? cl_refuse(err, ENOMEM, "the engine could not be made") : 0;
}

static int map_component(wasm_engine_t *engine, int code, wasmtime_component_t **ret,
                         struct cl_error *err)
{
    char path[CL_MODULE_PATH_SIZE];

    cl_module_path(code, path);
    wasmtime_error_t *error = wasmtime_component_deserialize_file(engine, path, ret);
    if (error == NULL)
        return 0;
    (void)cl_engine_fail(error, "the compiled component", err);
    err->code = ENOEXEC;
    return -ENOEXEC;
}

static int make_guest(struct cl_component *component, int code,
                      const struct cl_component_world *world, struct cl_error *err)
{
    const struct cl_component_setup setup = {
        .arguments = world->argv,
        .environment = world->envp,
        .memory_bytes = world->limits.memory_bytes,
        .table_elements = world->limits.table_elements,
        .has_network = world->has_network,
    };
    wasmtime_component_t *mapped = NULL;
    wasm_engine_t *engine = NULL;
    int r = make_engine(&engine, err);

    if (r == 0)
        r = map_component(engine, code, &mapped, err);
    if (r < 0)
        return r;
    wasmtime_error_t *error = cl_component_guest_new(engine, mapped, &setup, &component->guest);
    return error == NULL ? 0 : cl_engine_fail(error, "the component can't be run", err);
}

int cl_component_new(int code, const struct cl_component_world *world, struct cl_component **ret,
                     struct cl_error *err)
{
    struct cl_component *component = cl_calloc(1, sizeof(*component));

    if (component == NULL)
        return cl_fail_memory(err);
    int r = make_guest(component, code, world, err);
    if (r < 0)
        free(component);
    else
        *ret = component;
    return r;
}

int cl_component_run(struct cl_component *component, struct cl_guest_end *ret_end,
                     struct cl_error *err)
{
    struct cl_component_end end = {0};

    *ret_end = (struct cl_guest_end){.kind = CL_GUEST_END_EXITED};
    cl_component_guest_run(component->guest, &end);
    if (end.error == NULL) {
        ret_end->exit_code = (uint32_t)end.status;
        return 0;
    }
    if (!end.is_trap)
        return cl_engine_fail(end.error, "the component can't be run", err);
    cl_trap_describe_error(end.error, end.trap_code, end.text, ret_end);
    wasmtime_error_delete(end.error);
    return 0;
}
