/* What a bundle says of a module, in the child that reads it: its order for the worker, and the
 * code. A list of steps; whatever isn't kept behind this wall stops it, by name. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/steps.h"
#include "base/sys.h"
#include "cmd/cloisterd/group.h"
#include "cmd/cloisterd/prepare.h"
#include "module/module.h"
#include "plan/spec.h"

#define PREFIX "run.cloister."

enum { OPEN_FILES = 64, OWN_BYTES = 8 << 20 };

/* --- where ----------------------------------------------------------------------------------- */

/* The root file system is there for this process alone, and goes with it. */
static int step_mount(void *context, struct cl_error *err)
{
    const struct cl_preparation *p = context;
    int r = 0;

    if (p->mounts->count == 0)
        return 0;
    r = cl_sys_unshare(CLONE_NEWNS);
    if (r == 0)
        r = cl_sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (r < 0)
        return cl_fail(err, r, "take a mount namespace");
    return cl_bundle_mount(p->bundle, p->mounts, err);
}

static int step_read(void *context, struct cl_error *err)
{
    struct cl_preparation *p = context;
    const struct cl_spec_document document = {
        .kind = CL_SPEC_CONFIG, .fd = p->config, .name = "config.json"};
    struct cl_bytes bytes;
    int r = cl_spec_load(&document, &p->arena, &p->spec, &bytes, err);

    if (r < 0)
        return r;
    if (p->spec.args.count == 0)
        return cl_refuse(err, EINVAL, "config.json: process.args: there is nothing to run");
    p->root = p->spec.root[0] == '/' ? p->spec.root
                                     : cl_arena_printf(&p->arena, "%s/%s", p->bundle, p->spec.root);
    return p->root == NULL ? cl_fail_memory(err) : 0;
}

/* --- what isn't kept ------------------------------------------------------------------------- */

/* A module sees none of them, and expects none. */
static const char *const meaningless[] = {
    "/proc",       "/dev",          "/dev/pts",         "/dev/shm",
    "/dev/mqueue", "/sys",          "/sys/fs/cgroup",   "/run",
    "/etc/hosts",  "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log",
};

static int is_meaningless(const char *target)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(meaningless); i++) {
        if (strcmp(meaningless[i], target) == 0)
            return 1;
    }
    return 0;
}

static int step_check(void *context, struct cl_error *err)
{
    const struct cl_preparation *p = context;
    const struct cl_spec *spec = &p->spec;

    if (spec->terminal || p->wants_terminal)
        return cl_refuse(err, ENOTSUP, "a WebAssembly module has no terminal");
    if (spec->hooks.count > 0)
        return cl_refuse(err, ENOTSUP, "a WebAssembly module has no hooks");
    for (size_t i = 0; i < spec->mounts.count; i++) {
        const char *target = spec->mounts.items[i].target;

        if (!is_meaningless(target))
            return cl_refuse(err, ENOTSUP,
                             "a mount at %.200s: modules that share a worker have no files of "
                             "their own%s",
                             target,
                             strstr(target, "serviceaccount") == NULL
                                 ? ""
                                 : "; say automountServiceAccountToken: false");
    }
    return 0;
}

/* --- limits ---------------------------------------------------------------------------------- */

static void take_limit(struct cl_preparation *p, const struct cl_spec_resource *resource)
{
    if (resource->what == CL_RESOURCE_MEMORY_LIMIT && resource->value > 0)
        p->run.memory_bytes = (uint64_t)resource->value;
    if (resource->what == CL_RESOURCE_CPU_QUOTA && resource->value > 0)
        p->has_process = 1; /* who take turns have no share of their own */
}

static int take_time(const char *key, const char *value, uint64_t *ret, struct cl_error *err)
{
    if (cl_parse_duration(value, ret) < 0 || *ret == 0 || *ret > CL_MAX_NS)
        return cl_refuse(err, EINVAL, "annotations.%s: expected a time like 90s, got \"%.40s\"",
                         key, value);
    return 0;
}

static int take_annotation(struct cl_preparation *p, const char *key, const char *value,
                           struct cl_error *err)
{
    if (strncmp(key, PREFIX, sizeof(PREFIX) - 1) != 0)
        return 0;
    if (strcmp(key, PREFIX "time-limit") == 0)
        return take_time(key, value, &p->run.time_ns, err);
    if (strcmp(key, PREFIX "cpu-time") == 0)
        return take_time(key, value, &p->run.cpu_time_ns, err);
    if (strcmp(key, PREFIX "wasm-model") == 0 && strcmp(value, "process") == 0) {
        p->has_process = 1;
        return 0;
    }
    if (strcmp(key, PREFIX "wasm-model") == 0 && strcmp(value, "coroutine") == 0)
        return 0;
    if (strcmp(key, PREFIX "wall") == 0 && strcmp(value, "wasm") == 0)
        return 0;
    return cl_refuse(
        err, EINVAL,
        "annotations.%.60s: a module has none such; time-limit, cpu-time and wasm-model are", key);
}

