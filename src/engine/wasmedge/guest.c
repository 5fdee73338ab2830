/* One guest of the process: what the library needs for it is made first, its module is read when
 * it is run. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/utf8.h"
#include "engine/wasmedge/wasmedge.h"

enum { PAGE = 64 << 10, PAGES_MOST = 65536 };

static const struct cl_edge *edge_of(const struct cl_guest *guest)
{
    return &guest->program->engine->edge;
}

static uint64_t pages_most(const struct cl_guest *guest)
{
    return cl_min_u64(guest->limits.memory_bytes / PAGE, PAGES_MOST);
}

/* --- making one ---------------------------------------------------------------------------- */

/* It never runs machine code that a module brings, and a memory never grows beyond the limit. */
static int configure(struct cl_guest *guest, struct cl_error *err)
{
    const struct cl_edge *edge = edge_of(guest);

    guest->conf = edge->ConfigureCreate();
    if (guest->conf == NULL)
        return cl_fail_memory(err);
    edge->ConfigureSetForceInterpreter(guest->conf, true);
    edge->ConfigureSetMaxMemoryPage(guest->conf, pages_most(guest));
    return 0;
}

static int prepare(struct cl_guest *guest, struct cl_error *err)
{
    const struct cl_edge *edge = edge_of(guest);
    int r = configure(guest, err);

    if (r < 0)
        return r;
    guest->store = edge->StoreCreate();
    guest->executor = edge->ExecutorCreate(guest->conf, NULL);
    if (guest->store == NULL || guest->executor == NULL)
        return cl_fail_memory(err);
    r = cl_edge_imports_make(guest, err);
    if (r < 0)
        return r;
    const struct cl_edge_result result =
        edge->ExecutorRegisterImport(guest->executor, guest->store, guest->imports);
    return edge->ResultOK(result) ? 0
                                  : cl_refuse(err, EINVAL, "WasmEdge takes no imports: %.200s",
                                              edge->ResultGetMessage(result));
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
    guest->program = program;
    guest->wasi = wasi;
    guest->limits = *limits;
    int r = prepare(guest, err);
    if (r < 0)
        cl_guest_free(guest);
    else
        *ret_guest = guest;
    return r;
}

/* Who uses goes before who is used. */
void cl_guest_free(struct cl_guest *guest)
{
    if (guest == NULL)
        return;
    const struct cl_edge *edge = edge_of(guest);
    if (guest->instance != NULL)
        edge->ModuleInstanceDelete(guest->instance);
    if (guest->imports != NULL)
        edge->ModuleInstanceDelete(guest->imports);
    if (guest->store != NULL)
        edge->StoreDelete(guest->store);
    if (guest->executor != NULL)
        edge->ExecutorDelete(guest->executor);
    if (guest->ast != NULL)
        edge->ASTModuleDelete(guest->ast);
    if (guest->conf != NULL)
        edge->ConfigureDelete(guest->conf);
    cl_wasi_free(guest->wasi);
    free(guest);
}

uint64_t cl_guest_memory_bytes(const struct cl_guest *guest)
{
    return guest->memory_bytes;
}

/* --- its module ---------------------------------------------------------------------------- */

static int fail(const struct cl_edge *edge, struct cl_edge_result result, struct cl_error *err)
{
    (void)cl_refuse(err, EINVAL, "the module can't be run: %.300s", edge->ResultGetMessage(result));
    cl_utf8_make_printable(err->msg);
    return -EINVAL;
}

static int parse(struct cl_guest *guest, struct cl_error *err)
{
    const struct cl_edge *edge = edge_of(guest);
    const struct cl_program *program = guest->program;
    const struct cl_edge_string bytes = {.size = (uint32_t)program->size, .data = program->bytes};
    struct cl_edge_loader *loader = edge->LoaderCreate(guest->conf);

    if (loader == NULL)
        return cl_fail_memory(err);
    const struct cl_edge_result result =
        edge->minor < CL_EDGE_STRUCT_MINOR
            ? edge->LoaderParseFromBuffer(loader, &guest->ast, program->bytes, bytes.size)
            : edge->LoaderParseFromBytes(loader, &guest->ast, bytes);
    edge->LoaderDelete(loader);
    if (!edge->ResultOK(result))
        return fail(edge, result, err);
    return guest->ast == NULL ? cl_fail_memory(err) : 0;
}

