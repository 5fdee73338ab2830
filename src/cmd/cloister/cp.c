/* cp: files in and out of a running sandbox. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/sys.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/each.h"
#include "cmd/cloister/left_out.h"
#include "sandbox/copy.h"

enum { ARENA_MAX = 64 << 20, NAME_SIZE = 256, EXIT_LEFT_OUT = 1 };
#define MOST_BYTES (10ULL << 30)

struct context {
    uint64_t most_bytes;
    int is_quiet;
};

/* What an operand names: SANDBOX:PATH, or a path of the host. */
struct end {
    char sandbox[NAME_SIZE]; /* "": the host's */
    const char *path;
};

static int set_most(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                    struct cl_error *err)
{
    struct context *context = data;

    if (cl_parse_size(value, &context->most_bytes) < 0)
        return cl_refuse(err, EINVAL, "expected a size like 10GiB, got \"%.100s\"", value);
    return 0;
}

static int set_quiet(void *data, CL_UNUSED const struct cl_option *option,
                     CL_UNUSED const char *value, CL_UNUSED struct cl_error *err)
{
    struct context *context = data;

    context->is_quiet = 1;
    return 0;
}

static const struct cl_option options[] = {
    {"max-size", 0, "SIZE", "refuse to copy more than that out of a sandbox (10GiB)", set_most, 0,
     NULL},
    {"quiet", 'q', NULL, "don't say what was left out", set_quiet, 0, NULL},
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"archive", 'a',
     "owners are not copied: files belong to who copies them, or to the sandbox's "
     "user"},
    {"follow-link", 'L', "a link that is named is followed anyway, and none below it"},
    {NULL, 0, NULL},
};

/* By Docker's rule: a colon behind a slash, or in what begins with a dot, belongs to a path. */
static int parse_end(const char *operand, struct end *ret, struct cl_error *err)
{
    const size_t before = strcspn(operand, ":/");

    *ret = (struct end){.path = operand};
    if (strcmp(operand, "-") == 0)
        return cl_refuse(
            err, ENOTSUP,
            "cp: archives on standard streams are not built; name a file or directory");
    if (operand[before] != ':' || operand[0] == '.')
        return 0;
    if (before == 0)
        return cl_refuse(err, EINVAL, "cp: \"%.100s\" names no sandbox before the colon", operand);
    if (before >= sizeof(ret->sandbox))
        return cl_refuse(err, EINVAL, "cp: no sandbox has so long a name");
    (void)snprintf(ret->sandbox, sizeof(ret->sandbox), "%.*s", (int)before, operand);
    ret->path = operand + before + 1;
    return ret->path[0] != '\0' ? 0
                                : cl_refuse(err, EINVAL, "cp: no path behind %s:", ret->sandbox);
}

/* What was left out is said once more, and is another end than that of a copy that failed. */
static int end_of_copy(const struct cl_left_out *left)
{
    struct cl_error err = {0};

    if (cl_left_out_end(left, &err) == 0)
        return 0;
    (void)fprintf(stderr, "cloister: %s\n", err.msg); /* a closed stderr is the caller's wish */
    return EXIT_LEFT_OUT;
}

static int copy(const struct context *context, const struct end *from, const struct end *to,
                struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    struct cl_left_out left = {.is_quiet = context->is_quiet, .top = from->path};
    const int is_out = from->sandbox[0] != '\0';
    const struct cl_copy_job job = {
        .found = &known.found,
        .source = from->path,
        .target = to->path,
        .most_bytes = context->most_bytes,
        .is_last = 1,
        .left_out = cl_left_out_say,
        .context = &left,
    };
    struct cl_copy_done done;
    int r = cl_state_open(&state, err);

    if (r == 0)
        r = cl_find_standing(&state, is_out ? from->sandbox : to->sandbox, &arena, &known, err);
    if (r < 0)
        return r;
    r = is_out ? cl_copy_out_of(&job, &done, err) : cl_copy_into(&job, err);
    if (is_out && r == -EMSGSIZE)
        return cl_hint(err, "--max-size allows more");
    return r < 0 ? r : end_of_copy(&left);
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    struct context context = {.most_bytes = MOST_BYTES};
    struct end from;
    struct end to;
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (argc - first != 2)
        return cl_refuse(err, EINVAL, "cp: expected a source and a target");
    int r = parse_end(argv[first], &from, err);
    if (r == 0)
        r = parse_end(argv[first + 1], &to, err);
    if (r < 0)
        return r;
    if ((from.sandbox[0] == '\0') == (to.sandbox[0] == '\0'))
        return cl_refuse(err, EINVAL,
                         "cp: one of source and target is in a sandbox (ID:PATH), the "
                         "other on the host");
    (void)cl_sys_signal_ignore(SIGPIPE); /* fails for no such signal */
    return copy(&context, &from, &to, err);
}

const struct cl_command cl_command_cp = {
    .name = "cp",
    .usage = "[OPTIONS] ID|NAME:PATH PATH | PATH ID|NAME:PATH",
    .help = "Copy files out of a sandbox, or into one",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
    .operands = "@sandbox",
};
