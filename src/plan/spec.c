/* The record as an instance of base/flat.h (little-endian); an item's members in the order of its
 * struct, numbers first and texts last. */
#include "plan/spec.h"

#include <errno.h>
#include <linux/sched.h>
#include <string.h>

enum {
    MAX_PATH = 4095,
    MAX_WORDS = 65536,
    MAX_PAIRS = 8192, /* of two texts each: half as many */
    MAX_NAME = 64,
    MAX_LABEL = 4095,
    MAX_MAPS = 2048,
};

static const char *const hook_names[CL_HOOK_COUNT] = {
    [CL_HOOK_PRESTART] = "prestart",
    [CL_HOOK_CREATE_RUNTIME] = "createRuntime",
    [CL_HOOK_CREATE_CONTAINER] = "createContainer",
    [CL_HOOK_START_CONTAINER] = "startContainer",
    [CL_HOOK_POSTSTART] = "poststart",
    [CL_HOOK_POSTSTOP] = "poststop",
};

static const char *const resource_paths[CL_RESOURCE_COUNT] = {
#define CL_RESOURCE(id, name, path, v1_controller, v1_file, v2_file, form, why)                    \
    [CL_RESOURCE_##name] = "linux.resources." path,
#include "policy/resources.def"
#undef CL_RESOURCE
};

static const uint32_t resource_ids[CL_RESOURCE_COUNT] = {
#define CL_RESOURCE(id, name, path, v1_controller, v1_file, v2_file, form, why)                    \
    [CL_RESOURCE_##name] = (id),
#include "policy/resources.def"
#undef CL_RESOURCE
};

const char *cl_hook_name(enum cl_hook_kind kind)
{
    CL_ASSERT(kind < CL_HOOK_COUNT);
    return hook_names[kind];
}

const char *cl_resource_path(enum cl_resource what)
{
    CL_ASSERT(what < CL_RESOURCE_COUNT);
    return resource_paths[what];
}

/* --- items ------------------------------------------------------------------------------- */

static int put_u32s(struct cl_buf *buf, const uint32_t *values, size_t count)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = cl_flat_put_u32(buf, values[i]);
    return r;
}

static int take_u32s(struct cl_flat_cursor *cursor, uint32_t *const *values, size_t count)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = cl_flat_take_u32(cursor, values[i]);
    return r;
}

static int put_u64s(struct cl_buf *buf, const uint64_t *values, size_t count)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = cl_flat_put_u64(buf, values[i]);
    return r;
}

static int take_u64s(struct cl_flat_cursor *cursor, uint64_t *const *values, size_t count)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = cl_flat_take_u64(cursor, values[i]);
    return r;
}

static int put_texts(struct cl_buf *buf, const char *const *texts, size_t count)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = cl_flat_put_text(buf, texts[i]);
    return r;
}

static int take_texts(struct cl_flat_cursor *cursor, const char **const *texts, size_t count)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = cl_flat_take_text(cursor, texts[i]);
    return r;
}

#define PUT(kind, buf, type, ...)                                                                  \
    put_##kind(buf, (type const[]){__VA_ARGS__}, CL_ARRAY_SIZE(((type const[]){__VA_ARGS__})))
#define PUT_U32S(buf, ...) PUT(u32s, buf, uint32_t, __VA_ARGS__)
#define PUT_U64S(buf, ...) PUT(u64s, buf, uint64_t, __VA_ARGS__)
#define PUT_TEXTS(buf, ...)                                                                        \
    put_texts(buf, (const char *const[]){__VA_ARGS__},                                             \
              CL_ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))
#define TAKE_U32S(cursor, ...)                                                                     \
    take_u32s(cursor, (uint32_t *const[]){__VA_ARGS__},                                            \
              CL_ARRAY_SIZE(((uint32_t *const[]){__VA_ARGS__})))
#define TAKE_U64S(cursor, ...)                                                                     \
    take_u64s(cursor, (uint64_t *const[]){__VA_ARGS__},                                            \
              CL_ARRAY_SIZE(((uint64_t *const[]){__VA_ARGS__})))
