/* Deciding in three passes: which profile, its defaults under the parts, then the
 * checks. Each check looks at one field and may read those before it in the table. */
#include "plan/decide.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/num.h"

enum { STRICT = 1 << CL_PROFILE_STRICT, BUILD = 1 << CL_PROFILE_BUILD, BOTH = STRICT | BUILD };
enum { STRICT_ID = 1000 };

/* What a profile gives to a plan that says nothing. */
static const struct {
    unsigned int profiles;
    enum cl_field field;
    const char *text;
} defaults[] = {
    {BOTH, CL_FIELD_WALL, "auto"},
    {BOTH, CL_FIELD_NETWORK, "none"},
    {BOTH, CL_FIELD_ROOT_MODE, "profile"},
    {BOTH, CL_FIELD_HOSTNAME, "cloister"},
    {BOTH, CL_FIELD_TTY, "false"},
    {BOTH, CL_FIELD_INTERACTIVE, "false"},
    {BOTH, CL_FIELD_DIE_WITH_PARENT, "false"},
    {STRICT, CL_FIELD_USER, "1000:1000"},
    {BUILD, CL_FIELD_USER, "0:0"},
    {BOTH, CL_FIELD_MEMORY, "512MiB"},
    {BOTH, CL_FIELD_SWAP, "0"},
    {BOTH, CL_FIELD_TASKS, "256"},
    {BOTH, CL_FIELD_TIME, "10m"},
    {BOTH, CL_FIELD_GRACE, "10s"},
    {BOTH, CL_FIELD_DISK, "256MiB"},
    {BOTH, CL_FIELD_SHM_SIZE, "64MiB"},
    {BOTH, CL_FIELD_OPEN_FILES, "1024"},
};

/* CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID (linux/capability.h): what
 * package managers need to lay out files of several owners, and nothing else. */
static const uint64_t build_capabilities =
    1U << 0 | 1U << 1 | 1U << 3 | 1U << 4 | 1U << 6 | 1U << 7;

struct decision {
    struct cl_decide *how;
    struct cl_plan *plan;
    uint64_t given; /* the fields that the parts set; the others are defaults */
};

static int was_given(const struct decision *d, enum cl_field field)
{
    return (d->given & (1ULL << field)) != 0;
}

/* --- words and paths ------------------------------------------------------ */

static int is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* [A-Za-z0-9] and then also the bytes of MORE. */
static int is_word(const char *text, size_t size, const char *more)
{
    if (size == 0 || !is_alnum(text[0]))
        return 0;
    for (size_t i = 1; i < size; i++) {
        if (!is_alnum(text[i]) && (text[i] == '\0' || strchr(more, text[i]) == NULL))
            return 0;
    }
    return 1;
}

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

int cl_path_normalise(const char *path, int fold_dots, struct cl_arena *arena, const char **ret,
                      struct cl_error *err)
{
    size_t used = 0;

