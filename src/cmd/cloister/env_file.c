#include "cmd/cloister/env_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/follow.h"
#include "plan/decide.h"

enum { FILE_MAX = 1 << 20 };

int cl_env_add(struct cl_plan *plan, const char *text, struct cl_arena *arena, struct cl_error *err)
{
    const int has_value = strchr(text, '=') != NULL;
    const char *entry = has_value ? text : cl_arena_printf(arena, "%s=", text);
    int r = entry == NULL ? cl_fail_memory(err) : cl_plan_check_text(CL_FIELD_ENV, entry, err);

    if (r < 0)
        return r;
    if (has_value)
        return cl_plan_add_str(plan, CL_FIELD_ENV, text, arena, err);
    const char *value = getenv(text); // NOLINT(concurrency-mt-unsafe): single-threaded
    if (value == NULL)
        return 0;
    entry = cl_arena_printf(arena, "%s%s", entry, value);
    if (entry == NULL)
        return cl_fail_memory(err);
    return cl_plan_add_str(plan, CL_FIELD_ENV, entry, arena, err);
}

static int add_line(struct cl_plan *plan, char *line, size_t size, struct cl_arena *arena,
                    struct cl_error *err)
{
    if (memchr(line, '\0', size) != NULL)
        return cl_refuse(err, EINVAL, "a NUL byte");
    if (size > 0 && line[size - 1] == '\r')
        size--;
    line[size] = '\0';
    if (size == 0 || line[0] == '#')
        return 0;
    return cl_env_add(plan, line, arena, err);
}

int cl_env_file_parse(struct cl_plan *plan, char *text, size_t size, struct cl_arena *arena,
                      struct cl_error *err)
{
    char *const end = text + size;

    for (unsigned int number = 1; text < end; number++) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((newline == NULL ? end : newline) - text);
        int r = add_line(plan, text, length, arena, err);

        if (r < 0)
            return cl_prefix(err, "line %u", number);
        text += length + 1;
    }
    return 0;
}

int cl_env_file_read(struct cl_plan *plan, const char *path, struct cl_arena *arena,
                     struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(FILE_MAX);
    CL_CLEANUP_FD int fd = cl_follow_regular(path, FILE_MAX, err);

    if (fd < 0)
        return fd;
    int r = cl_read_all(fd, path, &buf, err);
    if (r < 0 || buf.size == 0)
        return r;
    r = cl_env_file_parse(plan, buf.data, buf.size, arena, err);
    return r < 0 ? cl_prefix(err, "%s", path) : 0;
}
