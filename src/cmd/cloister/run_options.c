#include "cmd/cloister/run_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cidr.h"
#include "base/num.h"
#include "base/signals.h"
#include "cmd/cloister/env_file.h"
#include "cmd/cloister/run_image.h"
#include "cmd/cloister/volume.h"
#include "limits/rlimits.h"

/* --- setters -------------------------------------------------------------- */

int cl_run_set_field(void *context, const struct cl_option *option, const char *value,
                     struct cl_error *err)
{
    struct cl_run_request *request = context;

    return cl_plan_set_text(&request->flags, (enum cl_field)option->tag, value, request->arena,
                            err);
}

int cl_run_set_true(void *context, const struct cl_option *option, CL_UNUSED const char *value,
                    struct cl_error *err)
{
    return cl_run_set_field(context, option, "true", err);
}

int cl_run_set_string(void *context, const struct cl_option *option, const char *value,
                      struct cl_error *err)
{
    if (value[0] == '\0')
        return cl_refuse(err, EINVAL, "must not be empty");
    const char **place = (const char **)(void *)((char *)context + option->tag);
    if (*place != NULL) /* the first would be lost, and with a policy what it forbids */
        return cl_refuse(err, EINVAL, "it is given twice");
    *place = value;
    return 0;
}

int cl_run_set_pull(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                    struct cl_error *err)
{
    static const char *const words[] = {
        [CL_PULL_MISSING] = "missing", [CL_PULL_ALWAYS] = "always", [CL_PULL_NEVER] = "never"};
    struct cl_run_request *request = context;

    for (unsigned int i = 0; i < CL_ARRAY_SIZE(words); i++) {
        if (strcmp(words[i], value) == 0) {
            request->pull = (int)i;
            return 0;
        }
    }
    return cl_refuse(err, EINVAL, "expected missing, always or never, got \"%.32s\"", value);
}

int cl_run_set_root(void *context, const struct cl_option *option, CL_UNUSED const char *value,
                    struct cl_error *err)
{
    struct cl_run_request *request = context;
    const uint64_t mode = (uint64_t)option->tag;

    if (cl_plan_has(&request->flags, CL_FIELD_ROOT_MODE) && request->flags.root_mode != mode)
        return cl_refuse(err, EINVAL, "it and %s exclude each other",
                         mode == CL_ROOT_READ_ONLY ? "--writable" : "--read-only");
    request->flags.root_mode = mode;
    cl_plan_mark(&request->flags, CL_FIELD_ROOT_MODE);
    return 0;
}

int cl_run_set_keep(void *context, CL_UNUSED const struct cl_option *option,
                    CL_UNUSED const char *value, CL_UNUSED struct cl_error *err)
{
    struct cl_run_request *request = context;

    request->flags.keep = request->flags.stays = 1;
    cl_plan_mark(&request->flags, CL_FIELD_KEEP);
    cl_plan_mark(&request->flags, CL_FIELD_STAYS);
    return 0;
}

int cl_run_set_nothing(CL_UNUSED void *context, CL_UNUSED const struct cl_option *option,
                       CL_UNUSED const char *value, CL_UNUSED struct cl_error *err)
{
    return 0;
}

int cl_run_add_env(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                   struct cl_error *err)
{
    struct cl_run_request *request = context;

    return cl_env_add(&request->flags, value, request->arena, err);
}

int cl_run_add_env_file(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                        struct cl_error *err)
{
    struct cl_run_request *request = context;

    if (value[0] == '\0')
        return cl_refuse(err, EINVAL, "must not be empty");
    return cl_env_file_read(&request->env_files, value, request->arena, err);
}

int cl_run_add_label(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                     struct cl_error *err)
{
    struct cl_run_request *request = context;

    return cl_plan_add_str(&request->flags, CL_FIELD_LABELS, value, request->arena, err);
}