    if (path[0] != '/')
        return cl_refuse(err, EINVAL, "\"%.200s\" is not an absolute path", path);
    if (has_control_bytes(path))
        return cl_refuse(err, EINVAL, "control characters in the path \"%.200s\"", path);
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

/* --- the checks ----------------------------------------------------------- */

static int check_wall(struct decision *d, struct cl_error *err)
{
    if (d->plan->wall == CL_WALL_AUTO)
        d->plan->wall = CL_WALL_CONTAINER;
    if (d->plan->wall != CL_WALL_CONTAINER)
        return cl_refuse(err, ENOSYS, "the %s wall is not built yet; use container",
                         cl_field_words(CL_FIELD_WALL)[d->plan->wall]);
    return 0;
}

static int check_network(struct decision *d, struct cl_error *err)
{
    if (d->plan->network != CL_NETWORK_NONE)
        return cl_refuse(err, ENOSYS, "%s is not built yet; use none",
                         cl_field_words(CL_FIELD_NETWORK)[d->plan->network]);
    return 0;
}

static int check_root(struct decision *d, CL_UNUSED struct cl_error *err)
{
    struct cl_plan *plan = d->plan;

    if (plan->root_mode == CL_ROOT_PROFILE)
        plan->root_mode =
            plan->profile == CL_PROFILE_BUILD ? CL_ROOT_WRITABLE : CL_ROOT_READ_ONLY;
    return 0;
}

static const char *const later_images[] = {"oci:", "oci-archive:", "docker-archive:"};

static int refuse_image(const char *image, struct cl_error *err)
{
    size_t size = strlen(image);

    for (size_t i = 0; i < CL_ARRAY_SIZE(later_images); i++) {
        if (strncmp(image, later_images[i], strlen(later_images[i])) == 0)
            return cl_refuse(err, ENOSYS, "%s images are not built yet; use host or rootfs:DIR",
                             later_images[i]);
    }
    if (size > 5 && strcmp(image + size - 5, ".wasm") == 0)
        return cl_refuse(err, ENOSYS, "wasm modules are not built yet; use host or rootfs:DIR");
    if (image[0] == '/' || image[0] == '.')
        return cl_refuse(err, EINVAL, "\"%.200s\" is no image; for a directory write rootfs:%.200s",
                         image, image);
    return cl_refuse(err, ENOSYS,
                     "\"%.200s\": images from registries are not built yet; use host or rootfs:DIR",
                     image);
}

static int check_image(struct decision *d, struct cl_error *err)
{
    static const char prefix[] = "rootfs:";
    struct cl_plan *plan = d->plan;

    if (!cl_plan_has(plan, CL_FIELD_IMAGE))
        return cl_refuse(err, EINVAL, "none given; use host or rootfs:DIR");
    cl_plan_mark(plan, CL_FIELD_IMAGE_KIND);
    if (strcmp(plan->image, "host") == 0) {
        plan->image_kind = CL_IMAGE_HOST;
        return 0;
    }
    if (strncmp(plan->image, prefix, sizeof(prefix) - 1) != 0)
        return refuse_image(plan->image, err);
    plan->image_kind = CL_IMAGE_ROOTFS;
    return cl_plan_set_text(plan, CL_FIELD_IMAGE_PATH, plan->image + sizeof(prefix) - 1,
                            d->how->arena, err);
}

static int check_command(struct decision *d, struct cl_error *err)
{
    if (!cl_plan_has(d->plan, CL_FIELD_COMMAND) || d->plan->command.count == 0)
        return cl_refuse(err, EINVAL, "none given, and the image names none");
    return 0;
}

/* One half of UID[:GID]: 1 a number or root, 0 another name. */
static int decide_id(const char *text, const char *user, uint64_t *ret, struct cl_error *err)
{
    const uint64_t most = cl_field_info(CL_FIELD_UID)->max;
    uint64_t id;

    if (strcmp(text, "root") == 0) {
        *ret = 0;
        return 1;
    }
    if (text[0] >= '0' && text[0] <= '9') {
        if (cl_parse_u64(text, &id) < 0 || id > most)
            return cl_refuse(err, EINVAL, "\"%.64s\" is no number from 0 to %" PRIu64, text, most);
        *ret = id;
        return 1;
    }
    if (text[0] == '_' || is_word(text, strlen(text), "_.-$"))
        return 0;
    return cl_refuse(err, EINVAL, "expected UID, UID:GID or names, got \"%.64s\"", user);
}

static int find_ids(struct decision *d, struct cl_error *err)
{
    struct cl_plan found = {0};

    if (d->how->find_user == NULL)
        return cl_refuse(err, ENOENT, "no user \"%.64s\"; use a number", d->plan->user);
    int r = d->how->find_user(d->how->context, d->plan, &found, err);
    if (r < 0)
        return r;
    CL_ASSERT(cl_plan_has(&found, CL_FIELD_UID));
    d->plan->uid = found.uid;
    d->plan->gid = cl_plan_has(&found, CL_FIELD_GID) ? found.gid : found.uid;
    return 0;
}

static int decide_ids(struct decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;
    const char *colon = strchr(plan->user, ':');
    char *name = cl_arena_strndup(d->how->arena, plan->user, strcspn(plan->user, ":"));

    if (name == NULL)
        return cl_fail_memory(err);
    int user = decide_id(name, plan->user, &plan->uid, err);
    int group = user < 0 || colon == NULL ? user : decide_id(colon + 1, plan->user, &plan->gid, err);
    if (user < 0 || group < 0)
        return user < 0 ? user : group;
    if (colon == NULL)
        plan->gid = plan->uid;
    cl_plan_mark(plan, CL_FIELD_UID);
    cl_plan_mark(plan, CL_FIELD_GID);
    return user == 1 && group == 1 ? 0 : find_ids(d, err);
}

static int check_user(struct decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;
    int r = decide_ids(d, err);

    if (r < 0)
        return r;
    if (plan->profile != CL_PROFILE_STRICT || (plan->uid != 0 && plan->gid != 0))
        return 0;
    d->how->note = plan->uid == 0
                       ? "the strict profile never runs as root: user 1000 instead (--profile "
                         "build has root inside)"
                       : "the strict profile never runs as root: group 1000 instead";
    if (plan->uid == 0)
        plan->uid = STRICT_ID;
    if (plan->gid == 0)
        plan->gid = STRICT_ID;
    return 0;
}

static int check_capabilities(struct decision *d, CL_UNUSED struct cl_error *err)
{
    struct cl_plan *plan = d->plan;

    plan->capabilities =
        plan->profile == CL_PROFILE_BUILD && plan->uid == 0 ? build_capabilities : 0;
    cl_plan_mark(plan, CL_FIELD_CAPABILITIES);
    return 0;
}

static int check_workdir(struct decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;

    if (!cl_plan_has(plan, CL_FIELD_WORKDIR)) {
        plan->workdir = plan->image_kind == CL_IMAGE_HOST ? "/tmp" : "/";
        cl_plan_mark(plan, CL_FIELD_WORKDIR);
        return 0;
    }
    return cl_path_normalise(plan->workdir, 1, d->how->arena, &plan->workdir, err);
}

/* RFC 1123's form, with "_" beside "-" as Linux hosts have it. */
static int check_hostname(struct decision *d, struct cl_error *err)
{
    const char *name = d->plan->hostname;

    for (const char *label = name;; label++) {
        size_t size = strcspn(label, ".");

        if (!is_word(label, size, "-_"))
            return cl_refuse(err, EINVAL,
                             "\"%.64s\" is no host name: letters, digits and - in parts "
                             "separated by dots",
                             name);
        label += size;
        if (*label == '\0')
            return 0;
    }
}

static int check_name_text(const char *text, struct cl_error *err)
{
    if (is_word(text, strlen(text), "_.-"))
        return 0;
    return cl_refuse(err, EINVAL,
                     "\"%.128s\" must start with a letter or digit and go on with letters, "
                     "digits, _ . -",
                     text);
}

static int check_name(struct decision *d, struct cl_error *err)
{
    return cl_plan_has(d->plan, CL_FIELD_NAME) ? check_name_text(d->plan->name, err) : 0;
}

static int check_tenant(struct decision *d, struct cl_error *err)
{
    return cl_plan_has(d->plan, CL_FIELD_TENANT) ? check_name_text(d->plan->tenant, err) : 0;
}

static int check_labels(struct decision *d, struct cl_error *err)
{
    for (size_t i = 0; i < d->plan->labels.count; i++) {
        const char *label = d->plan->labels.items[i];
        size_t size = strcspn(label, "=");

        if (label[size] != '=' || !is_word(label, size, "_./-"))
            return cl_refuse(err, EINVAL,
                             "expected KEY=VALUE with a key of letters, digits, _ . / -, got "
                             "\"%.100s\"",
                             label);
        if (strlen(label) > 4096)
            return cl_refuse(err, E2BIG, "%.*s is longer than 4096 bytes", (int)cl_min_u64(size, 100),
                             label);
    }
    return 0;
}

static int check_env_name(const char *entry, struct cl_error *err)
{
    size_t size = strcspn(entry, "=");

    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)entry[i] <= 0x20 || entry[i] == 0x7f)
            return cl_refuse(err, EINVAL, "blank or control character in the name \"%.100s\"",
                             entry);
    }
    if (size == 0 || entry[size] != '=')
        return cl_refuse(err, EINVAL, "expected NAME=VALUE, got \"%.100s\"", entry);
    return 0;
}

