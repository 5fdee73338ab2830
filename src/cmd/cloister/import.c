/* import: an image that is on this host into the store: a root file system in a tar archive, or
 * what other tools saved. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cloister/command.h"
#include "cmd/cloister/import_change.h"
#include "cmd/cloister/obtain_options.h"
#include "plan/decide.h"

enum { ARENA_MAX = 16 << 20 };

struct context {
    struct cl_obtain how; /* first: the shared options' */
    struct cl_arena *arena;
    struct cl_plan config;
    int has_changes;
};

static int add_change(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                      struct cl_error *err)
{
    struct context *context = data;

    context->has_changes = 1;
    return cl_import_change(value, context->arena, &context->config, err);
}

static const struct cl_option options[] = {
    {"change", 'c', "INSTRUCTION", "of a tar archive's image: CMD, ENV ..., as a Dockerfile has it",
     add_change, 0, NULL},
    CL_OBTAIN_OPTIONS,
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"message", 'm', "there is none: an image's history isn't kept"},
    {"input", 'i', "name the file without it"},
    {NULL, 0, NULL},
};

static int import(struct context *context, const char *source, const char *name,
                  struct cl_error *err)
{
    CL_CLEANUP_STORE struct cl_store store = CL_STORE_INIT;
    struct cl_obtain how = context->how;
    struct cl_pulled pulled;
    const int is_local = cl_image_is_local(source);

    if (is_local && context->has_changes)
        return cl_refuse(err, EINVAL, "--change: the image has a config of its own");
    how.store = &store;
    how.text = source;
    how.arena = context->arena;
    how.name = name;
    how.own_names = 1;
    how.rootfs = is_local ? NULL : &context->config;
    int r = cl_store_open(1, &store, err);
    if (r == 0)
        r = cl_obtain(&how, &pulled, err);
    return r < 0 ? r : cl_print_pulled(&how, &pulled, err);
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct context context = {.how = CL_OBTAIN_INIT, .arena = &arena};
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (first >= argc)
        return cl_refuse(err, EINVAL,
                         "import: no file named, as in: cloister import rootfs.tar my/image");
    if (argv[first][0] == '\0')
        return cl_refuse(err, EINVAL, "import: the file's name is empty; is a variable not set?");
    if (argc - first > 2)
        return cl_refuse(err, EINVAL, "import takes a file and one name, got also \"%.100s\"",
                         argv[first + 2]);
    return import(&context, argv[first], argv[first + 1], err);
}

const struct cl_command cl_command_import = {
    .name = "import",
    .usage = "[OPTIONS] SOURCE [NAME]",
    .help = "Make an image of a tar archive, or of what another tool saved",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
};
