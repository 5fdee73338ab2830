#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/num.h"
#include "plan/plan.h"

static const char *const wall_words[] = {"container", "wasm", "vm", "kernel", "auto", NULL};
static const char *const profile_words[] = {"strict", "build", NULL};
static const char *const network_words[] = {"none", "outbound", NULL};
static const char *const root_words[] = {"profile", "read-only", "writable", NULL};
static const char *const cgroup_manager_words[] = {"cgroupfs", "systemd", NULL};
static const char *const image_kind_words[] = {"host",   "rootfs",  "store",
                                               "module", "modules", NULL};
static const char *const wasm_model_words[] = {"coroutine", "process", NULL};
static const char *const wasm_engine_words[] = {"wasmtime", "wasmedge", NULL};
static const char *const scratch_words[] = {"memory", "disk", NULL};
static const char *const place_words[] = {"/proc", "/dev", "/tmp", "/etc/hosts", NULL};
_Static_assert(CL_ARRAY_SIZE(place_words) == CL_PLACE_COUNT + 1, "a path for each");

/* setrlimit(2)'s names in lower case without RLIMIT_, by their numbers. */
static const char *const rlimit_words[] = {
    [RLIMIT_CPU] = "cpu",           [RLIMIT_FSIZE] = "fsize",
    [RLIMIT_DATA] = "data",         [RLIMIT_STACK] = "stack",
    [RLIMIT_CORE] = "core",         [RLIMIT_RSS] = "rss",
    [RLIMIT_NPROC] = "nproc",       [RLIMIT_NOFILE] = "nofile",
    [RLIMIT_MEMLOCK] = "memlock",   [RLIMIT_AS] = "as",
    [RLIMIT_LOCKS] = "locks",       [RLIMIT_SIGPENDING] = "sigpending",
    [RLIMIT_MSGQUEUE] = "msgqueue", [RLIMIT_NICE] = "nice",
    [RLIMIT_RTPRIO] = "rtprio",     [RLIMIT_RTTIME] = "rttime",
};
_Static_assert(CL_ARRAY_SIZE(rlimit_words) == CL_PLAN_RLIMITS, "a word for each");

static const char *const layer_words[] = {
#define CL_LAYER(name, text, acceptable, why) text,
#include "policy/layers.def"
#undef CL_LAYER
    NULL,
};

static const unsigned char layer_acceptable[] = {
#define CL_LAYER(name, text, acceptable, why) acceptable,
#include "policy/layers.def"
#undef CL_LAYER
};

static const struct cl_field_info fields[CL_FIELD_COUNT] = {
#define CL_FIELD(id, name, path, type, member, scope, min, max)                                    \
    [CL_FIELD_##name] = {id,                                                                       \
                         CL_TYPE_##type,                                                           \
                         CL_SCOPE_##scope,                                                         \
                         path,                                                                     \
                         offsetof(struct cl_plan, member),                                         \
                         (uint64_t)(min),                                                          \
                         (uint64_t)(max)},
#include "plan/fields.def"
#undef CL_FIELD
};

/* No number is two fields': a struct has no two members of one name. */
struct numbers {
#define CL_FIELD(id, name, path, type, member, scope, min, max) char number_##id;
#include "plan/fields.def"
#undef CL_FIELD
};
_Static_assert(sizeof(struct numbers) == CL_FIELD_COUNT, "each field has a number");
_Static_assert(CL_FIELD_COUNT <= 64, "cl_plan.set is 64 bits");
_Static_assert(CL_LAYER_COUNT <= 63, "cl_plan.without is 64 bits");

const char *const *cl_field_words(enum cl_field field)
{
    switch ((int)field) {
    case CL_FIELD_WALL:
        return wall_words;
    case CL_FIELD_PROFILE:
        return profile_words;
    case CL_FIELD_NETWORK:
        return network_words;
    case CL_FIELD_ROOT_MODE:
        return root_words;
    case CL_FIELD_CGROUP_MANAGER:
        return cgroup_manager_words;
    case CL_FIELD_IMAGE_KIND:
        return image_kind_words;
    case CL_FIELD_WASM_MODEL:
        return wasm_model_words;
    case CL_FIELD_WASM_ENGINE:
        return wasm_engine_words;
    case CL_FIELD_SCRATCH:
        return scratch_words;
    case CL_FIELD_IMAGE_PLACES:
        return place_words;
    case CL_FIELD_WITHOUT:
        return layer_words;
    case CL_FIELD_RLIMITS:
        return rlimit_words;
    default:
        return NULL;
    }
}

const struct cl_field_info *cl_field_info(enum cl_field field)
{
    CL_ASSERT(field < CL_FIELD_COUNT);
    return &fields[field];
}

enum cl_field cl_field_by_path(const char *path)
{
    for (unsigned int f = 0; f < CL_FIELD_COUNT; f++) {
        if (strcmp(fields[f].path, path) == 0)
            return (enum cl_field)f;
    }
    return CL_FIELD_COUNT;
}

const char *cl_place_path(enum cl_place place)
{
    return place_words[place];
}

const char *cl_layer_name(enum cl_layer layer)
{
    CL_ASSERT(layer < CL_LAYER_COUNT);
    return layer_words[layer];
}

enum cl_layer cl_layer_by_name(const char *name)
{
    for (unsigned int i = 0; i < CL_LAYER_COUNT; i++) {
        if (strcmp(layer_words[i], name) == 0)
            return (enum cl_layer)i;
    }
    return CL_LAYER_COUNT;
}