static int add_env(struct cl_plan *env, struct cl_arena *arena, const char *name, const char *value,
                   struct cl_error *err)
{
    char *entry = cl_arena_printf(arena, "%s=%s", name, value);

    if (entry == NULL)
        return cl_fail_memory(err);
    return cl_plan_add_str(env, CL_FIELD_ENV, entry, arena, err);
}

/* What every program sees, laid under the variables that were given. */
static int default_env(const struct decision *d, struct cl_plan *ret, struct cl_error *err)
{
    const struct cl_plan *plan = d->plan;
    const struct {
        const char *name;
        const char *value; /* NULL: not in this plan */
    } rows[] = {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        {"HOME", plan->uid == 0 ? "/root" : "/tmp"},
        {"HOSTNAME", plan->hostname},
        {"LANG", "C.UTF-8"},
        {"TERM", plan->tty ? "xterm" : NULL},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        int r = rows[i].value == NULL
                    ? 0
                    : add_env(ret, d->how->arena, rows[i].name, rows[i].value, err);

        if (r < 0)
            return r;
    }
    return 0;
}

static int check_env(struct decision *d, struct cl_error *err)
{
    struct cl_plan below = {0};
    struct cl_plan above = {.env = d->plan->env};
    int r = 0;

    for (size_t i = 0; r == 0 && i < above.env.count; i++)
        r = check_env_name(above.env.items[i], err);
    if (r < 0)
        return r;
    cl_plan_mark(&above, CL_FIELD_ENV);
    r = default_env(d, &below, err);
    if (r == 0)
        r = cl_plan_overlay(&below, &above, d->how->arena, err);
    if (r < 0)
        return r;
    d->plan->env = below.env;
    cl_plan_mark(d->plan, CL_FIELD_ENV);
    return 0;
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

static int check_file_sizes(const struct decision *d, const struct cl_plan_file *file,
                            struct cl_error *err)
{
    if (file->size_bytes > d->plan->limits.disk_bytes)
        return cl_refuse(err, EINVAL,
                         "%.200s: %" PRIu64 " bytes are more than the %" PRIu64
                         " bytes of all scratch (--disk)",
                         file->target, file->size_bytes, d->plan->limits.disk_bytes);
    return 0;
}

static int check_files(struct decision *d, struct cl_error *err)
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
    for (size_t i = 0; r == 0 && i < list->count; i++) {
        r = check_target(sorted[i].target, err);
        if (r == 0)
            r = check_file_sizes(d, &sorted[i], err);
        if (r == 0 && sorted[i].kind == CL_FILE_BIND && sorted[i].source[0] == '\0')
            r = cl_refuse(err, EINVAL, "%.200s: the host path is empty", sorted[i].target);
    }
    list->items = sorted;
    return r;
}

