/* prune: what dead supervisors left, and what became of it. */
#include "cmd/cloister/command.h"
#include "sandbox/sweep.h"

/* Scripts say "prune -f". */
static int set_nothing(CL_UNUSED void *context, CL_UNUSED const struct cl_option *option,
                       CL_UNUSED const char *value, CL_UNUSED struct cl_error *err)
{
    return 0;
}

static const struct cl_option options[] = {
    {"force", 'f', NULL, "don't ask (always so)", set_nothing, 0, NULL},
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"all", 'a', "there is no choice: only what dead sandboxes left is removed, all of it"},
    {"volumes", 0, "there are none: volumes are directories of the host and stay"},
    {"filter", 0, "there is no choice: only what dead sandboxes left is removed, all of it"},
    {NULL, 0, NULL},
};

static void note_swept(void *context, const char *id)
{
    (void)cl_buf_printf(context, "removed %s\n", id); /* a list of a million is cut */
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP_BUF struct cl_buf removed = CL_BUF_INIT(CL_OUTPUT_MAX);
    struct cl_error failure = {0};
    int r = cl_command_parse_all(self, argc, argv, NULL, err);

    if (r < 0)
        return r;
    r = cl_state_open(&state, err);
    if (r < 0)
        return r;
    int swept = cl_sweep(&state, note_swept, &removed, &failure);
    if (swept == 0)
        r = cl_buf_add_str(&removed, "nothing to remove\n");
    if (r < 0)
        return cl_fail_memory(err);
    r = cl_print(&removed, err);
    if (r == 0 && swept < 0) {
        *err = failure;
        return swept;
    }
    return r;
}

const struct cl_command cl_command_prune = {
    .name = "prune",
    .usage = "[OPTIONS]",
    .help = "Remove what sandboxes left whose supervisor was killed",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
};
