/* update: other limits for a container that is there. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "cmd/cloister-oci/command.h"
#include "base/sys.h"

enum { MOST = CL_RESOURCE_COUNT };

struct context {
    const char *resources;
    struct cl_spec_resource items[MOST];
    size_t count;
};

/* A number, -1 too; sizes may have units. */
static int parse_value(const char *text, int64_t *ret)
{
    uint64_t value = 0;

    if (strcmp(text, "-1") == 0) {
        *ret = -1;
        return 0;
    }
    int r = cl_parse_size(text, &value);
    if (r < 0 || value > INT64_MAX)
        return r < 0 ? r : -ERANGE;
    *ret = (int64_t)value;
    return 0;
}

/* The option's tag is the resource; one that is named twice has its last value. */
static int set_resource(void *data, const struct cl_option *option, const char *value,
                        struct cl_error *err)
{
    struct context *context = data;
    struct cl_spec_resource item = {.what = (uint32_t)option->tag, .name = "", .text = ""};
    size_t at = 0;

    if (item.what == CL_RESOURCE_CPUSET_CPUS || item.what == CL_RESOURCE_CPUSET_MEMS)
        item.text = value;
    else if (parse_value(value, &item.value) < 0)
        return cl_refuse(err, EINVAL, "expected a number, got \"%.40s\"", value);
    while (at < context->count && context->items[at].what != item.what)
        at++;
    context->items[at] = item;
    context->count += at == context->count;
    return 0;
}

#define RESOURCE(name, help, what)                                                                 \
    {                                                                                              \
        name, 0, "VALUE", help, set_resource, CL_RESOURCE_##what, NULL                             \
    }

static const struct cl_option options[] = {
    CL_OCI_TEXT(context, "resources", 'r', "FILE", "linux.resources as JSON; - is standard input",
                resources),
    RESOURCE("memory", "bytes; -1: no limit", MEMORY_LIMIT),
    RESOURCE("memory-reservation", "bytes", MEMORY_RESERVATION),
    RESOURCE("memory-swap", "bytes of memory and swap together", MEMORY_SWAP),
    RESOURCE("kernel-memory", "taken and passed over: deprecated", MEMORY_KERNEL),
    RESOURCE("kernel-memory-tcp", "bytes of TCP's buffers", MEMORY_KERNEL_TCP),
    RESOURCE("cpu-share", "weight against others", CPU_SHARES),
    RESOURCE("cpu-quota", "microseconds in each period", CPU_QUOTA),
    RESOURCE("cpu-period", "microseconds", CPU_PERIOD),
    RESOURCE("cpu-burst", "microseconds", CPU_BURST),
    RESOURCE("cpu-rt-runtime", "microseconds", CPU_RT_RUNTIME),
    RESOURCE("cpu-rt-period", "microseconds", CPU_RT_PERIOD),
    RESOURCE("cpu-idle", "1: only when nobody else runs", CPU_IDLE),
    RESOURCE("cpuset-cpus", "processors", CPUSET_CPUS),
    RESOURCE("cpuset-mems", "memory nodes", CPUSET_MEMS),
    RESOURCE("pids-limit", "tasks; -1: no limit", PIDS_LIMIT),
    RESOURCE("blkio-weight", "10 to 1000", IO_WEIGHT),
    CL_OCI_HELP,
};

/* What the file says, and over it what the options say. */
static int load(const struct context *context, struct cl_arena *arena, struct cl_spec *ret,
                struct cl_error *err)
{
    const int is_input = strcmp(context->resources, "-") == 0;
    CL_CLEANUP_FD int file =
        is_input ? -1 : cl_sys_openat(AT_FDCWD, context->resources, O_RDONLY | O_NOCTTY, 0);
    const struct cl_spec_document document = {.kind = CL_SPEC_RESOURCES_OF,
                                              .fd = is_input ? STDIN_FILENO : file,
                                              .name = context->resources};
    struct cl_bytes unused;

    if (file < 0 && !is_input)
        return cl_fail(err, file, "update: --resources: open %s", context->resources);
    return cl_spec_load(&document, arena, ret, &unused, err);
}

__attribute__((noinline)) /* its cgroup must not lie in its caller's frame */
static int
apply(struct cl_oci_container *container, const struct context *context, struct cl_error *err)
{
    const struct cl_spec_resources named = {context->items, context->count};
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    struct cl_spec spec = {.set = 0};
    int r = context->resources == NULL ? 0 : load(context, &container->arena, &spec, err);

    if (r == 0)
        r = cl_container_group(container, &group, err);
    if (r == 0 && spec.resources.count > 0)
        r = cl_group_apply(&group, &spec.resources, err);
    return r == 0 && named.count > 0 ? cl_group_apply(&group, &named, err) : r;
}

static int run(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    struct context context = {.count = 0};
    int r = cl_oci_parse_id(self, argc, argv, &context, err);

    if (r < 0)
        return r;
    const char *id = argv[r];
    r = cl_oci_find(oci, id, 1, &container, err);
    if (r < 0)
        return r;
    const int status = cl_container_status(&container, err);
    if (status < 0)
        return status;
    if (status == CL_CONTAINER_STOPPED)
        return cl_refuse(err, ESRCH, "container %s is not running", id);
    return apply(&container, &context, err);
}

const struct cl_oci_command cl_oci_update = {
    .name = "update",
    .usage = "[OPTIONS] ID",
    .help = "Change a container's limits",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
