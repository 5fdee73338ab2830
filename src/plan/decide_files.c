/* Paths of the sandbox, and what is put at them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/decide.h"
#include "plan/decide_parts.h"

enum { MAX_PATH = 4095 };

static int has_control_bytes(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return 1;
    }
    return 0;
}

/* Appends one name of a path to OUT, whose size so far is USED; returns the new size. */
static size_t add_name(char *out, size_t used, const char *name, size_t size)
{
    if (size == 0 || (size == 1 && name[0] == '.'))
        return used;
    if (size == 2 && name[0] == '.' && name[1] == '.') {
        while (used > 0 && out[used - 1] != '/')
            used--;
        return used > 0 ? used - 1 : 0;
    }
    out[used] = '/';
    memcpy(out + used + 1, name, size);
    return used + 1 + size;
}

static int has_dots(const char *path)
{
    for (const char *p = strstr(path, "/.."); p != NULL; p = strstr(p + 1, "/..")) {
        if (p[3] == '/' || p[3] == '\0')
            return 1;
    }
    return 0;
}

int cl_decide_path_form(const char *path, struct cl_error *err)
{
    if (path[0] != '/')
        return cl_refuse(err, EINVAL, "expected an absolute path, got \"%.200s\"", path);
    if (strlen(path) > MAX_PATH)
        return cl_refuse(err, ENAMETOOLONG, "the path is longer than %d bytes", MAX_PATH);
    if (has_control_bytes(path))
        return cl_refuse(err, EINVAL, "control characters in the path \"%.200s\"", path);
    return 0;
}

int cl_path_normalise(const char *path, int fold_dots, struct cl_arena *arena, const char **ret,
                      struct cl_error *err)
{
    size_t used = 0;
    int r = cl_decide_path_form(path, err);

    if (r < 0)
        return r;
    if (!fold_dots && has_dots(path))
        return cl_refuse(err, EINVAL, "\"..\" in the path \"%.200s\"", path);
    char *out = cl_arena_alloc(arena, strlen(path) + 2);
    if (out == NULL)
        return cl_fail_memory(err);
    while (*path != '\0') {
        size_t size = strcspn(path, "/");

        used = add_name(out, used, path, size);
        path += size;
        path += strspn(path, "/");
    }
    if (used == 0)
        out[used++] = '/';
    out[used] = '\0';
    *ret = out;
    return 0;
}

/* PATH is DIR or below it. */
static int is_at_or_below(const char *path, const char *dir)
{
    size_t size = strlen(dir);

    return strncmp(path, dir, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

/* The paths that Cloister makes itself. */
static const char *const own_paths[] = {"/proc", "/sys", "/dev"};

static int check_target(const char *target, struct cl_error *err)
{
    if (strcmp(target, "/") == 0)
        return cl_refuse(err, EINVAL, "nothing can be put over /; use rootfs:DIR as the image");
    if (is_at_or_below(target, "/dev/shm"))
        return cl_refuse(err, EINVAL, "/dev/shm is always there; see --shm-size");
    for (size_t i = 0; i < CL_ARRAY_SIZE(own_paths); i++) {
        if (is_at_or_below(target, own_paths[i]))
            return cl_refuse(err, EINVAL, "\"%.200s\": %s belongs to the sandbox itself", target,
                             own_paths[i]);
    }
    return 0;
}

int cl_target_normalise(const char *path, struct cl_arena *arena, const char **ret,
                        struct cl_error *err)
{
    const char *target = NULL;
    int r = cl_path_normalise(path, 0, arena, &target, err);

    if (r == 0)
        r = check_target(target, err);
    if (r == 0)
        *ret = target;
    return r;
}

/* As strcmp, but "/" sorts below every other byte, so that what lies below a path
 * follows it at once. */
static int compare_targets(const void *a, const void *b)
{
    const char *p = ((const struct cl_plan_file *)a)->target;
    const char *q = ((const struct cl_plan_file *)b)->target;

    while (*p != '\0' && *p == *q) {
        p++;
        q++;
    }
    int left = *p == '/' ? 1 : (unsigned char)*p;
    int right = *q == '/' ? 1 : (unsigned char)*q;
    return left - right;
}

static int check_file(const struct cl_decision *d, const struct cl_plan_file *file,
                      struct cl_error *err)
{
    int r = 0;

    if (file->kind == CL_FILE_TMPFS)
        r = cl_decide_tmpfs_size(d, file->size_bytes, err);
    else if (file->source[0] == '\0')
        r = cl_refuse(err, EINVAL, "the host path is empty");
    return r < 0 ? cl_prefix(err, "%.200s", file->target) : 0;
}

int cl_decide_files(struct cl_decision *d, struct cl_error *err)
{
    struct cl_files *list = &d->plan->files;
    int r = 0;

    cl_plan_mark(d->plan, CL_FIELD_FILES);
    struct cl_plan_file *sorted = cl_arena_array(d->how->arena, list->count + 1, sizeof(*sorted));
    if (sorted == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < list->count; i++)
        sorted[i] = list->items[i];
    qsort(sorted, list->count, sizeof(*sorted), compare_targets);
    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = check_file(d, &sorted[i], err);
    list->items = sorted;
    return r;
}

int cl_decide_targets(struct cl_decide *how, struct cl_plan *part, struct cl_error *err)
{
    struct cl_files *list = &part->files;
    struct cl_plan_file *items = cl_arena_array(how->arena, list->count + 1, sizeof(*items));

    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < list->count; i++) {
        items[i] = list->items[i];
        int r = cl_target_normalise(items[i].target, how->arena, &items[i].target, err);
        if (r < 0)
            return cl_prefix(err, "files");
        for (size_t j = 0; j < i; j++) {
            if (strcmp(items[i].target, items[j].target) == 0)
                return cl_refuse(err, EINVAL, "files: two entries for %.200s", items[i].target);
        }
    }
    list->items = items;
    return 0;
}
