/* attach: a detached sandbox's output from now on, and input for it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cloister/command.h"
#include "cmd/cloister/each.h"
#include "sandbox/attach.h"

enum { ARENA_MAX = 64 << 20 };

static int set_keys(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                    struct cl_error *err)
{
    struct cl_attach_options *context = data;

    return cl_keys_parse(value, &context->keys, err);
}

static int set_proxy(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                     struct cl_error *err)
{
    struct cl_attach_options *context = data;

    if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        return cl_refuse(err, EINVAL, "expected true or false, got \"%.100s\"", value);
    context->keeps_signals = strcmp(value, "false") == 0;
    return 0;
}

static const struct cl_option options[] = {
    {"detach-keys", 0, "KEYS", "what ends it at a terminal (ctrl-p,ctrl-q)", set_keys, 0, NULL},
    {"no-stdin", 0, NULL, "show output alone", cl_set_flag,
     (int)offsetof(struct cl_attach_options, no_input), NULL},
    {"sig-proxy", 0, "BOOL", "whether signals go on to the command (true)", set_proxy, 0,
     "true false"},
    CL_OPTION_HELP,
};

static int check(const struct cl_known *known, struct cl_error *err)
{
    const char *id = known->found.entry.id;

    if (!known->is_alive)
        return cl_refuse(err, ESRCH,
                         "sandbox %s has ended, and can't be attached to; see cloister logs and "
                         "cloister wait",
                         id);
    if (!known->found.plan.detach)
        return cl_refuse(err, EINVAL,
                         "sandbox %s runs in the foreground: its streams are those of whoever "
                         "started it; see run --detach",
                         id);
    if (known->kept.dir < 0 || known->found.status.phase != CL_PHASE_RUNNING)
        return cl_refuse(err, EAGAIN, "sandbox %s is still being made", id);
    return 0;
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    struct cl_attach_options context = {0};
    int r = cl_keys_parse("ctrl-p,ctrl-q", &context.keys, err);
    int first = r < 0 ? r : cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (argc - first != 1)
        return cl_refuse(err, EINVAL, "attach: name one sandbox; see cloister ps");
    r = cl_state_open(&state, err);
    if (r == 0)
        r = cl_known_find(&state, argv[first], &arena, &known, err);
    if (r == 0)
        r = check(&known, err);
    if (r == 0)
        r = cl_attach_run(&known, &context, err);
    if (r >= 0 && err->msg[0] != '\0')
        (void)fprintf(stderr, "cloister: %s\n", err->msg); /* a closed one is the caller's wish */
    return r;
}

const struct cl_command cl_command_attach = {
    .name = "attach",
    .usage = "[OPTIONS] ID|NAME",
    .help = "Be at a detached sandbox: its output from now on, and input for it",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .operands = "@sandbox",
};
