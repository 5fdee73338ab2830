/* Deciding in three passes: which profile, its defaults under the parts, then the
 * checks. Each check looks at one field and may read those before it in the table. */
#include "plan/decide.h"

#include <errno.h>
#include <string.h>

#include "base/cidr.h"
#include "plan/decide_parts.h"

enum { STRICT = 1 << CL_PROFILE_STRICT, BUILD = 1 << CL_PROFILE_BUILD, BOTH = STRICT | BUILD };

/* What a profile gives to a plan that says nothing. */
static const struct {
    unsigned int profiles;
    enum cl_field field;
    const char *text;
} defaults[] = {
    {BOTH, CL_FIELD_WALL, "auto"},
    {BOTH, CL_FIELD_NETWORK, "none"},
    {BOTH, CL_FIELD_ROOT_MODE, "profile"},
    {BOTH, CL_FIELD_HOSTNAME, "cloister"},
    {BOTH, CL_FIELD_TTY, "false"},
    {BOTH, CL_FIELD_INTERACTIVE, "false"},
    {BOTH, CL_FIELD_DIE_WITH_PARENT, "false"},
    {STRICT, CL_FIELD_USER, "1000:1000"},
    {BUILD, CL_FIELD_USER, "0:0"},
    {BOTH, CL_FIELD_MEMORY, "512MiB"},
    {BOTH, CL_FIELD_SWAP, "0"},
    {BOTH, CL_FIELD_TASKS, "256"},
    {BOTH, CL_FIELD_TIME, "10m"},
    {BOTH, CL_FIELD_GRACE, "10s"},
    {BOTH, CL_FIELD_DISK, "256MiB"},
    {BOTH, CL_FIELD_OPEN_FILES, "1024"},
};

/* --- the checks ----------------------------------------------------------- */

/* What is run decides between these two: a module is no program for the kernel, and nothing else
 * is one for an engine. Who names the wasm wall says that a file of the image is a module whatever
 * its name. */
static int check_wall(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;
    const int is_module = cl_decide_runs_module(plan);

    if (plan->wall == CL_WALL_AUTO)
        plan->wall = is_module ? CL_WALL_WASM : CL_WALL_CONTAINER;
    if (plan->wall != CL_WALL_CONTAINER && plan->wall != CL_WALL_WASM)
        return cl_refuse(err, ENOSYS, "the %s wall is not built yet; use container",
                         cl_field_words(CL_FIELD_WALL)[plan->wall]);
    if (plan->wall == CL_WALL_WASM && !is_module && !cl_plan_has_tree(plan))
        return cl_refuse(err, EINVAL,
                         "the wasm wall runs WebAssembly modules: files with a name in .wasm, and "
                         "images of one");
    if (plan->wall == CL_WALL_CONTAINER && is_module)
        return cl_refuse(err, EINVAL,
                         "\"%.200s\" is a WebAssembly module, which the kernel can't execute: it "
                         "runs behind the wasm wall alone",
                         plan->command.items[0]);
    if (plan->wall == CL_WALL_WASM && cl_plan_has_tree(plan)) {
        plan->image_module = 1;
        cl_plan_mark(plan, CL_FIELD_IMAGE_MODULE);
    }
    return 0;
}

static int check_network(struct cl_decision *d, struct cl_error *err)
{
    const struct cl_strlist *reach = &d->plan->network_reach;
    struct cl_cidr cidr;
    int r = 0;

    if (reach->count > 0 && d->plan->network != CL_NETWORK_OUTBOUND)
        return cl_refuse(err, EINVAL, "network_reach opens addresses of network outbound");
    for (size_t i = 0; r == 0 && i < reach->count; i++)
        r = cl_cidr_parse(reach->items[i], &cidr, err);
    return r < 0 ? cl_prefix(err, "network_reach") : 0;
}

static int check_root(struct cl_decision *d, CL_UNUSED struct cl_error *err)
{
    struct cl_plan *plan = d->plan;

    /* Strict's own stays: read-only but for the working directory, which is not what a
     * read-only root by name is. A module alone has a root that is nothing but scratch. */
    if (plan->root_mode == CL_ROOT_PROFILE &&
        (plan->profile == CL_PROFILE_BUILD || cl_plan_is_module(plan)))
        plan->root_mode = CL_ROOT_WRITABLE;
    return 0;
}

