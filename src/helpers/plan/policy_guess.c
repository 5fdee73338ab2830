#include "helpers/plan/policy_guess.h"

#include <string.h>

#include "base/guess.h"
#include "plan/plan.h"

/* What the same thing is called on the command line and by others. */
static const struct {
    const char *word;
    enum cl_field field;
} others[] = {
    {"timeout", CL_FIELD_TIME},       {"time_limit", CL_FIELD_TIME},
    {"wall_time", CL_FIELD_TIME},     {"pids", CL_FIELD_TASKS},
    {"pids_limit", CL_FIELD_TASKS},   {"processes", CL_FIELD_TASKS},
    {"threads", CL_FIELD_TASKS},      {"nproc", CL_FIELD_TASKS},
    {"nofile", CL_FIELD_OPEN_FILES},  {"fsize", CL_FIELD_FILE_SIZE},
    {"shm_size", CL_FIELD_SHM_SIZE},  {"storage", CL_FIELD_DISK},
    {"grace", CL_FIELD_GRACE},        {"stop_timeout", CL_FIELD_GRACE},
    {"volumes", CL_FIELD_FILES},      {"mounts", CL_FIELD_FILES},
    {"binds", CL_FIELD_FILES},        {"tmpfs", CL_FIELD_FILES},
    {"cwd", CL_FIELD_WORKDIR},        {"working_dir", CL_FIELD_WORKDIR},
    {"directory", CL_FIELD_WORKDIR},  {"uid", CL_FIELD_USER},
    {"gid", CL_FIELD_USER},           {"read_only", CL_FIELD_ROOT_MODE},
    {"readonly", CL_FIELD_ROOT_MODE}, {"writable", CL_FIELD_ROOT_MODE},
};

static const char *last_of(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot == NULL ? path : dot + 1;
}

/* "limits" when PATH is "limits.memory": the map that holds the row. */
static char *group_of(const char *path, struct cl_arena *arena)
{
    const char *dot = strrchr(path, '.');

    return dot == NULL ? NULL : cl_arena_strndup(arena, path, (size_t)(dot - path));
}

/* "read-only" is "read_only" here. */
static int same_word(const char *a, const char *b)
{
    for (; *a != '\0' && (*a == *b || (*a == '-' && *b == '_')); a++, b++)
        continue;
    return *a == *b;
}

static const char *by_another_name(const char *last)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(others); i++) {
        if (same_word(last, others[i].word))
            return cl_field_info(others[i].field)->path;
    }
    return NULL;
}

/* By the last word alone, which may stand in the wrong map: what precedes it would make
 * short words alike ("limits.mem" and "limits.shm"). */
static const char *by_last_word(const char *last)
{
    struct cl_guess guess = {0};
    const char *best = NULL;

    for (unsigned int f = 0; f < CL_FIELD_COUNT; f++) {
        const struct cl_field_info *info = cl_field_info((enum cl_field)f);
        const char *before = guess.best;

        if (info->scope != CL_SCOPE_POLICY)
            continue;
        if (strcmp(last_of(info->path), last) == 0)
            return info->path;
        cl_guess_try_start(&guess, last, last_of(info->path));
        if (guess.best != before)
            best = info->path;
    }
    return best;
}

/* A map's own name. */
static const char *by_group(const char *path, struct cl_arena *arena)
{
    struct cl_guess guess = {0};

    for (unsigned int f = 0; f < CL_FIELD_COUNT; f++) {
        const struct cl_field_info *info = cl_field_info((enum cl_field)f);
        const char *group = group_of(info->path, arena);

        if (info->scope == CL_SCOPE_POLICY && group != NULL)
            cl_guess_try(&guess, path, group);
    }
    return guess.best;
}

const char *cl_policy_guess(const char *path, struct cl_arena *arena)
{
    const char *last = last_of(path);
    const char *guess = by_another_name(last);

    if (guess == NULL && cl_field_by_path(path) != CL_FIELD_COUNT)
        return NULL; /* a run's own */
    if (guess == NULL)
        guess = by_last_word(last);
    return guess != NULL ? guess : by_group(path, arena);
}
