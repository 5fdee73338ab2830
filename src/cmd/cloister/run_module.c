#include "cmd/cloister/run_module.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/follow.h"
#include "plan/decide.h"
#include "policy/wasm_version.h"

/* The first of its arguments, as a command's: without where it lies. */
static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static int describe(const char *path, const struct cl_module *module, struct cl_arena *arena,
                    struct cl_plan *ret, struct cl_error *err)
{
    const char **entrypoint = cl_arena_array(arena, 1, sizeof(*entrypoint));
    const char *digest = cl_arena_printf(arena, "sha256:%s", module->digest.hex);

    if (entrypoint == NULL || digest == NULL)
        return cl_fail_memory(err);
    entrypoint[0] = name_of(path);
    ret->image_kind = CL_IMAGE_MODULE;
    ret->image_digest = digest;
    ret->entrypoint = (struct cl_strlist){entrypoint, 1};
    cl_plan_mark(ret, CL_FIELD_IMAGE_KIND);
    cl_plan_mark(ret, CL_FIELD_IMAGE_DIGEST);
    cl_plan_mark(ret, CL_FIELD_ENTRYPOINT);
    return 0;
}

int cl_module_of_file(const char *path, const char *tenant, int in_turns, struct cl_module *ret,
                      struct cl_error *err)
{
    CL_CLEANUP_FD int file = cl_follow_regular(path, (uint64_t)CL_WASM_MODULE_MIB << 20, err);

    if (file < 0)
        return file;
    const struct cl_module_source source = {
        .fd = file, .name = path, .tenant = tenant, .in_turns = in_turns};
    return cl_module_compile(&source, ret, err);
}

/* Only who has a tenant has others beside him (decide_model.c). */
static int may_take_turns(const struct cl_plan *flags)
{
    return cl_plan_has(flags, CL_FIELD_TENANT) &&
           !(cl_plan_has(flags, CL_FIELD_WASM_MODEL) && flags->wasm_model == CL_WASM_PROCESS);
}

int cl_run_module_part(const struct cl_plan *flags, struct cl_arena *arena, struct cl_plan *ret,
                       int *ret_file, struct cl_error *err)
{
    CL_CLEANUP_MODULE struct cl_module module = CL_MODULE_INIT;

    if (flags->image == NULL || !cl_image_is_module(flags->image))
        return 0;
    int r = cl_module_of_file(flags->image, flags->tenant, may_take_turns(flags), &module, err);
    if (r == 0)
        r = describe(flags->image, &module, arena, ret, err);
    if (r == 0)
        *ret_file = CL_TAKE_FD(module.fd);
    return r;
}

int cl_run_module_settle(const struct cl_plan *flags, const struct cl_plan *plan, int *file,
                         struct cl_error *err)
{
    CL_CLEANUP_MODULE struct cl_module module = CL_MODULE_INIT;
    const int in_turns = plan->wasm_model == CL_WASM_COROUTINE;

    if (plan->image_kind != CL_IMAGE_MODULE || in_turns == may_take_turns(flags))
        return 0;
    int r = cl_module_of_file(plan->image, plan->tenant, in_turns, &module, err);
    if (r < 0)
        return r;
    if (strcmp(module.digest.hex, plan->image_digest + strlen("sha256:")) != 0)
        return cl_refuse(err, EAGAIN, "%.200s was changed in the meantime; run it again",
                         plan->image);
    cl_fd_close(file);
    *file = CL_TAKE_FD(module.fd);
    return 0;
}
