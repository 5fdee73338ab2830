/* The functions that a module imports, each a row of WASI's table, as a host module. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "engine/wait.h"
#include "engine/wasmedge/wasmedge.h"

static const char module_name[] = "wasi_snapshot_preview1";

enum { PAGE = 64 << 10, NAME_MOST = 100 };

/* --- the guest's memory -------------------------------------------------------------------- */

void cl_edge_find_memory(struct cl_guest *guest, const struct cl_edge_module *instance,
                         struct cl_wasi_memory *ret)
{
    const struct cl_edge *edge = &guest->program->engine->edge;

    *ret = (struct cl_wasi_memory){0};
    if (guest->memory == NULL && instance != NULL)
        guest->memory = edge->ModuleInstanceFindMemory(instance, cl_edge_string("memory"));
    if (guest->memory == NULL)
        return;
    const uint64_t pages = (uint32_t)edge->MemoryInstanceGetPageSize(guest->memory);
    ret->base = pages == 0 ? NULL : edge->MemoryInstanceGetPointer(guest->memory, 0, 1);
    ret->size_bytes = ret->base == NULL ? 0 : pages * PAGE;
    guest->memory_bytes = ret->size_bytes;
}

/* --- a call -------------------------------------------------------------------------------- */

static void take_arguments(const struct cl_edge *edge, const char *parameters,
                           const struct cl_edge_value *values, uint64_t *ret)
{
    for (size_t i = 0; parameters[i] != '\0'; i++)
        ret[i] = parameters[i] == 'I' ? (uint64_t)edge->ValueGetI64(values[i])
                                      : (uint32_t)edge->ValueGetI32(values[i]);
}

static struct cl_edge_result call(void *data, const struct cl_edge_frame *frame,
                                  const struct cl_edge_value *parameters,
                                  struct cl_edge_value *results)
{
    const struct cl_edge_call *made = data;
    const struct cl_wasi_function *function = made->function;
    struct cl_guest *guest = made->guest;
    const struct cl_edge *edge = &guest->program->engine->edge;
    uint64_t arguments[CL_WASI_MAX_ARGUMENTS];
    struct cl_wasi_memory memory;
    uint32_t answer;

    take_arguments(edge, function->parameters, parameters, arguments);
    cl_edge_find_memory(guest, edge->CallingFrameGetModuleInstance(frame), &memory);
    while ((answer = function->call(guest->wasi, &memory, arguments)) == CL_WASI_WAITS)
        cl_engine_wait(cl_wasi_waits_for(guest->wasi));
    if (function->has_result)
        results[0] = edge->ValueGenI32((int32_t)answer);
    if (answer <= UINT16_MAX)
        return CL_EDGE_SUCCESS;
    guest->last_answer = answer; /* who ran it knows better why */
    return CL_EDGE_TERMINATE;
}

/* --- the table ----------------------------------------------------------------------------- */

/* Types as this version has them. */
struct types {
    struct cl_edge_type structs[CL_WASI_MAX_ARGUMENTS];
    int32_t numbers[CL_WASI_MAX_ARGUMENTS];
};

static const void *types_of(const struct cl_edge *edge, const char *letters, struct types *types)
{
    enum { I32 = 0x7f, I64 = 0x7e };

    for (size_t i = 0; letters[i] != '\0'; i++) {
        if (edge->minor < CL_EDGE_STRUCT_MINOR)
            types->numbers[i] = letters[i] == 'I' ? I64 : I32;
        else
            types->structs[i] = letters[i] == 'I' ? edge->ValTypeGenI64() : edge->ValTypeGenI32();
    }
    return edge->minor < CL_EDGE_STRUCT_MINOR ? (const void *)types->numbers : types->structs;
}

static struct cl_edge_function *make_function(const struct cl_edge *edge, struct cl_edge_call *made)
{
    const char *letters = made->function->parameters;
    const char *results = made->function->has_result ? "i" : "";
    struct types parameter_types;
    struct types result_types;
    struct cl_edge_function_type *type = edge->FunctionTypeCreate(
        types_of(edge, letters, &parameter_types), (uint32_t)strlen(letters),
        types_of(edge, results, &result_types), (uint32_t)strlen(results));

    if (type == NULL)
        return NULL;
    struct cl_edge_function *function = edge->FunctionInstanceCreate(type, call, made, 0);
    edge->FunctionTypeDelete(type); /* the function has a copy */
    return function;
}

int cl_edge_imports_make(struct cl_guest *guest, struct cl_error *err)
{
    const struct cl_edge *edge = &guest->program->engine->edge;

    guest->imports = edge->ModuleInstanceCreate(cl_edge_string(module_name));
    for (size_t i = 0; guest->imports != NULL && i < CL_WASI_FUNCTION_COUNT; i++) {
        struct cl_edge_call *made = &guest->calls[i];

        *made = (struct cl_edge_call){.guest = guest, .function = &cl_wasi_functions[i]};
        struct cl_edge_function *function = make_function(edge, made);
        if (function == NULL)
            return cl_fail_memory(err);
        edge->ModuleInstanceAddFunction(guest->imports, cl_edge_string(made->function->name),
                                        function); /* takes it */
    }
    return guest->imports == NULL ? cl_fail_memory(err) : 0;
}

/* --- what a module wants ------------------------------------------------------------------- */

static int is_same(struct cl_edge_string name, const char *text)
{
    return name.size == strlen(text) && memcmp(name.data, text, name.size) == 0;
}

static int is_ours(struct cl_edge_string module, struct cl_edge_string name)
{
    if (!is_same(module, module_name))
        return 0;
    for (size_t i = 0; i < CL_WASI_FUNCTION_COUNT; i++) {
        if (is_same(name, cl_wasi_functions[i].name))
            return 1;
    }
    return 0;
}

static int check_import(const struct cl_edge *edge, const struct cl_edge_import *import,
                        struct cl_error *err)
{
    const struct cl_edge_string module = edge->ImportTypeGetModuleName(import);
    const struct cl_edge_string name = edge->ImportTypeGetExternalName(import);

    if (is_ours(module, name))
        return 0;
    (void)cl_refuse(
        err, EINVAL, "the module can't be run: it imports %.*s from %.*s, which is not there",
        (int)(name.size < NAME_MOST ? name.size : NAME_MOST), (const char *)name.data,
        (int)(module.size < NAME_MOST ? module.size : NAME_MOST), (const char *)module.data);
    cl_utf8_make_printable(err->msg);
    return -EINVAL;
}

int cl_edge_imports_check(const struct cl_guest *guest, struct cl_error *err)
{
    const struct cl_edge *edge = &guest->program->engine->edge;
    const uint32_t count = edge->ASTModuleListImportsLength(guest->ast);

    if (count == 0)
        return 0;
    const struct cl_edge_import **imports = cl_calloc(count, sizeof(const void *));
    if (imports == NULL)
        return cl_fail_memory(err);
    const uint32_t listed = edge->ASTModuleListImports(guest->ast, imports, count);
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < count && i < listed; i++)
        r = check_import(edge, imports[i], err);
    free((void *)imports);
    return r;
}
