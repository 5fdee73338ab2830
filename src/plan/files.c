/* Entries of `files`, part by part, for flags and policies alike. */
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "plan/plan.h"

enum { SOURCE_MAX = 4095, TMPFS_LEAST = 4096 };

static const char *const mode_words[] = {"ro", "rw", "copy"};
_Static_assert(CL_ARRAY_SIZE(mode_words) == CL_FILE_MODE_COUNT, "a word for each mode");

const char *cl_file_mode_name(enum cl_file_mode mode)
{
    CL_ASSERT(mode < CL_FILE_MODE_COUNT);
    return mode_words[mode];
}

int cl_file_set_source(struct cl_plan_file *file, const char *text, size_t size,
                       struct cl_arena *arena, struct cl_error *err)
{
    if (size == 0)
        return cl_refuse(err, EINVAL, "the host path is empty");
    if (size > SOURCE_MAX)
        return cl_refuse(err, ENAMETOOLONG, "the host path is longer than %d bytes", SOURCE_MAX);
    file->source = cl_arena_strndup(arena, text, size);
    return file->source == NULL ? cl_fail_memory(err) : 0;
}

int cl_file_set_mode(struct cl_plan_file *file, const char *text, struct cl_error *err)
{
    for (unsigned int i = 0; i < CL_FILE_MODE_COUNT; i++) {
        if (strcmp(mode_words[i], text) == 0) {
            file->mode = (enum cl_file_mode)i;
            return 0;
        }
    }
    return cl_refuse(err, EINVAL, "expected the mode ro, rw or copy, got \"%.100s\"", text);
}

int cl_file_set_size(struct cl_plan_file *file, const char *text, struct cl_error *err)
{
    if (cl_parse_size(text, &file->size_bytes) < 0)
        return cl_refuse(err, EINVAL, "expected a size like 64MiB, got \"%.100s\"", text);
    if (file->size_bytes < TMPFS_LEAST || file->size_bytes > CL_MAX_BYTES)
        return cl_refuse(err, ERANGE, "the size %.100s is not between 4KiB and 1024TiB", text);
    return 0;
}
