/* exec: one more command in a sandbox that runs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cloister/command.h"
#include "cmd/cloister/exec_plan.h"
#include "cmd/cloister/run_options.h"
#include "sandbox/control.h"
#include "sandbox/exec.h"

enum { ARENA_MAX = 64 << 20 };

struct context {
    struct cl_run_request request; /* first: the setters of run's rows fill it */
    int detach;
};

static const struct cl_option options[] = {
    {"interactive", 'i', NULL, "pass standard input on also when it is a terminal", cl_run_set_true,
     CL_FIELD_INTERACTIVE, NULL},
    {"tty", 't', NULL, "give the command a terminal of its own", cl_run_set_true, CL_FIELD_TTY,
     NULL},
    {"env", 'e', "NAME[=VALUE]", "set a variable; without a value take the caller's",
     cl_run_add_env, 0, NULL},
    {"env-file", 0, "FILE", "set variables from lines NAME[=VALUE]", cl_run_add_env_file, 0,
     "@file"},
    {"workdir", 'w', "DIR", "the directory to start in (the sandbox's)", cl_run_set_field,
     CL_FIELD_WORKDIR, NULL},
    {"user", 'u', "UID[:GID]", "whom to run as inside: numbers or names of the image",
     cl_run_set_field, CL_FIELD_USER, NULL},
    {"detach", 'd', NULL, "don't wait for its end; its streams are /dev/null", cl_set_flag,
     (int)offsetof(struct context, detach), NULL},
    CL_OPTION_HELP,
};

/* The operands, ID|NAME [--] COMMAND [ARG...]: the name, and the command into the request. */
static int take_operands(struct context *context, int argc, char *const argv[],
                         struct cl_error *err)
{
    struct cl_run_request *request = &context->request;
    int r = 0;

    if (argc < 1)
        return cl_refuse(err, EINVAL, "exec: no sandbox named; see cloister ps");
    for (int i = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1; r == 0 && i < argc; i++)
        r = cl_plan_add_str(&request->flags, CL_FIELD_COMMAND, argv[i], request->arena, err);
    if (r < 0)
        return cl_prefix(err, "command");
    if (request->flags.command.count == 0)
        return cl_refuse(err, EINVAL, "exec: no command");
    if (context->detach && (request->flags.tty || request->flags.interactive))
        return cl_refuse(err, EINVAL, "--detach: it and --%s exclude each other",
                         request->flags.tty ? "tty" : "interactive");
    return 0;
}

static int decide(struct context *context, const struct cl_plan *base, struct cl_plan *ret,
                  struct cl_error *err)
{
    const struct cl_plan *const parts[] = {&context->request.env_files, &context->request.flags};
    const struct cl_exec_parts words = {parts, CL_ARRAY_SIZE(parts), context->request.arena};

    return cl_exec_plan(&words, base, ret, err);
}

/* A sandbox has no process to be born of before its first command runs. */
static int check_phase(const struct cl_found *found, struct cl_error *err)
{
    if (found->status.phase == CL_PHASE_RUNNING)
        return 0;
    if (found->status.phase == CL_PHASE_RESTING)
        return cl_refuse(err, ESRCH, "sandbox %s has ended", found->entry.id);
    if (found->status.phase == CL_PHASE_PAUSED)
        return cl_control_fail_paused(&found->entry, err);
    return cl_refuse(err, EAGAIN, "sandbox %s is still being made", found->entry.id);
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP_FOUND struct cl_found found = CL_FOUND_INIT;
    struct context context = {.request = CL_RUN_REQUEST_INIT(&arena)};
    struct cl_plan plan = {0};
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    int r = take_operands(&context, argc - first, argv + first, err);
    if (r == 0)
        r = cl_state_open(&state, err);
    if (r == 0)
        r = cl_state_find(&state, argv[first], &arena, &found, err);
    if (r == 0)
        r = check_phase(&found, err);
    if (r == 0)
        r = decide(&context, &found.plan, &plan, err);
    if (r < 0)
        return r;
    const struct cl_exec_options how = {.detach = context.detach};
    r = cl_exec_run(&found, &plan, &how, err);
    if (r >= 0 && err->msg[0] != '\0')
        (void)fprintf(stderr, "cloister: %s\n", err->msg); /* as in decide */
    return r;
}

const struct cl_command cl_command_exec = {
    .name = "exec",
    .usage = "[OPTIONS] ID|NAME [--] COMMAND [ARG...]",
    .help = "Run one more command in a sandbox",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .operands = "@sandbox",
    .runs_words = 1,
};
