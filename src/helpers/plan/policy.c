/* A walk over the document along the table of fields. A map's keys extend a dotted
 * path; a path that is a row's is parsed as its type says, a path that only starts
 * rows' paths is a map of its own. Two fields have a shape that no type says: `env`
 * is a map of text, `files` a list of small maps.
 *
 * Text is taken as yaml_walk.h says; a count must stand without quotes.
 */
#include "helpers/plan/policy.h"

#include <errno.h>
#include <string.h>

#include "base/guess.h"
#include "helpers/common/report.h"
#include "helpers/plan/policy_guess.h"
#include "helpers/plan/yaml_walk.h"
#include "plan/decide.h"

struct walk {
    struct cl_yaml *yaml;
    struct cl_arena *arena;
    struct cl_plan plan;
};

static int locate(const struct walk *walk, const struct cl_yaml_node *node, const char *path,
                  struct cl_error *err)
{
    return cl_yaml_locate_node(walk->yaml, node, path, err);
}

static int want_kind(const struct walk *walk, const struct cl_yaml_node *node,
                     enum cl_yaml_kind kind, const char *path, struct cl_error *err)
{
    return cl_yaml_want_kind(walk->yaml, node, kind, path, err);
}

static int want_text(const struct walk *walk, const struct cl_yaml_node *node, const char *path,
                     struct cl_error *err)
{
    return cl_yaml_want_text(walk->yaml, node, path, err);
}

/* --- maps --------------------------------------------------------------- */

static int may_stand_in_policy(unsigned int field)
{
    return cl_field_info((enum cl_field)field)->scope == CL_SCOPE_POLICY;
}

/* Whether rows stand below PATH. */
static int is_group(const char *path)
{
    size_t size = strlen(path);

    for (unsigned int f = 0; f < CL_FIELD_COUNT; f++) {
        const char *row = cl_field_info((enum cl_field)f)->path;

        if (may_stand_in_policy(f) && strncmp(row, path, size) == 0 && row[size] == '.')
            return 1;
    }
    return 0;
}

static int refuse_key(const struct walk *walk, const struct cl_yaml_node *key, const char *path,
                      struct cl_error *err)
{
    const char *guess = cl_policy_guess(path, walk->arena);
    enum cl_field field = cl_field_by_path(path);

    if (strchr(key->text, '.') != NULL && field != CL_FIELD_COUNT)
        (void)cl_refuse(err, EINVAL, "write it as a map within a map, without the dot");
    else if (guess != NULL)
        (void)cl_refuse(err, EINVAL, "unknown key (did you mean %s?)", guess);
    else if (field != CL_FIELD_COUNT)
        (void)cl_refuse(err, EINVAL, "can't stand in a policy file; it belongs to a single run");
    else
        (void)cl_refuse(err, EINVAL, "unknown key");
    return locate(walk, key, path, err);
}

/* --- values ------------------------------------------------------------- */

/* A number without units is one in JSON too; with units it is text. */
static int wants_plain(enum cl_field_type type)
{
    return type == CL_TYPE_BOOL || type == CL_TYPE_COUNT || type == CL_TYPE_MILLICPU;
}

static int parse_scalar(struct walk *walk, const struct cl_yaml_node *node, enum cl_field field,
                        struct cl_error *err)
{
    const struct cl_field_info *info = cl_field_info(field);
    int r = info->type == CL_TYPE_BOOL ? want_kind(walk, node, CL_YAML_TEXT, info->path, err)
                                       : want_text(walk, node, info->path, err);

    if (r < 0)
        return r;
    if (wants_plain(info->type) && !node->plain) {
        (void)cl_refuse(err, EINVAL, "expected %s, got the text \"%.80s\"",
                        info->type == CL_TYPE_BOOL ? "true or false" : "a number", node->text);
        return locate(walk, node, info->path, err);
    }
    r = cl_plan_set_text(&walk->plan, field, node->text, walk->arena, err);
    if (r == 0)
        r = cl_plan_check_text(field, node->text, err);
    if (r == -ENOMEM)
        return r;
    return r < 0 ? locate(walk, node, info->path, err) : 0;
}

static int parse_network(struct walk *walk, const struct cl_yaml_node *node, struct cl_error *err)
{
    if (node->kind == CL_YAML_MAP) {
        (void)cl_refuse(err, EINVAL, "rules for single destinations are not built yet");
        return locate(walk, node, "network", err);
    }
    return parse_scalar(walk, node, CL_FIELD_NETWORK, err);
}

