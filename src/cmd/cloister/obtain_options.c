#include "cmd/cloister/obtain_options.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"

int cl_obtain_set_quiet(void *context, CL_UNUSED const struct cl_option *option,
                        CL_UNUSED const char *value, CL_UNUSED struct cl_error *err)
{
    struct cl_obtain *how = context;

    how->progress = CL_PROGRESS_NONE;
    return 0;
}

int cl_obtain_set_format(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                         struct cl_error *err)
{
    struct cl_obtain *how = context;

    if (strcmp(value, "json") != 0)
        return cl_refuse(err, EINVAL, "expected json, got \"%.32s\"", value);
    how->progress = CL_PROGRESS_JSON;
    return 0;
}

/* What uname(2) calls a machine is another word for what images do. */
static const char *usual_platform(const char *value)
{
    static const char *const rows[][2] = {
        {"linux/x86_64", "linux/amd64"},
        {"linux/aarch64", "linux/arm64"},
        {"linux/aarch64/v8", "linux/arm64/v8"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (strcmp(value, rows[i][0]) == 0)
            return rows[i][1];
    }
    return value;
}

/* OS, architecture and perhaps a variant. */
int cl_obtain_set_platform(void *context, CL_UNUSED const struct cl_option *option,
                           const char *value, struct cl_error *err)
{
    enum { MOST = 64 };
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    struct cl_obtain *how = context;
    const char *at = value;
    int parts = 0;

    for (; strlen(value) <= MOST; at++) {
        const size_t size = strspn(at, letters);

        parts += size > 0 ? 1 : 4;
        at += size;
        if (*at != '/')
            break;
    }
    const int is_wasm = strcmp(value, "wasi/wasm") == 0 || strcmp(value, "wasip1/wasm") == 0;
    if (*at != '\0' || parts < 2 || parts > 3 || (strncmp(value, "linux/", 6) != 0 && !is_wasm))
        return cl_refuse(err, EINVAL,
                         "expected linux/ARCHITECTURE, as linux/amd64, or wasip1/wasm, got "
                         "\"%.32s\"",
                         value);
    how->platform = usual_platform(value);
    return 0;
}

int cl_obtain_set_max_size(void *context, CL_UNUSED const struct cl_option *option,
                           const char *value, struct cl_error *err)
{
    struct cl_obtain *how = context;
    int r = cl_parse_size(value, &how->max_bytes);

    return r < 0 ? cl_refuse(err, EINVAL, "expected a size like 64GiB, got \"%.32s\"", value) : 0;
}

int cl_obtain_set_max_files(void *context, CL_UNUSED const struct cl_option *option,
                            const char *value, struct cl_error *err)
{
    struct cl_obtain *how = context;
    int r = cl_parse_u64(value, &how->max_entries);

    return r < 0 ? cl_refuse(err, EINVAL, "expected a whole number, got \"%.32s\"", value) : 0;
}