static int step_annotations(void *context, struct cl_error *err)
{
    struct cl_preparation *p = context;
    const struct cl_strlist *list = &p->spec.annotations;
    int r = 0;

    for (size_t i = 0; r == 0 && i + 1 < list->count; i += 2)
        r = take_annotation(p, list->items[i], list->items[i + 1], err);
    return r;
}

/* Of a process's memory a part is the engine's. */
static uint64_t guests_part(uint64_t all)
{
    return all > 2UL * OWN_BYTES ? all - OWN_BYTES : all / 2;
}

static int step_limits(void *context, CL_UNUSED struct cl_error *err)
{
    struct cl_preparation *p = context;

    p->run.max_descriptors = OPEN_FILES;
    for (size_t i = 0; i < p->spec.resources.count; i++)
        take_limit(p, &p->spec.resources.items[i]);
    if (p->has_process && p->run.memory_bytes != 0)
        p->run.memory_bytes = guests_part(p->run.memory_bytes);
    return 0;
}

/* --- the module ------------------------------------------------------------------------------ */

static int step_open(void *context, struct cl_error *err)
{
    struct cl_preparation *p = context;
    const char *name = p->spec.args.items[0];
    CL_CLEANUP_FD int root = cl_sys_openat(AT_FDCWD, p->root, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);

    if (root < 0)
        return cl_fail(err, root, "open the root file system");
    p->module = name[0] == '/' ? name
                               : cl_arena_printf(&p->arena, "%s/%s",
                                                 p->spec.cwd == NULL ? "" : p->spec.cwd, name);
    if (p->module == NULL)
        return cl_fail_memory(err);
    /* Looked at before it is opened: an image may have a device there. */
    CL_CLEANUP_FD int found = cl_open_in_root(root, p->module, O_PATH);
    if (found < 0)
        return cl_fail(err, found, "open %.200s, which is the module to run", p->module);
    p->file = cl_reopen_regular(found, p->module, CL_MODULE_MOST, err);
    return p->file < 0 ? p->file : cl_recent_identify(p->file, p->key.module, err);
}

static int step_kind(void *context, struct cl_error *err)
{
    const struct cl_preparation *p = context;
    int kind = cl_module_kind_read(p->file);

    if (kind < 0)
        return cl_fail(err, kind, "read %.200s", p->module);
    if (kind == CL_MODULE_NONE)
        return cl_refuse(err, ENOEXEC, "%.200s is no WebAssembly, and this pod is behind that wall",
                         p->module);
    if (kind == CL_MODULE_COMPONENT)
        return cl_refuse(err, ENOTSUP, "%.200s is a component (WASI 0.2), which shares no worker",
                         p->module);
    return 0;
}

static int step_compile(void *context, struct cl_error *err)
{
    struct cl_preparation *p = context;
    struct cl_module module = CL_MODULE_INIT;
    const struct cl_module_source source = {.fd = p->file,
                                            .name = p->module,
                                            .tenant = p->tenant,
                                            .use = p->has_process ? CL_MODULE_ALONE
                                                                  : CL_MODULE_IN_TURNS};
    int r = cl_module_compile(&source, &module, err);
    p->code = module.fd;
    return r;
}

/* --- the order ------------------------------------------------------------------------------- */

static int add_strings(struct cl_buf *buf, const struct cl_strlist *list)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = cl_buf_add(buf, list->items[i], strlen(list->items[i]) + 1);
    return r;
}

static int step_write(void *context, struct cl_error *err)
{
    struct cl_preparation *p = context;

    p->run.order = (struct cl_order){.version = CL_WORKER_VERSION, .kind = CL_ORDER_RUN};
    p->run.arguments = (uint32_t)p->spec.args.count;
    p->run.environment = (uint32_t)p->spec.env.count;
    int r = cl_buf_add(&p->order, &p->run, sizeof(p->run));
    if (r == 0)
        r = add_strings(&p->order, &p->spec.args);
    if (r == 0)
        r = add_strings(&p->order, &p->spec.env);
    return r == -EFBIG ? cl_refuse(err, E2BIG, "arguments and environment are more than %d bytes",
                                   (int)CL_ORDER_MAX_BYTES)
           : r < 0     ? cl_fail_memory(err)
                       : 0;
}

/* Whether it is a module comes first: what else may be wrong with it is another wall's affair. */
static int step_group(void *context, struct cl_error *err)
{
    struct cl_preparation *p = context;
    const struct cl_module_group group = {p->state, p->space, p->id};

    if (!p->has_process)
        return 0;
    int r = cl_module_group_make(&group, &p->spec, p->doors, err);
    p->door_count = r < 0 ? 0 : (uint32_t)r;
    return r < 0 ? r : 0;
}

static const struct cl_step steps[] = {
    {NULL, step_mount, NULL},       {NULL, step_read, NULL},    {NULL, step_open, NULL},
    {NULL, step_kind, NULL},        {NULL, step_check, NULL},   {NULL, step_limits, NULL},
    {NULL, step_annotations, NULL}, {NULL, step_compile, NULL}, {NULL, step_write, NULL},
    {NULL, step_group, NULL},
};

int cl_prepare_module(struct cl_preparation *preparation, struct cl_error *err)
{
    return cl_steps_run(steps, CL_ARRAY_SIZE(steps), preparation, err);
}
