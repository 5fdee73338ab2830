#include "helpers/plan/yaml_walk.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/guess.h"

int cl_yaml_locate_node(const struct cl_yaml *yaml, const struct cl_yaml_node *node,
                        const char *path, struct cl_error *err)
{
    return cl_yaml_locate(yaml, &node->mark, path, err);
}

int cl_yaml_want_kind(const struct cl_yaml *yaml, const struct cl_yaml_node *node,
                      enum cl_yaml_kind kind, const char *path, struct cl_error *err)
{
    if (node->kind == kind)
        return 0;
    (void)cl_refuse(err, EINVAL, "expected %s, got %s", cl_yaml_kind_name(kind),
                    cl_yaml_kind_name(node->kind));
    return cl_yaml_locate_node(yaml, node, path, err);
}

/* What YAML 1.1 and 1.2 both resolve to something else than text. */
static int means_other_than_text(const struct cl_yaml_node *node)
{
    static const char *const words[] = {"", "~", "null", "true", "false"};

    if (!node->plain)
        return 0;
    for (size_t i = 0; i < CL_ARRAY_SIZE(words); i++) {
        if (strcasecmp(node->text, words[i]) == 0)
            return 1;
    }
    return 0;
}

int cl_yaml_want_text(const struct cl_yaml *yaml, const struct cl_yaml_node *node, const char *path,
                      struct cl_error *err)
{
    int r = cl_yaml_want_kind(yaml, node, CL_YAML_TEXT, path, err);

    if (r < 0)
        return r;
    if (!means_other_than_text(node))
        return 0;
    if (node->text[0] == '\0')
        (void)cl_refuse(err, EINVAL, "expected text, got nothing");
    else
        (void)cl_refuse(err, EINVAL, "expected text, got %s; put it in quotes to mean the word",
                        node->text);
    return cl_yaml_locate_node(yaml, node, path, err);
}

int cl_yaml_next_key(struct cl_yaml *yaml, const char *path, const struct cl_yaml_seen **seen,
                     struct cl_yaml_node *key, struct cl_error *err)
{
    int r = cl_yaml_next(yaml, key, err);

    if (r < 0 || key->kind == CL_YAML_END)
        return r;
    r = cl_yaml_want_kind(yaml, key, CL_YAML_TEXT, path, err);
    if (r < 0)
        return cl_hint(err, "keys must be plain words");
    for (const struct cl_yaml_seen *s = *seen; s != NULL; s = s->older) {
        if (strcmp(s->key, key->text) == 0) {
            (void)cl_refuse(err, EINVAL, "the key \"%.80s\" stands twice", key->text);
            return cl_yaml_locate_node(yaml, key, path, err);
        }
    }
    struct cl_yaml_seen *entry = cl_arena_alloc(yaml->arena, sizeof(*entry));
    char *copy = cl_arena_strdup(yaml->arena, key->text);
    if (entry == NULL || copy == NULL)
        return cl_fail_memory(err);
    *entry = (struct cl_yaml_seen){*seen, copy};
    *seen = entry;
    return 0;
}

int cl_yaml_want_bool(const struct cl_yaml *yaml, const struct cl_yaml_node *node, const char *path,
                      int *ret, struct cl_error *err)
{
    int r = cl_yaml_want_kind(yaml, node, CL_YAML_TEXT, path, err);
    const int is_true = r == 0 && strcmp(node->text, "true") == 0;

    if (r < 0)
        return r;
    if (!node->plain || (!is_true && strcmp(node->text, "false") != 0)) {
        (void)cl_refuse(err, EINVAL, "expected true or false, got \"%.40s\"", node->text);
        return cl_yaml_locate_node(yaml, node, path, err);
    }
    *ret = is_true;
    return 0;
}

/* --- maps and lists ------------------------------------------------------- */

static const struct cl_yaml_key *find_key(const struct cl_yaml_keys *keys, const char *name)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->rows[i].name, name) == 0)
            return &keys->rows[i];
    }
    return NULL;
}

static int refuse_key(const struct cl_yaml *yaml, const struct cl_yaml_node *key, const char *path,
                      const struct cl_yaml_keys *keys, struct cl_error *err)
{
    struct cl_guess guess = {0};

    for (size_t i = 0; i < keys->count; i++)
        cl_guess_try(&guess, key->text, keys->rows[i].name);
    if (guess.best != NULL)
        (void)cl_refuse(err, EINVAL, "unknown key (did you mean %s?)", guess.best);
    else
        (void)cl_refuse(err, EINVAL, "unknown key");
    return cl_yaml_locate_node(yaml, key, path, err);
}

static int take_key(const struct cl_yaml_walk *walk, const struct cl_yaml_node *key,
                    const char *prefix, const struct cl_yaml_keys *keys, struct cl_error *err)
{
    CL_CLEANUP_YAML_NODE struct cl_yaml_node value = {.kind = CL_YAML_END};
    const struct cl_yaml_key *found = find_key(keys, key->text);
    const char *path = cl_arena_printf(walk->yaml->arena, "%s%s%s", prefix,
                                       prefix[0] == '\0' ? "" : ".", key->text);

    if (path == NULL)
        return cl_fail_memory(err);
    if (found == NULL)
        return refuse_key(walk->yaml, key, path, keys, err);
    int r = cl_yaml_next(walk->yaml, &value, err);
    return r < 0 ? r : found->take(walk->context, &value, path, err);
}

int cl_yaml_take_map(const struct cl_yaml_walk *walk, const struct cl_yaml_node *node,
                     const char *path, const struct cl_yaml_keys *keys, struct cl_error *err)
{
    const struct cl_yaml_seen *seen = NULL;
    int r = cl_yaml_want_kind(walk->yaml, node, CL_YAML_MAP, path, err);

    while (r == 0) {
        CL_CLEANUP_YAML_NODE struct cl_yaml_node key = {.kind = CL_YAML_END};

        r = cl_yaml_next_key(walk->yaml, path, &seen, &key, err);
        if (r == 0 && key.kind == CL_YAML_END)
            break;
        if (r == 0)
            r = take_key(walk, &key, path, keys, err);
    }
    return r;
}

int cl_yaml_take_list(const struct cl_yaml_walk *walk, const struct cl_yaml_node *node,
                      const char *path, const struct cl_yaml_items *items, struct cl_error *err)
{
    int r = cl_yaml_want_kind(walk->yaml, node, CL_YAML_LIST, path, err);

    for (size_t i = 0; r == 0; i++) {
        CL_CLEANUP_YAML_NODE struct cl_yaml_node item = {.kind = CL_YAML_END};
        const char *here = cl_arena_printf(walk->yaml->arena, "%s[%zu]", path, i);

        r = here == NULL ? cl_fail_memory(err) : cl_yaml_next(walk->yaml, &item, err);
        if (r == 0 && item.kind == CL_YAML_END)
            break;
        if (r == 0 && i == items->max) {
            (void)cl_refuse(err, E2BIG, "more than %zu %s", items->max, items->what);
            r = cl_yaml_locate_node(walk->yaml, &item, path, err);
        }
        if (r == 0)
            r = items->take(walk->context, &item, here, err);
    }
    return r;
}