static int check_workdir(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;

    if (!cl_plan_has(plan, CL_FIELD_WORKDIR)) {
        plan->workdir = plan->image_kind == CL_IMAGE_HOST ? "/tmp" : "/";
        cl_plan_mark(plan, CL_FIELD_WORKDIR);
        return 0;
    }
    return cl_path_normalise(plan->workdir, 1, d->how->arena, &plan->workdir, err);
}

static int check_without(struct cl_decision *d, struct cl_error *err)
{
    cl_plan_mark(d->plan, CL_FIELD_WITHOUT);
#ifdef CL_WEAK
    (void)d;
    (void)err;
#else
    uint64_t refused = d->plan->without & ~cl_layers_acceptable();

    for (unsigned int layer = 0; layer < CL_LAYER_COUNT; layer++) {
        if ((refused & CL_LAYER_BIT(layer)) != 0)
            return cl_refuse(err, EPERM, "the layer %s can't be left out",
                             cl_layer_name((enum cl_layer)layer));
    }
#endif
    return 0;
}

/* In this order: a check may read what an earlier one decided. The name stands before
 * the message; NULL where the message says it all. */
static const struct {
    const char *name;
    cl_decide_check *check;
} checks[] = {
    {"image", cl_decide_image},
    {NULL, cl_decide_command},
    {NULL, check_wall},
    {NULL, check_network},
    {NULL, check_root},
    {"user", cl_decide_user},
    {NULL, cl_decide_capabilities},
    {"workdir", check_workdir},
    {"hostname", cl_decide_hostname},
    {"tenant", cl_decide_tenant},
    {"name", cl_decide_name},
    {"wasm_engine", cl_decide_wasm_engine},
    {"wasm_model", cl_decide_wasm_model},
    {"label", cl_decide_labels},
    {"env", cl_decide_env},
    {"without", check_without},
    {NULL, cl_decide_unenforceable},
    {"disk", cl_decide_disk},
    {"shm-size", cl_decide_shm},
    {"files", cl_decide_files},
};

/* --- the passes ----------------------------------------------------------- */

static uint64_t profile_of(const struct cl_decide *how)
{
    uint64_t profile = CL_PROFILE_STRICT;

    for (size_t i = 0; i < how->count; i++) {
        if (cl_plan_has(how->parts[i], CL_FIELD_PROFILE))
            profile = how->parts[i]->profile;
    }
    return profile;
}

static int set_defaults(struct cl_decide *how, struct cl_plan *plan, struct cl_error *err)
{
    plan->profile = profile_of(how);
    cl_plan_mark(plan, CL_FIELD_PROFILE);
    for (size_t i = 0; i < CL_ARRAY_SIZE(defaults); i++) {
        if ((defaults[i].profiles & (1U << plan->profile)) == 0)
            continue;
        int r = cl_plan_set_text(plan, defaults[i].field, defaults[i].text, how->arena, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int lay_parts(struct cl_decide *how, struct cl_decision *d, struct cl_error *err)
{
    for (size_t i = 0; i < how->count; i++) {
        struct cl_plan part = *how->parts[i];
        int r = cl_decide_targets(how, &part, err);

        if (r == 0)
            r = cl_decide_stored(how, &part, err);
        if (cl_plan_has(&part, CL_FIELD_USER)) { /* who was found is another */
            cl_plan_unmark(d->plan, CL_FIELD_UID);
            cl_plan_unmark(d->plan, CL_FIELD_GID);
            cl_plan_unmark(d->plan, CL_FIELD_HOME);
        }
        if (r == 0)
            r = cl_plan_overlay(d->plan, &part, how->arena, err);
        if (r < 0)
            return r;
        d->given |= part.set;
    }
    return 0;
}

int cl_plan_decide(struct cl_decide *how, struct cl_plan *ret, struct cl_error *err)
{
    struct cl_plan plan = {0};
    struct cl_decision d = {.how = how, .plan = &plan};

    how->note = NULL;
    int r = set_defaults(how, &plan, err);
    if (r == 0)
        r = lay_parts(how, &d, err);
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(checks); i++) {
        r = checks[i].check(&d, err);
        if (r < 0 && checks[i].name != NULL)
            return cl_prefix(err, "%s", checks[i].name);
    }
    if (r < 0)
        return r;
    *ret = plan;
    return 0;
}