int cl_run_add_network_reach(void *context, CL_UNUSED const struct cl_option *option,
                             const char *value, struct cl_error *err)
{
    struct cl_run_request *request = context;
    struct cl_cidr cidr;
    int r = cl_cidr_parse(value, &cidr, err);

    return r < 0 ? r
                 : cl_plan_add_str(&request->flags, CL_FIELD_NETWORK_REACH, value, request->arena,
                                   err);
}

int cl_run_add_volume(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                      struct cl_error *err)
{
    struct cl_run_request *request = context;

    return cl_volume_add(&request->flags, value, request->arena, err);
}

int cl_run_add_mount(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                     struct cl_error *err)
{
    struct cl_run_request *request = context;

    return cl_mount_add(&request->flags, value, request->arena, err);
}

int cl_run_add_tmpfs(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                     struct cl_error *err)
{
    struct cl_run_request *request = context;

    return cl_tmpfs_add(&request->flags, value, request->arena, err);
}

int cl_run_add_without(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                       struct cl_error *err)
{
    struct cl_run_request *request = context;
    enum cl_layer layer = cl_layer_by_name(value);

    if (layer == CL_LAYER_COUNT)
        return cl_refuse(err, EINVAL,
                         "unknown layer \"%.64s\"; landlock, apparmor, selinux, limits, "
                         "disk-limit, core-limit and guest-users can be left out",
                         value);
#ifndef CL_WEAK
    if (!cl_layer_acceptable(layer))
        return cl_refuse(err, EPERM,
                         "%s can't be left out; only landlock, apparmor, selinux, limits, "
                         "disk-limit, core-limit and guest-users can",
                         value);
#endif
    request->flags.without |= CL_LAYER_BIT(layer);
    cl_plan_mark(&request->flags, CL_FIELD_WITHOUT);
    return 0;
}

/* "" takes the image's away, as Docker has it. */
int cl_run_set_entrypoint(void *context, CL_UNUSED const struct cl_option *option,
                          const char *value, struct cl_error *err)
{
    struct cl_run_request *request = context;

    if (cl_plan_has(&request->flags, CL_FIELD_ENTRYPOINT))
        return cl_refuse(err, EINVAL, "it is given twice");
    cl_plan_mark(&request->flags, CL_FIELD_ENTRYPOINT);
    return value[0] == '\0'
               ? 0
               : cl_plan_add_str(&request->flags, CL_FIELD_ENTRYPOINT, value, request->arena, err);
}

int cl_run_set_stop_signal(void *context, CL_UNUSED const struct cl_option *option,
                           const char *value, struct cl_error *err)
{
    struct cl_run_request *request = context;
    int number;
    int r = cl_signal_parse(value, &number, err);

    if (r < 0)
        return r;
    request->flags.stop_signal = (uint64_t)number;
    cl_plan_mark(&request->flags, CL_FIELD_STOP_SIGNAL);
    return 0;
}

/* Docker's --network knows more words than the plan: each is refused for what it is. */
int cl_run_set_network(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                       struct cl_error *err)
{
    struct cl_run_request *request = context;

    if (strcmp(value, "host") == 0)
        return cl_refuse(err, EPERM,
                         "the host's network would be a hole in the wall: its local services "
                         "and abstract sockets would be in reach; use outbound or none");
    if (strcmp(value, "bridge") == 0 || strcmp(value, "default") == 0 ||
        strncmp(value, "container:", 10) == 0)
        return cl_refuse(err, ENOSYS,
                         "sandboxes share no network with one another; use outbound or none");
    return cl_plan_set_text(&request->flags, CL_FIELD_NETWORK, value, request->arena, err);
}

/* Docker's --memory-swap: the sum. What --memory is may be said after it. */
int cl_run_set_memory_swap(void *context, CL_UNUSED const struct cl_option *option,
                           const char *value, struct cl_error *err)
{
    struct cl_run_request *request = context;
    uint64_t bytes;

    if (cl_parse_size(value, &bytes) < 0)
        return cl_refuse(err, EINVAL, "expected a size like 1GiB, got \"%.100s\"", value);
    if (bytes > CL_MAX_BYTES)
        return cl_refuse(err, ERANGE, "too large; the most is %llu bytes",
                         (unsigned long long)CL_MAX_BYTES);
    request->memory_swap_bytes = bytes;
    return 0;
}