int cl_layer_acceptable(enum cl_layer layer)
{
    return layer_acceptable[layer];
}

uint64_t cl_layers_acceptable(void)
{
    uint64_t mask = 0;

    for (unsigned int i = 0; i < CL_LAYER_COUNT; i++) {
        if (layer_acceptable[i])
            mask |= CL_LAYER_BIT(i);
    }
    return mask;
}

int cl_plan_has_rw_volume(const struct cl_plan *plan)
{
    for (size_t i = 0; i < plan->files.count; i++) {
        if (plan->files.items[i].kind == CL_FILE_BIND && plan->files.items[i].mode == CL_FILE_RW)
            return 1;
    }
    return 0;
}

/* "0.010" from 10, for messages about CPUs; sizes and times as people write them. */
static void format_value(char text[32], enum cl_field_type type, uint64_t value)
{
    const char *unit = "";

    if (type == CL_TYPE_SIZE)
        unit = cl_size_unit(&value);
    else if (type == CL_TYPE_DURATION)
        unit = cl_duration_unit(&value);
    if (type == CL_TYPE_MILLICPU)
        (void)snprintf(text, 32, "%" PRIu64 ".%03u", value / 1000, (unsigned int)(value % 1000));
    else
        (void)snprintf(text, 32, "%" PRIu64 "%s", value, unit);
}

int cl_field_check_bounds(enum cl_field field, uint64_t value, struct cl_error *err)
{
    const struct cl_field_info *info = cl_field_info(field);
    char bound[32];

    if (value < info->min) {
        format_value(bound, info->type, info->min);
        return cl_refuse(err, ERANGE, "too small; the least is %s", bound);
    }
    if (value > info->max) {
        format_value(bound, info->type, info->max);
        return cl_refuse(err, ERANGE, "too large; the most is %s", bound);
    }
    return 0;
}

static int parse_word(const char *const *words, const char *text, uint64_t *ret,
                      struct cl_error *err)
{
    char list[160] = "";

    CL_ASSERT(words != NULL);
    for (uint64_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *ret = i;
            return 0;
        }
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof(list) - used, "%s%s", i == 0 ? "" : ", ", words[i]);
    }
    return cl_refuse(err, EINVAL, "expected one of %s, got \"%.100s\"", list, text);
}

static int parse_bool(const char *text, uint64_t *ret)
{
    if (strcmp(text, "true") == 0)
        *ret = 1;
    else if (strcmp(text, "false") == 0)
        *ret = 0;
    else
        return -EINVAL;
    return 0;
}

static const char *const type_expected[] = {
    [CL_TYPE_BOOL] = "true or false",
    [CL_TYPE_COUNT] = "a whole number",
    [CL_TYPE_SIZE] = "a size like 512MiB",
    [CL_TYPE_DURATION] = "a time like 90s, 1.5m or 500ms",
    [CL_TYPE_MILLICPU] = "a number of CPUs like 1.5",
};

static int parse_number(enum cl_field_type type, const char *text, uint64_t *ret)
{
    switch ((int)type) {
    case CL_TYPE_BOOL:
        return parse_bool(text, ret);
    case CL_TYPE_COUNT:
        return cl_parse_u64(text, ret);
    case CL_TYPE_SIZE:
        return cl_parse_size(text, ret);
    case CL_TYPE_DURATION:
        return cl_parse_duration(text, ret);
    case CL_TYPE_MILLICPU:
        return cl_parse_millicpus(text, ret);
    default:
        return -EINVAL;
    }
}

static int set_number(struct cl_plan *plan, enum cl_field field, const char *text,
                      struct cl_error *err)
{
    const struct cl_field_info *info = cl_field_info(field);
    uint64_t value = 0;
    int r;

    if (info->type == CL_TYPE_ENUM)
        r = parse_word(cl_field_words(field), text, &value, err);
    else
        r = parse_number(info->type, text, &value);
    if (r == -ERANGE)
        return cl_refuse(err, ERANGE, "\"%.100s\" is too large", text);
    if (r < 0 && info->type == CL_TYPE_ENUM)
        return r;
    if (r < 0)
        return cl_refuse(err, EINVAL, "expected %s, got \"%.100s\"", type_expected[info->type],
                         text);
    r = cl_field_check_bounds(field, value, err);
    if (r < 0 && info->type == CL_TYPE_SIZE && value > 0 && value < info->min &&
        text[strspn(text, "0123456789")] == '\0')
        return cl_hint(err, "a number alone is bytes: %.20sm is %.20s MiB", text, text);
    if (r < 0)
        return r;
    *(uint64_t *)(void *)((char *)plan + info->offset) = value;
    cl_plan_mark(plan, field);
    return 0;
}

int cl_plan_set_text(struct cl_plan *plan, enum cl_field field, const char *text,
                     struct cl_arena *arena, struct cl_error *err)
{
    const struct cl_field_info *info = cl_field_info(field);

    CL_ASSERT(info->type <= CL_TYPE_STR && info->type != CL_TYPE_MASK);
    if (info->type != CL_TYPE_STR)
        return set_number(plan, field, text, err);

    size_t size = strlen(text);
    if (size < info->min)
        return cl_refuse(err, EINVAL, "must not be empty");
    if (size > info->max)
        return cl_refuse(err, EINVAL, "longer than %" PRIu64 " bytes", info->max);
    char *copy = cl_arena_strdup(arena, text);
    if (copy == NULL)
        return cl_fail_memory(err);
    *(const char **)(void *)((char *)plan + info->offset) = copy;
    cl_plan_mark(plan, field);
    return 0;
}