static int parse_env_entry(struct walk *walk, const struct cl_yaml_node *key, const char *prefix,
                           struct cl_error *err)
{
    CL_CLEANUP_YAML_NODE struct cl_yaml_node value = {.kind = CL_YAML_END};
    const char *path = cl_arena_printf(walk->arena, "%s.%s", prefix, key->text);
    int r;

    if (path == NULL)
        return cl_fail_memory(err);
    if (strchr(key->text, '=') != NULL) {
        (void)cl_refuse(err, EINVAL, "a variable's name can't hold \"=\"");
        return locate(walk, key, path, err);
    }
    r = cl_yaml_next(walk->yaml, &value, err);
    if (r == 0)
        r = want_text(walk, &value, path, err);
    if (r < 0)
        return r;
    const char *pair = cl_arena_printf(walk->arena, "%s=%s", key->text, value.text);
    if (pair == NULL)
        return cl_fail_memory(err);
    r = cl_plan_check_text(CL_FIELD_ENV, pair, err);
    if (r < 0)
        return locate(walk, key, path, err);
    r = cl_plan_add_str(&walk->plan, CL_FIELD_ENV, pair, walk->arena, err);
    if (r == -ENOMEM)
        return r;
    return r < 0 ? locate(walk, key, prefix, err) : 0;
}

static int parse_env(struct walk *walk, const struct cl_yaml_node *node, const char *path,
                     struct cl_error *err)
{
    const struct cl_yaml_seen *seen = NULL;
    int r = want_kind(walk, node, CL_YAML_MAP, path, err);

    cl_plan_mark(&walk->plan, CL_FIELD_ENV);
    while (r == 0) {
        CL_CLEANUP_YAML_NODE struct cl_yaml_node key = {.kind = CL_YAML_END};

        r = cl_yaml_next_key(walk->yaml, path, &seen, &key, err);
        if (r == 0 && key.kind == CL_YAML_END)
            break;
        if (r == 0)
            r = parse_env_entry(walk, &key, path, err);
    }
    return r;
}

/* --- files -------------------------------------------------------------- */

/* One entry of `files` while its keys are read. */
struct file_entry {
    struct cl_arena *arena;
    struct cl_plan_file file;
    unsigned int keys; /* 1 << enum file_key */
};

enum file_key { KEY_HOST, KEY_PATH, KEY_MODE, KEY_TMPFS, KEY_SIZE };

static int set_host(struct file_entry *entry, const char *text, struct cl_error *err)
{
    return cl_file_set_source(&entry->file, text, strlen(text), entry->arena, err);
}

static int set_target(struct file_entry *entry, const char *text, struct cl_error *err)
{
    return cl_target_normalise(text, entry->arena, &entry->file.target, err);
}

static int set_mode(struct file_entry *entry, const char *text, struct cl_error *err)
{
    return cl_file_set_mode(&entry->file, text, err);
}

static int set_size(struct file_entry *entry, const char *text, struct cl_error *err)
{
    return cl_file_set_size(&entry->file, text, err);
}

static const struct {
    const char *name;
    int (*set)(struct file_entry *entry, const char *text, struct cl_error *err);
} file_keys[] = {
    [KEY_HOST] = {"host", set_host}, [KEY_PATH] = {"path", set_target},
    [KEY_MODE] = {"mode", set_mode}, [KEY_TMPFS] = {"tmpfs", set_target},
    [KEY_SIZE] = {"size", set_size},
};

static int refuse_file_key(const struct walk *walk, const struct cl_yaml_node *key,
                           const char *path, struct cl_error *err)
{
    static const char *const others[][2] = {
        {"source", "host"}, {"src", "host"},         {"target", "path"},
        {"dst", "path"},    {"destination", "path"}, {"readonly", "mode"},
    };
    struct cl_guess guess = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(file_keys); i++)
        cl_guess_try(&guess, key->text, file_keys[i].name);
    for (size_t i = 0; i < CL_ARRAY_SIZE(others); i++) {
        if (strcmp(others[i][0], key->text) == 0)
            guess.best = others[i][1];
    }
    if (guess.best != NULL)
        (void)cl_refuse(err, EINVAL, "unknown key (did you mean %s?)", guess.best);
    else
        (void)cl_refuse(err, EINVAL, "unknown key (known: host, path, mode, tmpfs, size)");
    return locate(walk, key, path, err);
}

static int parse_file_key(struct walk *walk, const struct cl_yaml_node *key, const char *prefix,
                          struct file_entry *entry, struct cl_error *err)
{
    CL_CLEANUP_YAML_NODE struct cl_yaml_node value = {.kind = CL_YAML_END};
    const char *path = cl_arena_printf(walk->arena, "%s.%s", prefix, key->text);
    size_t i = 0;