#define TAKE_TEXTS(cursor, ...)                                                                    \
    take_texts(cursor, (const char **const[]){__VA_ARGS__},                                        \
               CL_ARRAY_SIZE(((const char **const[]){__VA_ARGS__})))

/* Signed numbers as the same bits. */
static int64_t signed_of(uint64_t value)
{
    int64_t result;

    memcpy(&result, &value, sizeof(result));
    return result;
}

static int put_number(struct cl_buf *buf, const void *item)
{
    return cl_flat_put_u32(buf, *(const uint32_t *)item);
}

static int take_number(struct cl_flat_cursor *cursor, void *item)
{
    return cl_flat_take_u32(cursor, item);
}

static int put_rlimit(struct cl_buf *buf, const void *item)
{
    const struct cl_plan_rlimit *limit = item;
    int r = PUT_U64S(buf, limit->soft, limit->hard);

    return r < 0 ? r : cl_flat_put_u32(buf, limit->resource);
}

static int take_rlimit(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_plan_rlimit *limit = item;

    if (TAKE_U64S(cursor, &limit->soft, &limit->hard) < 0 ||
        cl_flat_take_u32(cursor, &limit->resource) < 0)
        return -EBADMSG;
    return limit->resource < CL_PLAN_RLIMITS ? 0 : -EBADMSG;
}

static int put_mount(struct cl_buf *buf, const void *item)
{
    const struct cl_spec_mount *mount = item;
    int r = PUT_U64S(buf, mount->set, mount->clear, mount->deep_set, mount->deep_clear);

    if (r == 0)
        r = PUT_U32S(buf, mount->flags, mount->propagation, mount->uid_maps, mount->gid_maps);
    return r < 0 ? r : PUT_TEXTS(buf, mount->target, mount->type, mount->source, mount->options);
}

static int take_mount(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_spec_mount *mount = item;

    if (TAKE_U64S(cursor, &mount->set, &mount->clear, &mount->deep_set, &mount->deep_clear) < 0 ||
        TAKE_U32S(cursor, &mount->flags, &mount->propagation, &mount->uid_maps, &mount->gid_maps) <
            0)
        return -EBADMSG;
    return TAKE_TEXTS(cursor, &mount->target, &mount->type, &mount->source, &mount->options);
}

static int put_namespace(struct cl_buf *buf, const void *item)
{
    const struct cl_spec_namespace *namespace = item;
    int r = cl_flat_put_u32(buf, namespace->kind);

    return r < 0 ? r : cl_flat_put_text(buf, namespace->path);
}

static int take_namespace(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_spec_namespace *namespace = item;

    if (cl_flat_take_u32(cursor, &namespace->kind) < 0)
        return -EBADMSG;
    return cl_flat_take_text(cursor, &namespace->path);
}

static int put_map(struct cl_buf *buf, const void *item)
{
    const struct cl_spec_map *map = item;

    return PUT_U32S(buf, map->inside, map->outside, map->size);
}

static int take_map(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_spec_map *map = item;

    return TAKE_U32S(cursor, &map->inside, &map->outside, &map->size);
}

static int put_offset(struct cl_buf *buf, const void *item)
{
    const struct cl_spec_offset *offset = item;
    int r = cl_flat_put_u64(buf, (uint64_t)offset->seconds);

    return r < 0 ? r : PUT_U32S(buf, offset->clock, offset->nanoseconds);
}

static int take_offset(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_spec_offset *offset = item;
    uint64_t seconds;

    if (cl_flat_take_u64(cursor, &seconds) < 0 ||
        TAKE_U32S(cursor, &offset->clock, &offset->nanoseconds) < 0)
        return -EBADMSG;
    offset->seconds = signed_of(seconds);
    return 0;
}

static int put_device(struct cl_buf *buf, const void *item)
{
    const struct cl_spec_device *device = item;
    int r = PUT_U32S(buf, device->kind, device->major, device->minor, device->mode, device->uid,
                     device->gid);

    return r < 0 ? r : cl_flat_put_text(buf, device->path);
}

