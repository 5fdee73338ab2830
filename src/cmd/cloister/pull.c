/* pull: an image from where it is into the store. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/obtain.h"

enum { ARENA_MAX = 16 << 20 };

static int set_progress(void *data, const struct cl_option *option, CL_UNUSED const char *value,
                        CL_UNUSED struct cl_error *err)
{
    struct cl_obtain *how = data;

    how->progress = (enum cl_progress_how)option->tag;
    return 0;
}

static int set_format(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                      struct cl_error *err)
{
    struct cl_obtain *how = data;

    if (strcmp(value, "json") != 0)
        return cl_refuse(err, EINVAL, "expected json, got \"%.32s\"", value);
    how->progress = CL_PROGRESS_JSON;
    return 0;
}

static int set_platform(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                        struct cl_error *err)
{
    struct cl_obtain *how = data;

    if (strncmp(value, "linux/", 6) != 0 || value[6] == '\0')
        return cl_refuse(err, EINVAL, "expected linux/ARCHITECTURE, as linux/amd64");
    how->platform = value;
    return 0;
}

static int set_max_size(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                        struct cl_error *err)
{
    struct cl_obtain *how = data;
    int r = cl_parse_size(value, &how->max_bytes);

    return r < 0 ? cl_refuse(err, EINVAL, "expected a size like 64GiB, got \"%.32s\"", value) : 0;
}

static int set_max_files(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                         struct cl_error *err)
{
    struct cl_obtain *how = data;
    int r = cl_parse_u64(value, &how->max_entries);

    return r < 0 ? cl_refuse(err, EINVAL, "expected a whole number, got \"%.32s\"", value) : 0;
}

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
    {"quiet", 'q', NULL, "print nothing but the digest", set_progress, CL_PROGRESS_NONE, NULL},
    {"format", 0, "FORMAT", "json: events, a line each, on standard output", set_format, 0, "json"},
    {"platform", 0, "PLATFORM", "which of an index's images (this machine's)", set_platform, 0,
     "linux/amd64 linux/arm64"},
    {"max-size", 0, "SIZE", "the most that the image's files may hold (32GiB)", set_max_size, 0,
     NULL},
    {"max-files", 0, "NUMBER", "the most files that a layer may have (500000)", set_max_files, 0,
     NULL},
    {"without", 0, "LAYER", "accept that a layer is missing: landlock", set_without, 0, "landlock"},
    CL_OPTION_HELP,
};

static int pull_all(int count, char *const names[], const struct cl_obtain *how,
                    struct cl_error *err)
{
    CL_CLEANUP_STORE struct cl_store store = CL_STORE_INIT;
    int r = cl_store_open(1, &store, err);

    for (int i = 0; r == 0 && i < count; i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
        struct cl_pulled pulled;

        r = cl_obtain(&store, names[i], how, &arena, &pulled, NULL, err);
        if (r == 0 && how->progress != CL_PROGRESS_JSON)
            (void)printf("sha256:%s\n",
                         pulled.digest.hex); /* a closed stdout is the caller's wish */
        (void)fflush(stdout);
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
};