    if (path == NULL)
        return cl_fail_memory(err);
    while (i < CL_ARRAY_SIZE(file_keys) && strcmp(file_keys[i].name, key->text) != 0)
        i++;
    if (i == CL_ARRAY_SIZE(file_keys))
        return refuse_file_key(walk, key, path, err);
    int r = cl_yaml_next(walk->yaml, &value, err);
    if (r == 0)
        r = want_text(walk, &value, path, err);
    if (r < 0)
        return r;
    r = file_keys[i].set(entry, value.text, err);
    if (r == -ENOMEM)
        return r;
    entry->keys |= 1U << i;
    return r < 0 ? locate(walk, &value, path, err) : 0;
}

static int check_keys(struct file_entry *entry, struct cl_error *err)
{
    const unsigned int bind = 1U << KEY_HOST | 1U << KEY_PATH | 1U << KEY_MODE;

    if ((entry->keys & 1U << KEY_TMPFS) != 0) {
        if ((entry->keys & bind) != 0)
            return cl_refuse(err, EINVAL, "a tmpfs has only the keys tmpfs and size");
        entry->file.kind = CL_FILE_TMPFS;
        entry->file.mode = CL_FILE_RW;
        entry->file.source = "";
        return 0;
    }
    if ((entry->keys & 1U << KEY_SIZE) != 0)
        return cl_refuse(err, EINVAL, "only a tmpfs has a size");
    if (entry->file.source == NULL || entry->file.target == NULL)
        return cl_refuse(err, EINVAL, "needs host and path, or tmpfs");
    return 0;
}

static int add_file(struct walk *walk, struct file_entry *entry, struct cl_error *err)
{
    int r = check_keys(entry, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < walk->plan.files.count; i++) {
        if (strcmp(walk->plan.files.items[i].target, entry->file.target) == 0)
            return cl_refuse(err, EINVAL, "the path \"%.80s\" stands twice", entry->file.target);
    }
    return cl_plan_add_file(&walk->plan, &entry->file, walk->arena, err);
}

/* The map that NODE opened, as the INDEXth entry. */
static int parse_file(struct walk *walk, const struct cl_yaml_node *node, size_t index,
                      struct cl_error *err)
{
    const char *path = cl_arena_printf(walk->arena, "files[%zu]", index);
    struct file_entry entry = {.arena = walk->arena,
                               .file = {.kind = CL_FILE_BIND, .mode = CL_FILE_RO}};
    const struct cl_yaml_seen *seen = NULL;
    int r = path == NULL ? cl_fail_memory(err) : want_kind(walk, node, CL_YAML_MAP, path, err);

    if (r == -EINVAL)
        return cl_hint(err, "as in {host: ./src, path: /src, mode: ro}");
    while (r == 0) {
        CL_CLEANUP_YAML_NODE struct cl_yaml_node key = {.kind = CL_YAML_END};

        r = cl_yaml_next_key(walk->yaml, path, &seen, &key, err);
        if (r == 0 && key.kind == CL_YAML_END)
            break;
        if (r == 0)
            r = parse_file_key(walk, &key, path, &entry, err);
    }
    if (r < 0)
        return r;
    r = add_file(walk, &entry, err);
    if (r == -ENOMEM)
        return r;
    return r < 0 ? locate(walk, node, path, err) : 0;
}

/* A list: ADD is called with each of its items. */
static int parse_list(struct walk *walk, const struct cl_yaml_node *node, enum cl_field field,
                      int (*add)(struct walk *walk, const struct cl_yaml_node *node, size_t i,
                                 struct cl_error *err),
                      struct cl_error *err)
{
    int r = want_kind(walk, node, CL_YAML_LIST, cl_field_info(field)->path, err);

    cl_plan_mark(&walk->plan, field);
    for (size_t i = 0; r == 0; i++) {
        CL_CLEANUP_YAML_NODE struct cl_yaml_node item = {.kind = CL_YAML_END};

        r = cl_yaml_next(walk->yaml, &item, err);
        if (r == 0 && item.kind == CL_YAML_END)
            break;
        if (r == 0)
            r = add(walk, &item, i, err);
    }
    return r;
}

static int parse_files(struct walk *walk, const struct cl_yaml_node *node, struct cl_error *err)
{
    return parse_list(walk, node, CL_FIELD_FILES, parse_file, err);
}

static int add_reach(struct walk *walk, const struct cl_yaml_node *node, size_t i,
                     struct cl_error *err)
{
    const char *path = cl_arena_printf(walk->arena, "network_reach[%zu]", i);