static int take_device(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_spec_device *device = item;

    if (TAKE_U32S(cursor, &device->kind, &device->major, &device->minor, &device->mode,
                  &device->uid, &device->gid) < 0)
        return -EBADMSG;
    return cl_flat_take_text(cursor, &device->path);
}

static int put_rule(struct cl_buf *buf, const void *item)
{
    const struct cl_spec_rule *rule = item;
    int r = PUT_U64S(buf, (uint64_t)rule->major, (uint64_t)rule->minor);

    return r < 0 ? r : PUT_U32S(buf, rule->allow, rule->kind, rule->access);
}

static int take_rule(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_spec_rule *rule = item;
    uint64_t major = 0; /* gcc's analyzer loses sight of them */
    uint64_t minor = 0;

    if (TAKE_U64S(cursor, &major, &minor) < 0 ||
        TAKE_U32S(cursor, &rule->allow, &rule->kind, &rule->access) < 0)
        return -EBADMSG;
    rule->major = signed_of(major);
    rule->minor = signed_of(minor);
    return 0;
}

static int put_resource(struct cl_buf *buf, const void *item)
{
    const struct cl_spec_resource *resource = item;

    if (resource->what >= CL_RESOURCE_COUNT)
        return -ERANGE;
    int r = cl_flat_put_u64(buf, (uint64_t)resource->value);
    if (r == 0)
        r = PUT_U32S(buf, resource_ids[resource->what], resource->major, resource->minor);
    return r < 0 ? r : PUT_TEXTS(buf, resource->name, resource->text);
}

static int take_resource(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_spec_resource *resource = item;
    uint64_t value;
    uint32_t id;

    if (cl_flat_take_u64(cursor, &value) < 0 ||
        TAKE_U32S(cursor, &id, &resource->major, &resource->minor) < 0 ||
        TAKE_TEXTS(cursor, &resource->name, &resource->text) < 0)
        return -EBADMSG;
    resource->value = signed_of(value);
    for (uint32_t i = 0; i < CL_RESOURCE_COUNT; i++) {
        if (resource_ids[i] == id) {
            resource->what = i;
            return 0;
        }
    }
    return -EBADMSG;
}

static int put_scheduler(struct cl_buf *buf, const void *item)
{
    const struct cl_spec_scheduler *scheduler = item;
    int r = PUT_U64S(buf, scheduler->flags, scheduler->runtime_ns, scheduler->deadline_ns,
                     scheduler->period_ns);

    return r < 0 ? r
                 : PUT_U32S(buf, scheduler->policy, scheduler->priority, (uint32_t)scheduler->nice);
}

static int take_scheduler(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_spec_scheduler *scheduler = item;
    uint32_t nice = 0;

    if (TAKE_U64S(cursor, &scheduler->flags, &scheduler->runtime_ns, &scheduler->deadline_ns,
                  &scheduler->period_ns) < 0 ||
        TAKE_U32S(cursor, &scheduler->policy, &scheduler->priority, &nice) < 0)
        return -EBADMSG;
    memcpy(&scheduler->nice, &nice, sizeof(nice));
    return 0;
}

static int put_hook(struct cl_buf *buf, const void *item)
{
    const struct cl_spec_hook *hook = item;
    int r = PUT_U32S(buf, hook->kind, hook->timeout_s, (uint32_t)hook->args.count,
                     (uint32_t)hook->env.count);

    return r < 0 ? r : cl_flat_put_text(buf, hook->path);
}

static int take_hook(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_spec_hook *hook = item;
    uint32_t args = 0;
    uint32_t env = 0;

    if (TAKE_U32S(cursor, &hook->kind, &hook->timeout_s, &args, &env) < 0 ||
        cl_flat_take_text(cursor, &hook->path) < 0)
        return -EBADMSG;
    hook->args.count = args;
    hook->env.count = env;
    return hook->kind < CL_HOOK_COUNT ? 0 : -EBADMSG;
}

#define ITEM(name, type, least)                                                                    \
    static const struct cl_flat_item name##_item = {.size = sizeof(struct type),                   \
                                                    .least_size = (least),                         \
                                                    .put = put_##name,                             \
                                                    .take = take_##name}

