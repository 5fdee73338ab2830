/* The parts of a plan, from files and the image's store, and what is decided of them. */
#include "cmd/cloister/run_plan.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/cloister/image_user.h"
#include "cmd/cloister/run_image.h"
#include "plan/compile.h"
#include "plan/decide.h"
#include "sandbox/clients.h"

int cl_run_rebase_files(struct cl_plan *policy, const char *path, struct cl_arena *arena,
                        struct cl_error *err)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL || policy->files.count == 0)
        return 0;
    struct cl_plan_file *items = cl_arena_array(arena, policy->files.count, sizeof(*items));
    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < policy->files.count; i++) {
        items[i] = policy->files.items[i];
        if (items[i].kind != CL_FILE_BIND || items[i].source[0] == '/')
            continue;
        items[i].source =
            cl_arena_printf(arena, "%.*s/%s", (int)(slash - path), path, items[i].source);
        if (items[i].source == NULL)
            return cl_fail_memory(err);
    }
    policy->files.items = items;
    return 0;
}

static int load_policy(struct cl_run_request *request, struct cl_plan *ret, struct cl_error *err)
{
    if (request->policy_path == NULL)
        return 0;
    int r = cl_compile_policy(request->policy_path, request->arena, ret, err);
    return r < 0 ? r : cl_run_rebase_files(ret, request->policy_path, request->arena, err);
}

void cl_run_held_done(struct cl_run_held *held)
{
    cl_fd_close(&held->lock);
    cl_module_done(&held->module);
}

static int is_given(const struct cl_plan *const *parts, size_t count, enum cl_field field)
{
    for (size_t i = 0; i < count; i++) {
        if (cl_plan_has(parts[i], field))
            return 1;
    }
    return 0;
}

int cl_run_plan(struct cl_run_request *request, const struct cl_plan *below, struct cl_plan *ret,
                struct cl_run_held *held, struct cl_error *err)
{
    const struct cl_plan nothing = {.set = 0};
    struct cl_plan image = {0};
    struct cl_plan policy = {0};
    struct cl_plan seccomp = {0};
    const struct cl_plan *const parts[] = {
        &image,         below == NULL ? &nothing : below, &policy, &seccomp, &request->env_files,
        &request->flags};
    struct cl_decide how = {
        .parts = parts,
        .count = CL_ARRAY_SIZE(parts),
        .arena = request->arena,
        .find_user = cl_image_user_find,
        .context = request->arena,
        .serves_processes = cl_clients_serve_processes,
        .caller_is_root = geteuid() == 0,
    };
    const struct cl_run_image wanted = {
        .text = request->flags.image,
        .pull = (enum cl_pull_when)request->pull,
        .progress = request->quiet || request->format_json ? CL_PROGRESS_NONE : CL_PROGRESS_AUTO,
        .without_landlock = cl_plan_without(&request->flags, CL_LAYER_LANDLOCK),
    };
    int r = load_policy(request, &policy, err);

    if (r == 0 && request->seccomp_path != NULL)
        r = cl_compile_seccomp(request->seccomp_path, request->arena, &seccomp, err);
    if (r == 0)
        r = cl_run_image_part(&wanted, request->arena, &image, &held->lock, err);
    if (r == 0)
        r = cl_run_module_part(&request->flags, request->arena, &image, err);
    if (r == 0)
        r = cl_plan_decide(&how, ret, err);
    if (r == 0 && how.note != NULL)
        (void)fprintf(stderr, "cloister: %s\n",
                      how.note); /* a closed stderr is the caller's wish */
    if (r < 0)
        return r;
    return cl_run_module_compile(ret, is_given(parts, how.count, CL_FIELD_WASM_MODEL),
                                 request->arena, &held->module, err);
}
