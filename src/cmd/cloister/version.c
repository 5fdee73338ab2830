#include <sys/utsname.h>

#include "base/json.h"
#include "cmd/cloister/command.h"
#include "plan/format.h"

#ifndef CL_VERSION
#define CL_VERSION "0.1.0"
#endif

struct context {
    int format_json;
};

static const struct cl_option options[] = {
    CL_OPTION_FORMAT(struct context),
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"json", 0, "say --format json"},
    {NULL, 0, NULL},
};

static int add_json(struct cl_buf *buf, const char *machine)
{
    struct cl_json json;

    cl_json_begin(&json, buf, 1);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "version", CL_VERSION);
    cl_json_string(&json, "machine", machine);
    cl_json_u64(&json, "plan_version", CL_PLAN_VERSION);
#ifdef CL_WEAK
    cl_json_bool(&json, "weak", 1);
#else
    cl_json_bool(&json, "weak", 0);
#endif
    cl_json_close(&json, '}');
    return cl_json_end(&json);
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    struct context context = {0};
    struct utsname host = {0};
    int r = cl_command_parse_all(self, argc, argv, &context, err);

    if (r < 0)
        return r;
    (void)uname(&host); /* fails for a bad address only */
    if (context.format_json)
        r = add_json(&buf, host.machine);
    else
        r = cl_buf_printf(&buf, "cloister %s (%s)\n", CL_VERSION, host.machine);
    return r < 0 ? cl_fail_memory(err) : cl_print(&buf, err);
}

const struct cl_command cl_command_version = {
    .name = "version",
    .usage = "[OPTIONS]",
    .help = "Say which version this is",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
};