static const struct cl_flat_item number_item = {
    .size = sizeof(uint32_t), .least_size = 4, .put = put_number, .take = take_number};
ITEM(rlimit, cl_plan_rlimit, 20);
ITEM(mount, cl_spec_mount, 52);
ITEM(namespace, cl_spec_namespace, 5);
ITEM(map, cl_spec_map, 12);
ITEM(offset, cl_spec_offset, 16);
ITEM(device, cl_spec_device, 25);
ITEM(rule, cl_spec_rule, 28);
ITEM(resource, cl_spec_resource, 22);
ITEM(scheduler, cl_spec_scheduler, 44);
ITEM(hook, cl_spec_hook, 17);

/* --- the shape --------------------------------------------------------------------------- */

#define ROW_OF(index, id, type, member, min, max, item)                                            \
    [CL_SPEC_##                                                                                    \
        index] = {id, CL_FLAT_##type, offsetof(struct cl_spec, member), min, max, #member, item}
#define ROW(index, id, type, member, min, max) ROW_OF(index, id, type, member, min, max, NULL)

static const struct cl_flat_field fields[CL_SPEC_FIELD_COUNT] = {
    ROW(VERSION, 1, TEXT, version, 1, MAX_NAME),
    ROW(HOSTNAME, 2, TEXT, hostname, 0, MAX_NAME),
    ROW(DOMAINNAME, 3, TEXT, domainname, 0, MAX_NAME),
    ROW(ARGS, 4, TEXTS, args, 1, MAX_WORDS),
    ROW(ENV, 5, TEXTS, env, 0, MAX_WORDS),
    ROW(CWD, 6, TEXT, cwd, 1, MAX_PATH),
    ROW(UID, 7, NUMBER, uid, 0, UINT32_MAX - 1),
    ROW(GID, 8, NUMBER, gid, 0, UINT32_MAX - 1),
    ROW_OF(GROUPS, 9, LIST, groups, 0, 65536, &number_item),
    ROW(UMASK, 10, NUMBER, umask, 0, 07777),
    ROW(TERMINAL, 11, NUMBER, terminal, 0, 1),
    ROW(ROWS, 12, NUMBER, rows, 0, UINT16_MAX),
    ROW(COLUMNS, 13, NUMBER, columns, 0, UINT16_MAX),
    ROW(NO_NEW_PRIVILEGES, 14, NUMBER, no_new_privileges, 0, 1),
    ROW(BOUNDING, 15, NUMBER, bounding, 0, CL_CAP_MASK),
    ROW(EFFECTIVE, 16, NUMBER, effective, 0, CL_CAP_MASK),
    ROW(INHERITABLE, 17, NUMBER, inheritable, 0, CL_CAP_MASK),
    ROW(PERMITTED, 18, NUMBER, permitted, 0, CL_CAP_MASK),
    ROW(AMBIENT, 19, NUMBER, ambient, 0, CL_CAP_MASK),
    ROW_OF(RLIMITS, 20, LIST, rlimits, 0, CL_PLAN_RLIMITS, &rlimit_item),
    ROW(APPARMOR, 21, TEXT, apparmor, 0, MAX_LABEL),
    ROW(SELINUX, 22, TEXT, selinux, 0, MAX_LABEL),
    ROW(MOUNT_LABEL, 23, TEXT, mount_label, 0, MAX_LABEL),
    ROW(OOM_SCORE, 24, NUMBER, oom_score, 0, 2UL * CL_SPEC_OOM_BIAS),
    ROW(IO_PRIORITY, 25, NUMBER, io_priority, 0, UINT16_MAX),
    ROW_OF(SCHEDULER, 26, LIST, scheduler, 0, 1, &scheduler_item),
    ROW(AFFINITY_INITIAL, 27, TEXT, affinity_initial, 0, MAX_LABEL),
    ROW(AFFINITY_FINAL, 28, TEXT, affinity_final, 0, MAX_LABEL),
    ROW(PERSONALITY, 29, NUMBER, personality, 0, UINT32_MAX - 1),
    ROW(ROOT, 30, TEXT, root, 1, MAX_PATH),
    ROW(ROOT_READONLY, 31, NUMBER, root_readonly, 0, 1),
    ROW_OF(MOUNTS, 32, LIST, mounts, 0, CL_SPEC_MAX_MOUNTS, &mount_item),
    ROW_OF(MOUNT_MAPS, 33, LIST, mount_maps, 0, MAX_MAPS, &map_item),
    ROW_OF(NAMESPACES, 34, LIST, namespaces, 0, 8, &namespace_item),
    ROW_OF(UID_MAPS, 35, LIST, uid_maps, 0, MAX_MAPS, &map_item),
    ROW_OF(GID_MAPS, 36, LIST, gid_maps, 0, MAX_MAPS, &map_item),
    ROW_OF(TIME_OFFSETS, 37, LIST, time_offsets, 0, 2, &offset_item),
    ROW_OF(DEVICES, 38, LIST, devices, 0, 1024, &device_item),
    ROW_OF(DEVICE_RULES, 39, LIST, device_rules, 0, 1024, &rule_item),
    ROW(CGROUPS_PATH, 40, TEXT, cgroups_path, 0, MAX_PATH),
    ROW_OF(RESOURCES, 41, LIST, resources, 0, 4096, &resource_item),
    ROW(SECCOMP_PROFILE, 42, BYTES, profile, 8, CL_SPEC_MAX_INPUT),
    ROW(SECCOMP, 43, BYTES, seccomp, 8, CL_SPEC_MAX_FILTER),
    ROW(SECCOMP_FLAGS, 44, NUMBER, seccomp_flags, 0, UINT16_MAX),
    ROW(SECCOMP_LISTENER, 45, TEXT, seccomp_listener, 1, MAX_PATH),
    ROW(SECCOMP_METADATA, 46, TEXT, seccomp_metadata, 0, 1 << 20),
    ROW(SYSCTLS, 47, TEXTS, sysctls, 0, MAX_PAIRS),
    ROW(MASKED, 48, TEXTS, masked, 0, 4096),
    ROW(READONLY, 49, TEXTS, readonly, 0, 4096),
    ROW(PROPAGATION, 50, NUMBER, propagation, 0, UINT32_MAX - 1),
    ROW(INTEL_RDT, 51, TEXTS, intel_rdt, 0, MAX_NAME),
    ROW_OF(HOOKS, 52, LIST, hooks, 0, 1024, &hook_item),
    ROW(HOOK_WORDS, 53, TEXTS, hook_words, 0, MAX_WORDS),
    ROW(ANNOTATIONS, 54, TEXTS, annotations, 0, MAX_PAIRS),
    ROW(WARNINGS, 55, TEXTS, warnings, 0, CL_SPEC_MAX_WARNINGS),
};
_Static_assert(CL_SPEC_FIELD_COUNT <= 64, "cl_spec.set is 64 bits");

static const struct cl_flat_shape shape = {
    .name = "spec's record",
    .magic = {'c', 'l', 's', 'p', 'e', 'c', '\r', '\n'},
    .version = CL_SPEC_RECORD_VERSION,
    .max_size = CL_SPEC_MAX_SIZE,
    .set_offset = offsetof(struct cl_spec, set),
    .count = CL_SPEC_FIELD_COUNT,
    .fields = fields,
};

int cl_spec_write(const struct cl_spec *spec, struct cl_buf *buf, struct cl_error *err)
{
    return cl_flat_write(&shape, spec, buf, err);
}

/* --- what has to hold ---------------------------------------------------------------------- */

static int is_path(const char *text)
{
    return text[0] == '/' && strlen(text) <= MAX_PATH;
}

static int are_paths(const struct cl_strlist *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!is_path(list->items[i]))
            return 0;
    }
    return 1;
}

