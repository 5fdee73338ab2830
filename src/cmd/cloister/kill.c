/* kill: a signal to sandboxes through their supervisors. KILL ends a sandbox. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/signals.h"
#include "cmd/cloister/command.h"
#include "sandbox/control.h"
#include "sandbox/sweep.h"

enum { ARENA_MAX = 32 << 20 };

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

static int kill_one(struct cl_state *state, const char *id_or_name, int signal,
                    struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_FOUND struct cl_found found = CL_FOUND_INIT;
    int r = cl_state_find(state, id_or_name, &arena, &found, err);

    return r < 0 ? r : cl_control_signal(&found.entry, signal, err);
}

/* All are tried; the first failure is told. */
static int kill_all(int count, char *const names[], int signal, struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP_BUF struct cl_buf done = CL_BUF_INIT(CL_OUTPUT_MAX);
    struct cl_error first = {0};
    struct cl_error failure = {0};
    int r = cl_state_open(&state, err);

    if (r < 0)
        return r;
    for (int i = 0; i < count; i++) {
        r = kill_one(&state, names[i], signal, &failure);
        if (r < 0 && first.code == 0)
            first = failure;
        if (r == 0 && cl_buf_printf(&done, "%s\n", names[i]) < 0)
            return cl_fail_memory(err);
    }
    (void)cl_sweep_seldom(&state, &failure); /* a failure is prune's to tell */
    r = cl_print(&done, err);
    if (r < 0 || first.code == 0)
        return r;
    *err = first;
    return -first.code;
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    struct context context = {.signal = SIGKILL};
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
    return kill_all(argc - first, argv + first, context.signal, err);
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