/* Scratch on a tmpfs is charged to the memory limit; were it the larger of the two,
 * a full disk would be an OOM kill instead of ENOSPC. */
static int check_disk(struct decision *d, struct cl_error *err)
{
    struct cl_plan_limits *limits = &d->plan->limits;

    if (cl_plan_without(d->plan, CL_LAYER_LIMITS) || limits->disk_bytes < limits->memory_bytes)
        return 0;
    if (!was_given(d, CL_FIELD_DISK)) {
        limits->disk_bytes = limits->memory_bytes / 2;
        return 0;
    }
    if (d->how->caller_is_root)
        return 0;
    return cl_refuse(err, EINVAL,
                     "scratch is held in memory for ordinary users and must be smaller than the "
                     "memory limit of %" PRIu64 " bytes; raise --memory or lower --disk",
                     limits->memory_bytes);
}

static int check_shm(struct decision *d, struct cl_error *err)
{
    struct cl_plan_limits *limits = &d->plan->limits;

    if (limits->shm_bytes <= limits->disk_bytes)
        return 0;
    if (was_given(d, CL_FIELD_SHM_SIZE))
        return cl_refuse(err, EINVAL,
                         "larger than the %" PRIu64 " bytes of all scratch (--disk)",
                         limits->disk_bytes);
    limits->shm_bytes = limits->disk_bytes;
    return 0;
}