/* COUNT words of *WORDS, which become LIST's. */
static int share(struct cl_strlist *words, struct cl_strlist *list)
{
    if (list->count > words->count)
        return -EBADMSG;
    if (list->count == 0)
        return 0; /* of no words either: they have no address to be added to */
    list->items = words->items;
    words->items += list->count;
    words->count -= list->count;
    return 0;
}

/* The items were made in an arena by the reader: they are ours to complete. */
static int share_hook_words(struct cl_spec *spec)
{
    struct cl_spec_hook *hooks = cl_unconst(spec->hooks.items);
    struct cl_strlist words = spec->hook_words;

    for (size_t i = 0; i < spec->hooks.count; i++) {
        if (!is_path(hooks[i].path) || share(&words, &hooks[i].args) < 0 ||
            share(&words, &hooks[i].env) < 0)
            return -EBADMSG;
    }
    return words.count == 0 ? 0 : -EBADMSG;
}

static int check_mounts(const struct cl_spec *spec)
{
    uint64_t maps = 0;

    for (size_t i = 0; i < spec->mounts.count; i++) {
        const struct cl_spec_mount *mount = &spec->mounts.items[i];

        if (!is_path(mount->target) || strlen(mount->source) > MAX_PATH)
            return -EBADMSG;
        maps += (uint64_t)mount->uid_maps + mount->gid_maps;
    }
    return maps == spec->mount_maps.count ? 0 : -EBADMSG;
}