    if (path == NULL)
        return cl_fail_memory(err);
    int r = want_text(walk, node, path, err);
    if (r < 0)
        return r;
    r = cl_plan_add_str(&walk->plan, CL_FIELD_NETWORK_REACH, node->text, walk->arena, err);
    if (r == 0)
        r = cl_plan_check_text(CL_FIELD_NETWORK_REACH, node->text, err);
    if (r == -ENOMEM)
        return r;
    return r < 0 ? locate(walk, node, path, err) : 0;
}

static int parse_reach(struct walk *walk, const struct cl_yaml_node *node, struct cl_error *err)
{
    return parse_list(walk, node, CL_FIELD_NETWORK_REACH, add_reach, err);
}

/* --- the whole ---------------------------------------------------------- */

static int parse_map(struct walk *walk, const char *prefix, struct cl_error *err);

static int parse_field(struct walk *walk, const struct cl_yaml_node *value, enum cl_field field,
                       struct cl_error *err)
{
    switch ((int)field) {
    case CL_FIELD_ENV:
        return parse_env(walk, value, "env", err);
    case CL_FIELD_FILES:
        return parse_files(walk, value, err);
    case CL_FIELD_NETWORK:
        return parse_network(walk, value, err);
    case CL_FIELD_NETWORK_REACH:
        return parse_reach(walk, value, err);
    default:
        CL_ASSERT(cl_field_info(field)->type <= CL_TYPE_STR);
        return parse_scalar(walk, value, field, err);
    }
}

static int parse_entry(struct walk *walk, const struct cl_yaml_node *key, const char *prefix,
                       struct cl_error *err)
{
    CL_CLEANUP_YAML_NODE struct cl_yaml_node value = {.kind = CL_YAML_END};
    const char *path =
        cl_arena_printf(walk->arena, "%s%s%s", prefix, prefix[0] == '\0' ? "" : ".", key->text);

    if (path == NULL)
        return cl_fail_memory(err);
    enum cl_field field = cl_field_by_path(path);
    int known = strchr(key->text, '.') == NULL && key->text[0] != '\0' &&
                (is_group(path) || (field != CL_FIELD_COUNT && may_stand_in_policy(field)));
    if (!known)
        return refuse_key(walk, key, path, err);
    int r = cl_yaml_next(walk->yaml, &value, err);
    if (r < 0)
        return r;
    if (field != CL_FIELD_COUNT)
        return parse_field(walk, &value, field, err);
    r = want_kind(walk, &value, CL_YAML_MAP, path, err);
    return r < 0 ? r : parse_map(walk, path, err);
}

/* The rest of the map that is open, whose keys extend PREFIX. Recursion ends with the
 * dots of the table's paths. */
static int parse_map(struct walk *walk, const char *prefix, struct cl_error *err)
{
    const struct cl_yaml_seen *seen = NULL;
    int r = 0;

    while (r == 0) {
        CL_CLEANUP_YAML_NODE struct cl_yaml_node key = {.kind = CL_YAML_END};

        r = cl_yaml_next_key(walk->yaml, prefix, &seen, &key, err);
        if (r == 0 && key.kind == CL_YAML_END)
            break;
        if (r == 0)
            r = parse_entry(walk, &key, prefix, err);
    }
    return r;
}

int cl_policy_parse_map(struct cl_yaml *yaml, const struct cl_yaml_node *node, struct cl_plan *ret,
                        struct cl_error *err)
{
    struct walk walk = {.yaml = yaml, .arena = yaml->arena};
    int r = want_kind(&walk, node, CL_YAML_MAP, "", err);

    if (r == 0)
        r = parse_map(&walk, "", err);
    if (r == 0)
        *ret = walk.plan;
    return r;
}

int cl_policy_parse_env(struct cl_yaml *yaml, const struct cl_yaml_node *node, const char *path,
                        struct cl_plan *ret, struct cl_error *err)
{
    struct walk walk = {.yaml = yaml, .arena = yaml->arena};
    int r = parse_env(&walk, node, path, err);

    if (r == 0)
        *ret = walk.plan;
    return r;
}

int cl_policy_parse(const struct cl_document *document, struct cl_arena *arena, struct cl_plan *ret,
                    struct cl_error *err)
{
    CL_CLEANUP_YAML_NODE struct cl_yaml_node root = {.kind = CL_YAML_END};
    struct cl_plan plan = {.set = 0};
    struct cl_yaml yaml;
    int r = cl_yaml_init(&yaml, document, "policy", arena, err);

    if (r < 0)
        return r;
    r = cl_yaml_first(&yaml, &root, err);
    if (r == 0)
        r = cl_policy_parse_map(&yaml, &root, &plan, err);
    if (r == 0)
        r = cl_yaml_finish(&yaml, err);
    cl_yaml_done(&yaml);
    if (r == 0)
        *ret = plan;
    return r;
}