int cl_run_add_ulimit(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                      struct cl_error *err)
{
    struct cl_run_request *request = context;
    struct cl_plan_rlimit limit;
    int r = cl_rlimit_parse(value, &limit, err);

    return r < 0 ? r : cl_plan_add_rlimit(&request->flags, &limit, request->arena, err);
}

/* --- operands ------------------------------------------------------------- */

/* Words on the line replace the image's command; so does an entrypoint, which that was not
 * made for. */
static int take_command(struct cl_run_request *request, int argc, char *const argv[],
                        struct cl_error *err)
{
    int r = 0;

    if (cl_plan_has(&request->flags, CL_FIELD_ENTRYPOINT))
        cl_plan_mark(&request->flags, CL_FIELD_COMMAND);
    for (int i = 0; r == 0 && i < argc; i++)
        r = cl_plan_add_str(&request->flags, CL_FIELD_COMMAND, argv[i], request->arena, err);
    return r < 0 ? cl_prefix(err, "command") : 0;
}

static int settle_swap(struct cl_run_request *request, struct cl_error *err)
{
    struct cl_plan *flags = &request->flags;
    const uint64_t total = request->memory_swap_bytes;

    if (total == UINT64_MAX)
        return 0;
    if (!cl_plan_has(flags, CL_FIELD_MEMORY))
        return cl_refuse(err, EINVAL,
                         "--memory-swap: it is the sum of memory and swap and needs --memory; "
                         "--swap says swap alone");
    if (cl_plan_has(flags, CL_FIELD_SWAP))
        return cl_refuse(err, EINVAL, "--memory-swap and --swap exclude each other");
    if (total < flags->limits.memory_bytes)
        return cl_refuse(err, EINVAL,
                         "--memory-swap: it is the sum of memory and swap and can't be below "
                         "--memory");
    flags->limits.swap_bytes = total - flags->limits.memory_bytes;
    cl_plan_mark(flags, CL_FIELD_SWAP);
    return 0;
}

static int check_detached(const struct cl_run_request *request, struct cl_error *err)
{
    const struct cl_plan *flags = &request->flags;

    if (flags->keep && flags->remove)
        return cl_refuse(err, EINVAL, "--keep and --rm exclude each other");
    if (flags->keep && flags->die_with_parent)
        return cl_refuse(err, EINVAL,
                         "--keep and --die-with-parent exclude each other; see --timeout");
    if (!flags->detach)
        return 0;
    if (flags->die_with_parent)
        return cl_refuse(err, EINVAL,
                         "--detach and --die-with-parent exclude each other; see --timeout");
    if (flags->interactive && request->stdin_path != NULL)
        return cl_refuse(err, EINVAL,
                         "--stdin: with --detach it and --interactive exclude each other: the "
                         "input comes from a file, or from who attaches");
    return 0;
}

int cl_run_request_finish(struct cl_run_request *request, int argc, char *const argv[],
                          struct cl_error *err)
{
    int r = settle_swap(request, err);

    if (r == 0)
        r = check_detached(request, err);
    if (r == 0 && request->flags.tty &&
        (request->stdin_path != NULL || request->stdout_path != NULL ||
         request->stderr_path != NULL))
        r = cl_refuse(err, EINVAL,
                      "--tty excludes --stdin, --stdout and --stderr: a terminal is "
                      "all three");
    if (r < 0)
        return r;
    if (argc < 1)
        return cl_refuse(err, EINVAL,
                         "run: no image; use a name like debian:12, host or rootfs:DIR");
    r = cl_plan_set_text(&request->flags, CL_FIELD_IMAGE, argv[0], request->arena, err);
    if (r < 0)
        return cl_prefix(err, "image");
    int skip = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
    return take_command(request, argc - skip, argv + skip, err);
}