static int check_without(struct decision *d, struct cl_error *err)
{
    cl_plan_mark(d->plan, CL_FIELD_WITHOUT);
#ifdef CL_WEAK
    (void)d;
    (void)err;
#else
    uint64_t refused = d->plan->without & ~cl_layers_acceptable();

    for (unsigned int layer = 0; layer < CL_LAYER_COUNT; layer++) {
        if ((refused & CL_LAYER_BIT(layer)) != 0)
            return cl_refuse(err, EPERM, "the layer %s can't be left out",
                             cl_layer_name((enum cl_layer)layer));
    }
#endif
    return 0;
}

/* In this order: a check may read what an earlier one decided. The name stands before
 * the message; NULL where the message says it all. */
static const struct {
    const char *name;
    int (*check)(struct decision *d, struct cl_error *err);
} checks[] = {
    {NULL, check_wall},
    {"network", check_network},
    {NULL, check_root},
    {"image", check_image},
    {"command", check_command},
    {"user", check_user},
    {NULL, check_capabilities},
    {"workdir", check_workdir},
    {"hostname", check_hostname},
    {"name", check_name},
    {"tenant", check_tenant},
    {"label", check_labels},
    {"env", check_env},
    {"without", check_without},
    {"disk", check_disk},
    {"shm-size", check_shm},
    {"files", check_files},
};

/* --- the passes ----------------------------------------------------------- */

static uint64_t profile_of(const struct cl_decide *how)
{
    uint64_t profile = CL_PROFILE_STRICT;

    for (size_t i = 0; i < how->count; i++) {
        if (cl_plan_has(how->parts[i], CL_FIELD_PROFILE))
            profile = how->parts[i]->profile;
    }
    return profile;
}

static int set_defaults(struct cl_decide *how, struct cl_plan *plan, struct cl_error *err)
{
    plan->profile = profile_of(how);
    cl_plan_mark(plan, CL_FIELD_PROFILE);
    for (size_t i = 0; i < CL_ARRAY_SIZE(defaults); i++) {
        if ((defaults[i].profiles & (1U << plan->profile)) == 0)
            continue;
        int r = cl_plan_set_text(plan, defaults[i].field, defaults[i].text, how->arena, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Targets are normalised before parts are merged, which goes by target. Within one
 * part none may stand twice. */
static int normalise_targets(struct cl_decide *how, struct cl_plan *part, struct cl_error *err)
{
    struct cl_files *list = &part->files;
    struct cl_plan_file *items = cl_arena_array(how->arena, list->count + 1, sizeof(*items));

    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < list->count; i++) {
        items[i] = list->items[i];
        int r = cl_path_normalise(items[i].target, 0, how->arena, &items[i].target, err);
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

static int lay_parts(struct cl_decide *how, struct decision *d, struct cl_error *err)
{
    for (size_t i = 0; i < how->count; i++) {
        struct cl_plan part = *how->parts[i];
        int r = normalise_targets(how, &part, err);

        if (r == 0)
            r = cl_plan_overlay(d->plan, &part, how->arena, err);
        if (r < 0)
            return r;
        d->given |= part.set;
    }
    return 0;
}

int cl_plan_decide(struct cl_decide *how, struct cl_plan *ret, struct cl_error *err)
{
    struct cl_plan plan = {0};
    struct decision d = {.how = how, .plan = &plan};

    how->note = NULL;
    int r = set_defaults(how, &plan, err);
    if (r == 0)
        r = lay_parts(how, &d, err);
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(checks); i++) {
        r = checks[i].check(&d, err);
        if (r < 0 && checks[i].name != NULL)
            return cl_prefix(err, "%s", checks[i].name);
    }
    if (r < 0)
        return r;
    *ret = plan;
    return 0;
}
