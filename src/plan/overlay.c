#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "plan/plan.h"

static size_t size_of_type(enum cl_field_type type)
{
    switch (type) {
    case CL_TYPE_STR:
        return sizeof(const char *);
    case CL_TYPE_STRLIST:
        return sizeof(struct cl_strlist);
    case CL_TYPE_BYTES:
        return sizeof(struct cl_bytes);
    case CL_TYPE_FILES:
        return sizeof(struct cl_files);
    case CL_TYPE_RLIMITS:
        return sizeof(struct cl_rlimits);
    case CL_TYPE_BOOL:
    case CL_TYPE_ENUM:
    case CL_TYPE_COUNT:
    case CL_TYPE_SIZE:
    case CL_TYPE_DURATION:
    case CL_TYPE_MILLICPU:
    case CL_TYPE_MASK:
        return sizeof(uint64_t);
    }
    CL_ASSERT(0);
    return 0;
}

static int check_count(enum cl_field field, size_t count, struct cl_error *err)
{
    const struct cl_field_info *info = cl_field_info(field);

    if (count > info->max)
        return cl_refuse(err, E2BIG, "more than %" PRIu64 " entries", info->max);
    return 0;
}

/* Lists grow one by one and are short. What a list's array has room for is not kept: it
 * is always at least the next power of two of its count, here and in the reader
 * (format.c), so that a full one is told by its count alone. */
static size_t room_of(size_t count)
{
    size_t room = 1;

    while (room < count)
        room *= 2;
    return room;
}

/* A copy of OLD's COUNT objects with room for at least EXTRA more. */
static void *copy_array(struct cl_arena *arena, const void *old, size_t count, size_t extra,
                        size_t size)
{
    void *items = cl_arena_array(arena, room_of(count + extra), size);

    if (items != NULL && count > 0)
        memcpy(items, old, count * size);
    return items;
}

static void *room_for_one(struct cl_arena *arena, const void *old, size_t count, size_t size)
{
    if (count > 0 && room_of(count) > count)
        return cl_unconst(old);
    return copy_array(arena, old, count, 1, size);
}

int cl_plan_add_str(struct cl_plan *plan, enum cl_field field, const char *text,
                    struct cl_arena *arena, struct cl_error *err)
{
    const struct cl_field_info *info = cl_field_info(field);

    CL_ASSERT(info->type == CL_TYPE_STRLIST);
    struct cl_strlist *list = (void *)((char *)plan + info->offset);
    int r = check_count(field, list->count + 1, err);
    if (r < 0)
        return r;
    const char **items =
        room_for_one(arena, (const void *)list->items, list->count, sizeof(*items));
    char *copy = cl_arena_strdup(arena, text);
    if (items == NULL || copy == NULL)
        return cl_fail_memory(err);
    items[list->count] = copy;
    *list = (struct cl_strlist){items, list->count + 1};
    cl_plan_mark(plan, field);
    return 0;
}

int cl_plan_add_file(struct cl_plan *plan, const struct cl_plan_file *file, struct cl_arena *arena,
                     struct cl_error *err)
{
    struct cl_files *list = &plan->files;
    int r = check_count(CL_FIELD_FILES, list->count + 1, err);

    if (r < 0)
        return r;
    struct cl_plan_file *items = room_for_one(arena, list->items, list->count, sizeof(*items));
    char *source = cl_arena_strdup(arena, file->source);
    char *target = cl_arena_strdup(arena, file->target);
    if (items == NULL || source == NULL || target == NULL)
        return cl_fail_memory(err);
    items[list->count] = *file;
    items[list->count].source = source;
    items[list->count].target = target;
    *list = (struct cl_files){items, list->count + 1};
    cl_plan_mark(plan, CL_FIELD_FILES);
    return 0;
}

const struct cl_plan_rlimit *cl_plan_find_rlimit(const struct cl_plan *plan, uint32_t resource)
{
    for (size_t i = 0; i < plan->rlimits.count; i++) {
        if (plan->rlimits.items[i].resource == resource)
            return &plan->rlimits.items[i];
    }
    return NULL;
}

int cl_plan_add_rlimit(struct cl_plan *plan, const struct cl_plan_rlimit *limit,
                       struct cl_arena *arena, struct cl_error *err)
{
    struct cl_rlimits *list = &plan->rlimits;
    const struct cl_plan_rlimit *old = cl_plan_find_rlimit(plan, limit->resource);
    const size_t at = old == NULL ? list->count : (size_t)(old - list->items);
    int r = check_count(CL_FIELD_RLIMITS, at + 1, err);
    if (r < 0)
        return r;
    struct cl_plan_rlimit *items = room_for_one(arena, list->items, list->count, sizeof(*items));
    if (items == NULL)
        return cl_fail_memory(err);
    items[at] = *limit;
    *list = (struct cl_rlimits){items, list->count + (old == NULL)};
    cl_plan_mark(plan, CL_FIELD_RLIMITS);
    return 0;
}

static int same_key(const char *a, const char *b)
{
    size_t size = strcspn(a, "=");

    return size == strcspn(b, "=") && strncmp(a, b, size) == 0;
}

/* OVER's strings replace those of BASE with the same key; the rest follow. */
static int merge_keyed(struct cl_strlist *base, const struct cl_strlist *over,
                       struct cl_arena *arena, struct cl_error *err)
{
    const char **items =
        copy_array(arena, (const void *)base->items, base->count, over->count, sizeof(*items));
    size_t count = base->count;

    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < over->count; i++) {
        size_t at = 0;

        while (at < count && !same_key(items[at], over->items[i]))
            at++;
        items[at] = over->items[i];
        if (at == count)
            count++;
    }
    *base = (struct cl_strlist){items, count};
    return 0;
}

static int merge_files(struct cl_files *base, const struct cl_files *over, struct cl_arena *arena,
                       struct cl_error *err)
{
    struct cl_plan_file *items =
        copy_array(arena, base->items, base->count, over->count, sizeof(*items));
    size_t count = base->count;

    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < over->count; i++) {
        size_t at = 0;

        while (at < count && strcmp(items[at].target, over->items[i].target) != 0)
            at++;
        items[at] = over->items[i];
        if (at == count)
            count++;
    }
    *base = (struct cl_files){items, count};
    return 0;
}

static int overlay_field(struct cl_plan *base, const struct cl_plan *over, enum cl_field field,
                         struct cl_arena *arena, struct cl_error *err)
{
    const struct cl_field_info *info = cl_field_info(field);
    char *to = (char *)base + info->offset;
    const char *from = (const char *)over + info->offset;

    switch ((int)field) {
    case CL_FIELD_ENV:
        return merge_keyed(&base->env, &over->env, arena, err);
    case CL_FIELD_LABELS:
        return merge_keyed(&base->labels, &over->labels, arena, err);
    case CL_FIELD_FILES:
        return merge_files(&base->files, &over->files, arena, err);
    case CL_FIELD_WITHOUT:
        base->without |= over->without;
        return 0;
    default:
        memcpy(to, from, size_of_type(info->type));
        return 0;
    }
}

int cl_plan_overlay(struct cl_plan *base, const struct cl_plan *over, struct cl_arena *arena,
                    struct cl_error *err)
{
    for (unsigned int f = 0; f < CL_FIELD_COUNT; f++) {
        if (!cl_plan_has(over, (enum cl_field)f))
            continue;
        int r = overlay_field(base, over, (enum cl_field)f, arena, err);
        if (r < 0)
            return r;
        cl_plan_mark(base, (enum cl_field)f);
    }
    return 0;
}
