/* inspect: all that is known of running sandboxes, as JSON. */
#include <errno.h>

#include "cmd/cloister/command.h"
#include "cmd/cloister/describe.h"
#include "sandbox/control.h"
#include "sandbox/sweep.h"

enum { ARENA_MAX = 32 << 20 };

struct context {
    int format_json;
};

static const struct cl_option options[] = {
    {"format", 0, "FORMAT", "json, which is all there is", cl_set_format,
     (int)offsetof(struct context, format_json), "json"},
    CL_OPTION_HELP,
};

static int add_one(struct cl_state *state, const char *id_or_name, struct cl_json *json,
                   struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_FOUND struct cl_found found = CL_FOUND_INIT;
    int r = cl_state_find(state, id_or_name, &arena, &found, err);

    if (r == 0)
        r = cl_control_refresh(&found.entry, err);
    if (r == 0)
        r = cl_entry_read(&found.entry, &arena, &found.status, &found.plan, err);
    if (r < 0)
        return r;
    const struct cl_visit visit = {&found.entry, &found.status, &found.plan, 1};
    cl_describe_all(json, &visit);
    return 0;
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_OUTPUT_MAX);
    struct context context = {.format_json = 1};
    struct cl_json json;
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (first >= argc)
        return cl_refuse(err, EINVAL, "inspect: no sandbox named; see cloister ps");
    if (!context.format_json)
        return cl_refuse(err, EINVAL, "inspect: json is the only format");
    int r = cl_state_open(&state, err);
    cl_json_begin(&json, &buf, 1);
    cl_json_array(&json, NULL);
    for (int i = first; r == 0 && i < argc; i++)
        r = add_one(&state, argv[i], &json, err);
    if (r < 0)
        return r;
    struct cl_error ignored = {0};
    (void)cl_sweep_seldom(&state, &ignored); /* a failure is prune's to tell */
    cl_json_close(&json, ']');
    if (cl_json_end(&json) < 0)
        return cl_fail_memory(err);
    return cl_print(&buf, err);
}

const struct cl_command cl_command_inspect = {
    .name = "inspect",
    .usage = "[OPTIONS] ID|NAME...",
    .help = "Show all that is known of running sandboxes",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .operands = "@sandbox",
};
