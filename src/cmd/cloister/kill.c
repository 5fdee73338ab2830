/* kill: a signal to sandboxes through their supervisors. KILL ends a sandbox. */
#include <errno.h>
#include <signal.h>

#include "base/signals.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/each.h"
#include "sandbox/control.h"

enum { ARENA_MAX = 64 << 20 };

struct context {
    int signal;
};

static int set_signal(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                      struct cl_error *err)
{
    struct context *context = data;

    return cl_signal_parse(value, &context->signal, err);
}

static const struct cl_option options[] = {
    {"signal", 's', "SIGNAL", "which one (KILL); all but KILL go to the command alone", set_signal,
     0, "KILL TERM INT HUP QUIT USR1 USR2 STOP CONT"},
    CL_OPTION_HELP,
};

static int kill_one(void *data, struct cl_state *state, const char *name, struct cl_buf *out,
                    struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    const struct context *context = data;
    int r = cl_find_living(state, name, &arena, &known, err);

    if (r == 0)
        r = cl_control_signal(&known.found.entry, context->signal, err);
    if (r < 0)
        return r;
    return cl_buf_printf(out, "%s\n", name) < 0 ? cl_fail_memory(err) : 0;
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    struct context context = {.signal = SIGKILL};
    const struct cl_each each = {kill_one, &context};
    const int is_number = argc > 1 && argv[1][0] == '-' && argv[1][1] >= '0' && argv[1][1] <= '9';

    /* kill(1)'s "-9", before the options alone */
    if (is_number && cl_signal_parse(argv[1] + 1, &context.signal, err) < 0)
        return cl_prefix(err, "%.32s", argv[1]);
    int first = cl_command_parse(self, argc - is_number, argv + is_number, &context, err);
    if (first < 0)
        return first;
    first += is_number;
    if (first >= argc)
        return cl_refuse(err, EINVAL, "kill: no sandbox named; see cloister ps");
    return cl_each_sandbox(&each, argc - first, argv + first, err);
}

const struct cl_command cl_command_kill = {
    .name = "kill",
    .usage = "[OPTIONS] ID|NAME...",
    .help = "Send a signal to sandboxes; without one, end them",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .operands = "@sandbox",
};
