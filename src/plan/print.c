#include "plan/print.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/sys_abi.h"

static const char *const file_kind_words[] = {"bind", "tmpfs"};

static void print_strlist(struct cl_json *json, const char *key, const struct cl_strlist *list)
{
    cl_json_strings(json, key, list->items, list->count);
}

static void print_files(struct cl_json *json, const char *key, const struct cl_files *list)
{
    cl_json_array(json, key);
    for (size_t i = 0; i < list->count; i++) {
        const struct cl_plan_file *file = &list->items[i];

        cl_json_object(json, NULL);
        cl_json_string(json, "type", file_kind_words[file->kind]);
        if (file->kind == CL_FILE_BIND)
            cl_json_string(json, "host", file->source);
        cl_json_string(json, "path", file->target);
        cl_json_string(json, "mode", cl_file_mode_name(file->mode));
        if (file->size_bytes != 0)
            cl_json_u64(json, "size_bytes", file->size_bytes);
        cl_json_close(json, '}');
    }
    cl_json_close(json, ']');
}

static void print_mask(struct cl_json *json, const char *key, const char *const *words,
                       uint64_t mask)
{
    char number[24];

    cl_json_array(json, key);
    for (unsigned int bit = 0; bit < 64; bit++) {
        if ((mask & (1ULL << bit)) == 0)
            continue;
        (void)snprintf(number, sizeof(number), "%u", bit);
        cl_json_string(json, NULL, words == NULL ? number : words[bit]);
    }
    cl_json_close(json, ']');
}

static void print_rlimit(struct cl_json *json, const char *key, uint64_t value)
{
    if (value == CL_RLIM_INFINITY)
        cl_json_string(json, key, "unlimited");
    else
        cl_json_u64(json, key, value);
}

static void print_rlimits(struct cl_json *json, const char *key, const struct cl_rlimits *list)
{
    cl_json_object(json, key);
    for (size_t i = 0; i < list->count; i++) {
        cl_json_object(json, cl_field_words(CL_FIELD_RLIMITS)[list->items[i].resource]);
        print_rlimit(json, "soft", list->items[i].soft);
        print_rlimit(json, "hard", list->items[i].hard);
        cl_json_close(json, '}');
    }
    cl_json_close(json, '}');
}

static void print_field(struct cl_json *json, const char *key, enum cl_field field,
                        const struct cl_plan *plan)
{
    const struct cl_field_info *info = cl_field_info(field);
    const void *member = (const char *)plan + info->offset;
    uint64_t number = info->type <= CL_TYPE_MASK ? *(const uint64_t *)member : 0;

    switch (info->type) {
    case CL_TYPE_BOOL:
        cl_json_bool(json, key, number != 0);
        break;
    case CL_TYPE_ENUM:
        cl_json_string(json, key, cl_field_words(field)[number]);
        break;
    case CL_TYPE_COUNT:
    case CL_TYPE_SIZE:
    case CL_TYPE_DURATION:
        cl_json_u64(json, key, number);
        break;
    case CL_TYPE_MILLICPU:
        cl_json_decimal(json, key, number / 1000, (unsigned int)(number % 1000));
        break;
    case CL_TYPE_MASK:
        print_mask(json, key, cl_field_words(field), number);
        break;
    case CL_TYPE_STR:
        cl_json_string(json, key, *(const char *const *)member);
        break;
    case CL_TYPE_STRLIST:
        print_strlist(json, key, member);
        break;
    case CL_TYPE_BYTES:
        cl_json_u64(json, key, ((const struct cl_bytes *)member)->size);
        break;
    case CL_TYPE_FILES:
        print_files(json, key, member);
        break;
    case CL_TYPE_RLIMITS:
        print_rlimits(json, key, member);
        break;
    }
}

void cl_plan_print(const struct cl_plan *plan, struct cl_json *json)
{
    for (unsigned int f = 0; f < CL_FIELD_COUNT; f++) {
        const char *path = cl_field_info((enum cl_field)f)->path;

        if (strchr(path, '.') == NULL && cl_plan_has(plan, (enum cl_field)f))
            print_field(json, path, (enum cl_field)f, plan);
    }
}

static const char *unit_suffix(enum cl_field_type type)
{
    return type == CL_TYPE_SIZE ? "_bytes" : type == CL_TYPE_DURATION ? "_ns" : "";
}

/* The --ulimit that stands in the place of FIELD, or NULL. */
static const struct cl_plan_rlimit *stand_in(const struct cl_plan *plan, enum cl_field field)
{
    if (field == CL_FIELD_OPEN_FILES)
        return cl_plan_find_rlimit(plan, RLIMIT_NOFILE);
    return field == CL_FIELD_FILE_SIZE ? cl_plan_find_rlimit(plan, RLIMIT_FSIZE) : NULL;
}

void cl_plan_print_limits(const struct cl_plan *plan, struct cl_json *json)
{
    static const char prefix[] = "limits.";
    char key[64];

    cl_json_object(json, "limits");
    for (unsigned int f = 0; f < CL_FIELD_COUNT; f++) {
        const struct cl_field_info *info = cl_field_info((enum cl_field)f);

        if (strncmp(info->path, prefix, sizeof(prefix) - 1) != 0)
            continue;
        (void)snprintf(key, sizeof(key), "%s%s", info->path + sizeof(prefix) - 1,
                       unit_suffix(info->type));
        const struct cl_plan_rlimit *limit = stand_in(plan, (enum cl_field)f);
        if (limit != NULL && limit->soft != CL_RLIM_INFINITY)
            cl_json_u64(json, key, limit->soft);
        else if (limit == NULL && cl_plan_has(plan, (enum cl_field)f))
            print_field(json, key, (enum cl_field)f, plan);
        else
            cl_json_null(json, key);
    }
    cl_json_close(json, '}');
}
