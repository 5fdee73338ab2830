/* pause and unpause: sandboxes stand still for a while. */
#include <errno.h>

#include "cmd/cloister/command.h"
#include "cmd/cloister/each.h"
#include "sandbox/control.h"
#include "sandbox/pause.h"

enum { ARENA_MAX = 64 << 20 };

static const struct cl_option options[] = {
    CL_OPTION_HELP,
};

static int pause_one(CL_UNUSED void *data, struct cl_state *state, const char *name,
                     struct cl_buf *out, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    int r = cl_find_living(state, name, &arena, &known, err);

    if (r == 0)
        r = cl_control_pause(&known.found.entry, CL_CONTROL_PAUSE, err);
    if (r == 0)
        r = cl_pause_settle(&known.found.entry, err);
    if (r < 0)
        return r;
    return cl_buf_printf(out, "%s\n", name) < 0 ? cl_fail_memory(err) : 0;
}

static int unpause_one(CL_UNUSED void *data, struct cl_state *state, const char *name,
                       struct cl_buf *out, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    int r = cl_find_living(state, name, &arena, &known, err);

    if (r == 0)
        r = cl_control_pause(&known.found.entry, CL_CONTROL_UNPAUSE, err);
    if (r < 0)
        return r;
    return cl_buf_printf(out, "%s\n", name) < 0 ? cl_fail_memory(err) : 0;
}

static int each_named(const struct cl_command *self, int argc, char *const argv[],
                      const struct cl_each *each, struct cl_error *err)
{
    int first = cl_command_parse(self, argc, argv, NULL, err);

    if (first < 0)
        return first;
    if (first >= argc)
        return cl_refuse(err, EINVAL, "%s: no sandbox named; see cloister ps", self->name);
    return cl_each_sandbox(each, argc - first, argv + first, err);
}

static int run_pause(const struct cl_command *self, int argc, char *const argv[],
                     struct cl_error *err)
{
    const struct cl_each each = {pause_one, NULL};

    return each_named(self, argc, argv, &each, err);
}

static int run_unpause(const struct cl_command *self, int argc, char *const argv[],
                       struct cl_error *err)
{
    const struct cl_each each = {unpause_one, NULL};

    return each_named(self, argc, argv, &each, err);
}

const struct cl_command cl_command_pause = {
    .name = "pause",
    .usage = "ID|NAME...",
    .help = "Have all processes of sandboxes stand still",
    .run = run_pause,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .operands = "@sandbox",
};

const struct cl_command cl_command_unpause = {
    .name = "unpause",
    .usage = "ID|NAME...",
    .help = "Have them go on",
    .run = run_unpause,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .operands = "@sandbox",
};
