/* yaml_walk.h - what walks over YAML documents have in common: kinds that are wanted, text that
 * is meant as text, maps whose keys stand once. Errors begin with the node's place.
 *
 * Text is taken as it is written: a plain 010 is "010" where text is due, and nothing is a
 * number because it looks like one. What YAML would read as a boolean or as nothing (true, ~,
 * ...) must stand in quotes where text is due.
 */
#ifndef CL_HELPERS_PLAN_YAML_WALK_H
#define CL_HELPERS_PLAN_YAML_WALK_H

#include "helpers/plan/yaml_reader.h"

/* The keys that a map has had so far. */
struct cl_yaml_seen {
    const struct cl_yaml_seen *older;
    const char *key;
};

/* cl_yaml_locate at NODE's place. */
int cl_yaml_locate_node(const struct cl_yaml *yaml, const struct cl_yaml_node *node,
                        const char *path, struct cl_error *err);

int cl_yaml_want_kind(const struct cl_yaml *yaml, const struct cl_yaml_node *node,
                      enum cl_yaml_kind kind, const char *path, struct cl_error *err);
int cl_yaml_want_text(const struct cl_yaml *yaml, const struct cl_yaml_node *node, const char *path,
                      struct cl_error *err);

/* Takes the next key of the map that is open into KEY, or sees the map's end in it. SEEN begins
 * as NULL. */
int cl_yaml_next_key(struct cl_yaml *yaml, const char *path, const struct cl_yaml_seen **seen,
                     struct cl_yaml_node *key, struct cl_error *err);

/* A map by a table of its keys, and a list by what takes its items. TAKE gets the CONTEXT of the
 * walk, the value and its path. */
struct cl_yaml_walk {
    struct cl_yaml *yaml;
    void *context;
};

typedef int cl_yaml_take(void *context, const struct cl_yaml_node *value, const char *path,
                         struct cl_error *err);

struct cl_yaml_key {
    const char *name;
    cl_yaml_take *take;
};

struct cl_yaml_keys {
    const struct cl_yaml_key *rows;
    size_t count;
};

/* The map that NODE opened, at PATH. An unknown key is an error, with a guess at what was meant. */
int cl_yaml_take_map(const struct cl_yaml_walk *walk, const struct cl_yaml_node *node,
                     const char *path, const struct cl_yaml_keys *keys, struct cl_error *err);

struct cl_yaml_items {
    cl_yaml_take *take;
    size_t max;
    const char *what; /* "mirrors", for the message about too many */
};

/* The list that NODE opened, at PATH; the items' paths are PATH[0], PATH[1], ... */
int cl_yaml_take_list(const struct cl_yaml_walk *walk, const struct cl_yaml_node *node,
                      const char *path, const struct cl_yaml_items *items, struct cl_error *err);

/* true or false, without quotes. */
int cl_yaml_want_bool(const struct cl_yaml *yaml, const struct cl_yaml_node *node, const char *path,
                      int *ret, struct cl_error *err);

#endif
