/* stop: the stop signal, and after a while the end for sure. */
#include <errno.h>
#include <limits.h>

#include "base/clock.h"
#include "base/num.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/each.h"
#include "sandbox/control.h"

enum {
    ARENA_MAX = 64 << 20,
    MARGIN_MS = 10000, /* for the kernel to end what was killed */
};
#define UNSET UINT64_MAX

struct context {
    uint64_t grace_ns;
};

static int set_time(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                    struct cl_error *err)
{
    struct context *context = data;
    uint64_t ns;

    if (cl_parse_duration(value, &ns) < 0)
        return cl_refuse(err, EINVAL, "expected a time like 10s, got \"%.100s\"", value);
    if (ns > INT_MAX / 2 * CL_NS_PER_MS)
        return cl_refuse(err, ERANGE, "too long");
    context->grace_ns = ns;
    return 0;
}

static const struct cl_option options[] = {
    {"time", 't', "TIME", "from the stop signal to the end for sure (the sandbox's, 10s)", set_time,
     0, NULL},
    {"timeout", 0, "TIME", NULL, set_time, 0, NULL}, /* Docker's newer word for it */
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"signal", 's', "the stop signal is said at the start (run --stop-signal); see cloister kill"},
    {NULL, 0, NULL},
};

static int stop_one(void *data, struct cl_state *state, const char *name, struct cl_buf *out,
                    struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    const struct context *context = data;
    int r = cl_find_living(state, name, &arena, &known, err);

    if (r < 0)
        return r;
    const uint64_t grace_ns =
        context->grace_ns == UNSET ? known.found.plan.limits.grace_ns : context->grace_ns;
    const uint64_t grace_ms = cl_min_u64(grace_ns / CL_NS_PER_MS, INT_MAX / 2);
    r = cl_control_stop(&known.found.entry, (uint32_t)grace_ms, err);
    if (r == 0)
        r = cl_known_wait(&known, (int)grace_ms + MARGIN_MS, err);
    if (r < 0)
        return r;
    if (r == 0)
        return cl_refuse(err, ETIMEDOUT, "sandbox %s was killed and has not ended yet",
                         known.found.entry.id);
    return cl_buf_printf(out, "%s\n", name) < 0 ? cl_fail_memory(err) : 0;
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    struct context context = {.grace_ns = UNSET};
    const struct cl_each each = {stop_one, &context};
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (first >= argc)
        return cl_refuse(err, EINVAL, "stop: no sandbox named; see cloister ps");
    return cl_each_sandbox(&each, argc - first, argv + first, err);
}

const struct cl_command cl_command_stop = {
    .name = "stop",
    .usage = "[OPTIONS] ID|NAME...",
    .help = "Ask sandboxes to end, and end those that don't",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
    .operands = "@sandbox",
};