static int check_namespaces(const struct cl_spec *spec)
{
    const uint32_t kinds = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                           CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME;
    uint32_t seen = 0;

    for (size_t i = 0; i < spec->namespaces.count; i++) {
        const struct cl_spec_namespace *namespace = &spec->namespaces.items[i];
        const uint32_t kind = namespace->kind;

        if ((kind & kinds) == 0 || (kind & (kind - 1)) != 0 || (seen & kind) != 0 ||
            (namespace->path[0] != '\0' && !is_path(namespace->path)))
            return -EBADMSG;
        seen |= kind;
    }
    return 0;
}

static int check(struct cl_spec *spec)
{
    uint32_t seen = 0;

    for (size_t i = 0; i < spec->rlimits.count; i++) {
        const uint32_t bit = 1U << spec->rlimits.items[i].resource;

        if ((seen & bit) != 0)
            return -EBADMSG;
        seen |= bit;
    }
    for (size_t i = 0; i < spec->devices.count; i++) {
        if (!is_path(spec->devices.items[i].path))
            return -EBADMSG;
    }
    if (!are_paths(&spec->masked) || !are_paths(&spec->readonly) ||
        (cl_spec_has(spec, CL_SPEC_CWD) && !is_path(spec->cwd)) || spec->sysctls.count % 2 != 0 ||
        spec->annotations.count % 2 != 0 || spec->intel_rdt.count % 2 != 0)
        return -EBADMSG;
    int r = check_mounts(spec);
    if (r == 0)
        r = check_namespaces(spec);
    return r < 0 ? r : share_hook_words(spec);
}

int cl_spec_read(const struct cl_bytes *bytes, struct cl_arena *arena, struct cl_spec *ret,
                 struct cl_error *err)
{
    struct cl_spec spec = {.set = 0};
    int r = cl_flat_read(&shape, bytes, arena, &spec, err);

    if (r < 0)
        return r;
    if (check(&spec) < 0)
        return cl_refuse(err, EBADMSG, "a spec's record contradicts itself");
    *ret = spec;
    return 0;
}

/* --- looking things up --------------------------------------------------------------------- */

const struct cl_spec_namespace *cl_spec_namespace(const struct cl_spec *spec, uint32_t kind)
{
    for (size_t i = 0; i < spec->namespaces.count; i++) {
        if (spec->namespaces.items[i].kind == kind)
            return &spec->namespaces.items[i];
    }
    return NULL;
}

const char *cl_spec_annotation(const struct cl_spec *spec, const char *key)
{
    for (size_t i = 0; i + 1 < spec->annotations.count; i += 2) {
        if (strcmp(spec->annotations.items[i], key) == 0)
            return spec->annotations.items[i + 1];
    }
    return NULL;
}

int cl_spec_has_hook(const struct cl_spec *spec, enum cl_hook_kind kind)
{
    for (size_t i = 0; i < spec->hooks.count; i++) {
        if (spec->hooks.items[i].kind == kind)
            return 1;
    }
    return 0;
}