static int validate(struct cl_guest *guest, struct cl_error *err)
{
    const struct cl_edge *edge = edge_of(guest);
    struct cl_edge_validator *validator = edge->ValidatorCreate(guest->conf);

    if (validator == NULL)
        return cl_fail_memory(err);
    const struct cl_edge_result result = edge->ValidatorValidate(validator, guest->ast);
    edge->ValidatorDelete(validator);
    return edge->ResultOK(result) ? 0 : fail(edge, result, err);
}

static int load(struct cl_guest *guest, struct cl_error *err)
{
    const struct cl_program *program = guest->program;
    struct cl_edge_form form = {0};
    int r = cl_edge_look(program->bytes, program->size, &form, err);

    if (r == 0 && form.memory_pages > pages_most(guest))
        r = cl_refuse(err, EINVAL,
                      "the module can't be run: its memory begins with %llu pages of 64 KiB, and "
                      "may have %llu",
                      (unsigned long long)form.memory_pages, (unsigned long long)pages_most(guest));
    if (r == 0)
        r = parse(guest, err);
    if (r == 0)
        r = validate(guest, err);
    return r < 0 ? r : cl_edge_imports_check(guest, err);
}

/* --- its run ------------------------------------------------------------------------------- */

/* Whether the module ran already when this went wrong: it has a start function, and segments that
 * have no room. Before 0.14 all numbers had a byte. */
static int is_trap(const struct cl_edge *edge, struct cl_edge_result result)
{
    enum { MASK = 0xffffff, RUNNING = 0x400, RUNNING_ONCE = 0x80 };
    const uint32_t code = result.code & MASK;

    return edge->minor < CL_EDGE_STRUCT_MINOR ? code >= RUNNING_ONCE : (code & ~0xffU) == RUNNING;
}

static void trap(const char *why, struct cl_guest_end *ret)
{
    ret->kind = CL_GUEST_END_TRAPPED;
    (void)snprintf(ret->trap, sizeof(ret->trap), "trap: %s", why);
    cl_utf8_make_printable(ret->trap);
}

static void judge(struct cl_guest *guest, struct cl_edge_result result, struct cl_guest_end *ret)
{
    const struct cl_edge *edge = edge_of(guest);
    struct cl_wasi_memory memory;

    *ret = (struct cl_guest_end){0};
    if (guest->instance != NULL) /* else its memory is gone with what there was of it */
        cl_edge_find_memory(guest, guest->instance, &memory);
    if (guest->last_answer == CL_WASI_ENDS)
        ret->exit_code = cl_wasi_exit_code(guest->wasi);
    else if (guest->last_answer == CL_WASI_EXCEEDS)
        ret->kind = CL_GUEST_END_EXCEEDED;
    else if (guest->last_answer != 0)
        trap("the module raised a signal", ret);
    else if (!edge->ResultOK(result))
        trap(edge->ResultGetMessage(result), ret);
}

int cl_guest_run(struct cl_guest *guest, struct cl_guest_end *ret_end, struct cl_error *err)
{
    const struct cl_edge *edge = edge_of(guest);
    int r = load(guest, err);

    if (r < 0)
        return r;
    struct cl_edge_result result =
        edge->ExecutorInstantiate(guest->executor, &guest->instance, guest->store, guest->ast);
    const int is_over = guest->last_answer != 0 || is_trap(edge, result);
    if (!is_over && (!edge->ResultOK(result) || guest->instance == NULL))
        return fail(edge, result, err);
    if (!is_over) {
        const struct cl_edge_function *start =
            edge->ModuleInstanceFindFunction(guest->instance, cl_edge_string("_start"));
        if (start == NULL)
            return cl_refuse(err, EINVAL,
                             "it exports no function _start: it is a library, and no command");
        result = edge->ExecutorInvoke(guest->executor, start, NULL, 0, NULL, 0);
    }
    judge(guest, result, ret_end);
    return 0;
}

int cl_guest_go_on(CL_UNUSED struct cl_guest *guest, CL_UNUSED struct cl_guest_end *ret_end,
                   struct cl_error *err)
{
    return cl_engine_new(NULL, NULL, err); /* which says it */
}
