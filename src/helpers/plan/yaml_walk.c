#include "helpers/plan/yaml_walk.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

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
