/* pull: an image from where it is into the store. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cloister/command.h"
#include "cmd/cloister/obtain_options.h"

enum { ARENA_MAX = 16 << 20 };

static int set_without(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                       struct cl_error *err)
{
    struct cl_obtain *how = data;

    if (strcmp(value, "landlock") != 0)
        return cl_refuse(err, EINVAL, "expected landlock, got \"%.32s\"", value);
    how->without_landlock = 1;
    return 0;
}

static const struct cl_option options[] = {
    CL_OBTAIN_OPTIONS,
    {"without", 0, "LAYER", "accept that a layer is missing: landlock", set_without, 0, "landlock"},
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"all-tags", 'a', "not built yet; name each"},
    {"disable-content-trust", 0, "there is none; a digest after the name says which image it is"},
    {NULL, 0, NULL},
};

static int pull_all(int count, char *const names[], const struct cl_obtain *how,
                    struct cl_error *err)
{
    CL_CLEANUP_STORE struct cl_store store = CL_STORE_INIT;
    int r = cl_store_open(1, &store, err);

    for (int i = 0; r == 0 && i < count; i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
        struct cl_obtain one = *how;
        struct cl_pulled pulled;

        one.store = &store;
        one.text = names[i];
        one.arena = &arena;
        r = cl_obtain(&one, &pulled, err);
        if (r == 0)
            r = cl_print_pulled(&one, &pulled, err);
    }
    return r;
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    struct cl_obtain how = CL_OBTAIN_INIT;
    int first = cl_command_parse(self, argc, argv, &how, err);

    if (first < 0)
        return first;
    if (first >= argc)
        return cl_refuse(err, EINVAL, "pull: no image named, as in: cloister pull debian:bookworm");
    return pull_all(argc - first, argv + first, &how, err);
}

const struct cl_command cl_command_pull = {
    .name = "pull",
    .usage = "[OPTIONS] IMAGE...",
    .help = "Bring images into the store",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
    .operands = "@stored",
};
