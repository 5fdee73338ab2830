/* How a WebAssembly module runs: in the worker that its tenant keeps, or in one of its own. */
#include <errno.h>

#include "plan/decide_parts.h"

/* What a worker has for all of its guests together: who wants it for himself has a worker of his
 * own. What isn't here each guest has, or has no use for. */
static const struct {
    enum cl_field field;
    const char *name;
} workers[] = {
    {CL_FIELD_FILES, "files"},
    {CL_FIELD_DISK, "limits.disk"},
    {CL_FIELD_FILE_SIZE, "limits.file_size"},
    {CL_FIELD_CPUS, "limits.cpus"},
    {CL_FIELD_SWAP, "limits.swap"},
    {CL_FIELD_TASKS, "limits.tasks"},
    {CL_FIELD_SHM_SIZE, "limits.shm"},
    {CL_FIELD_RLIMITS, "--ulimit"},
    {CL_FIELD_ROOT_MODE, "root"},
    {CL_FIELD_USER, "user"},
    {CL_FIELD_TTY, "--tty"},
    {CL_FIELD_CGROUP_MANAGER, "--cgroup-manager"},
    {CL_FIELD_KEEP, "--keep"},
    {CL_FIELD_WAITS, "--copy-in"},
    {CL_FIELD_STAYS, "--copy-out"},
};

/* The first of those that PLAN asks for; NULL: none. */
static const char *find_own(const struct cl_decision *d)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(workers); i++) {
        if (cl_decide_given(d, workers[i].field))
            return workers[i].name;
    }
    return NULL;
}

static int check_coroutine(const struct cl_decision *d, const char *own, struct cl_error *err)
{
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

int cl_decide_wasm_model(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;
    const int is_given = cl_decide_given(d, CL_FIELD_WASM_MODEL);

    if (!cl_plan_has_module(plan) || plan->image_kind == CL_IMAGE_MODULES)
        return is_given ? cl_refuse(err, EINVAL, "it is for WebAssembly modules alone") : 0;
    const char *own = plan->image_module ? "a root directory" : find_own(d); /* the image's tree */
    if (is_given)
        return plan->wasm_model == CL_WASM_COROUTINE ? check_coroutine(d, own, err) : 0;
    plan->wasm_model =
        cl_plan_has(plan, CL_FIELD_TENANT) && own == NULL ? CL_WASM_COROUTINE : CL_WASM_PROCESS;
    cl_plan_mark(plan, CL_FIELD_WASM_MODEL);
    return 0;
}
