/* How a WebAssembly module runs: by which engine, and in the worker that its tenant keeps or in one
 * of its own. */
#include <errno.h>

#include "plan/decide_parts.h"

/* --- the engine ---------------------------------------------------------------------------- */

/* Files come and go below the sandbox's root, where a module of WasmEdge has none. */
static const struct {
    enum cl_field field;
    const char *name;
} roots[] = {
    {CL_FIELD_KEEP, "--keep"},
    {CL_FIELD_WAITS, "--copy-in"},
    {CL_FIELD_STAYS, "--copy-out"},
};

static int check_wasmedge(const struct cl_decision *d, struct cl_error *err)
{
    const struct cl_plan *plan = d->plan;

    if (plan->image_module)
        return cl_refuse(err, ENOTSUP,
                         "wasmedge: it runs a module that is a file or an artifact, and has no "
                         "place for the files of an image");
    for (size_t i = 0; i < CL_ARRAY_SIZE(roots); i++) {
        if (cl_decide_given(d, roots[i].field))
            return cl_refuse(err, ENOTSUP,
                             "wasmedge: %s is not to be had: the module's files are no part of the "
                             "sandbox's root",
                             roots[i].name);
    }
    if (plan->wasm_model == CL_WASM_COROUTINE &&
        (cl_decide_given(d, CL_FIELD_WASM_MODEL) || plan->image_kind == CL_IMAGE_MODULES))
        return cl_refuse(err, ENOTSUP,
                         "wasmedge: its modules can't take turns; say --wasm-model process");
    return 0;
}

int cl_decide_wasm_engine(struct cl_decision *d, struct cl_error *err)
{
    if (!cl_decide_given(d, CL_FIELD_WASM_ENGINE))
        return 0;
    if (!cl_plan_has_module(d->plan))
        return cl_refuse(err, EINVAL, "it is for WebAssembly modules alone");
    return d->plan->wasm_engine == CL_WASM_WASMEDGE ? check_wasmedge(d, err) : 0;
}

/* --- the model ----------------------------------------------------------------------------- */

/* What a worker has for all of its guests together: who wants it for himself has a worker of his
 * own. What isn't here each guest has, or has no use for; EITHER is what has its own, too, where it
 * has a process and a cgroup. */
static const struct {
    enum cl_field field;
    const char *name;
    int either;
} workers[] = {
    {CL_FIELD_FILES, "files", 0},
    {CL_FIELD_DISK, "limits.disk", 0},
    {CL_FIELD_FILE_SIZE, "limits.file_size", 0},
    {CL_FIELD_CPUS, "limits.cpus", 1},
    {CL_FIELD_SWAP, "limits.swap", 1},
    {CL_FIELD_TASKS, "limits.tasks", 1},
    {CL_FIELD_SHM_SIZE, "limits.shm", 0},
    {CL_FIELD_RLIMITS, "--ulimit", 0},
    {CL_FIELD_ROOT_MODE, "root", 0},
    {CL_FIELD_USER, "user", 0},
    {CL_FIELD_TTY, "--tty", 0},
    {CL_FIELD_CGROUP_MANAGER, "--cgroup-manager", 1},
    {CL_FIELD_KEEP, "--keep", 0},
    {CL_FIELD_WAITS, "--copy-in", 0},
    {CL_FIELD_STAYS, "--copy-out", 0},
};

/* The first of those that PLAN asks for; NULL: none. */
static const char *find_own(const struct cl_decision *d, enum cl_wasm_model model)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(workers); i++) {
        if (workers[i].either && model == CL_WASM_PROCESS)
            continue;
        if (cl_decide_given(d, workers[i].field))
            return workers[i].name;
    }
    return d->plan->image_module ? "a root directory" : NULL; /* the image's tree */
}

static int check_coroutine(const struct cl_decision *d, struct cl_error *err)
{
    const char *own = find_own(d, CL_WASM_COROUTINE);

    if (!cl_plan_has(d->plan, CL_FIELD_TENANT))
        return cl_refuse(err, EINVAL,
                         "coroutine: a module shares a worker with those of its tenant; say "
                         "--tenant NAME");
    if (own != NULL)
        return cl_refuse(err, EINVAL,
                         "coroutine: a worker has %s for all of its modules together; say process",
                         own);
    return 0;
}

/* What the tenant's worker does, where that can be: without one, a worker can still come. */
static enum cl_wasm_model model_of_tenant(const struct cl_decision *d)
{
    const struct cl_plan *plan = d->plan;
    cl_serves_processes *serves_processes = d->how->serves_processes;

    if (plan->wasm_engine == CL_WASM_WASMEDGE || !cl_plan_has(plan, CL_FIELD_TENANT) ||
        find_own(d, CL_WASM_COROUTINE) != NULL)
        return CL_WASM_PROCESS;
    return serves_processes != NULL && serves_processes(plan->tenant) ? CL_WASM_PROCESS
                                                                      : CL_WASM_COROUTINE;
}

int cl_decide_wasm_model(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;
    const int is_given = cl_decide_given(d, CL_FIELD_WASM_MODEL);
    int r = 0;

    if (!cl_plan_has_module(plan))
        return is_given ? cl_refuse(err, EINVAL, "it is for WebAssembly modules alone") : 0;
    if (plan->image_kind == CL_IMAGE_MODULES)
        return 0;
    if (!is_given)
        plan->wasm_model = model_of_tenant(d);
    else if (plan->wasm_model == CL_WASM_COROUTINE)
        r = check_coroutine(d, err);
    cl_plan_mark(plan, CL_FIELD_WASM_MODEL);
    plan->shares_worker = cl_plan_has(plan, CL_FIELD_TENANT) &&
                          find_own(d, (enum cl_wasm_model)plan->wasm_model) == NULL;
    cl_plan_mark(plan, CL_FIELD_SHARES_WORKER);
    return r;
}
