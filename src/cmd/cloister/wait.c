/* wait: until detached sandboxes have ended, and what they exited with. */
#include <errno.h>
#include <inttypes.h>

#include "cmd/cloister/command.h"
#include "cmd/cloister/each.h"

enum { ARENA_MAX = 64 << 20 };

static const struct cl_option options[] = {
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"condition", 0, "not built yet: it waits for the end"},
    {NULL, 0, NULL},
};

static int wait_for(CL_UNUSED void *context, struct cl_state *state, const char *name,
                    struct cl_buf *out, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    struct cl_kept_record record = {0};
    int r = cl_known_find(state, name, &arena, &known, err);

    if (r < 0)
        return r;
    if (known.kept.dir < 0)
        return cl_refuse(err, EINVAL,
                         "sandbox %s runs in the foreground: whoever started it gets its exit "
                         "status; see run --detach",
                         known.found.entry.id);
    r = cl_kept_wait(&known.kept);
    if (r < 0)
        return cl_fail(err, r, "wait for sandbox %s", known.found.entry.id);
    r = cl_kept_read(&known.kept, &arena, &record, err);
    if (r < 0)
        return r;
    r = cl_buf_printf(out, "%" PRIu64 "\n", record.ended.exit_status);
    return r < 0 ? cl_fail_memory(err) : 0;
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    const struct cl_each each = {wait_for, NULL};
    int first = cl_command_parse(self, argc, argv, NULL, err);

    if (first < 0)
        return first;
    if (first >= argc)
        return cl_refuse(err, EINVAL, "wait: no sandbox named; see cloister ps");
    return cl_each_sandbox(&each, argc - first, argv + first, err);
}

const struct cl_command cl_command_wait = {
    .name = "wait",
    .usage = "ID|NAME...",
    .help = "Wait for the end of detached sandboxes, and print their exit status",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
    .operands = "@known",
};
