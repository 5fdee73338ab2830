/* yaml_reader.h - libyaml's events, less everything that our files don't need.
 *
 * Passed on are scalars, lists and maps of one document. Aliases, anchors, tags, tag
 * directives, a second document, deep nesting, bytes that are not UTF-8 and NUL bytes
 * are errors. Every error says NAME:LINE:COLUMN, counted from 1.
 */
#ifndef CL_HELPERS_PLAN_YAML_READER_H
#define CL_HELPERS_PLAN_YAML_READER_H

#include <yaml.h>

#include "base/arena.h"
#include "base/error.h"
#include "helpers/common/report.h"

enum { CL_YAML_MAX_DEPTH = 8 };

struct cl_yaml {
    yaml_parser_t parser;
    struct cl_document document;
    const char *what;   /* "policy" */
    const char *within; /* a path that those of messages begin below; "" at first */
    const char *least;  /* what is said of an empty document, after a semicolon */
    struct cl_arena *arena;
    int depth;
};

/* The part of an event that their shapes need. */
enum cl_yaml_kind { CL_YAML_TEXT, CL_YAML_LIST, CL_YAML_MAP, CL_YAML_END };

struct cl_yaml_node {
    enum cl_yaml_kind kind;
    yaml_mark_t mark;
    yaml_event_t event; /* owns the text */
    const char *text;   /* TEXT: NUL-ended, no NUL within */
    int plain;          /* TEXT: written without quotes */
};

#define CL_CLEANUP_YAML_NODE CL_CLEANUP(cl_yaml_node_done)

/* WHAT is what messages call a document of its kind; ARENA is for those who walk over it
 * (yaml_walk.h). All that is borrowed must outlive RET. */
int cl_yaml_init(struct cl_yaml *ret, const struct cl_document *document, const char *what,
                 struct cl_arena *arena, struct cl_error *err);
void cl_yaml_done(struct cl_yaml *yaml);
void cl_yaml_node_done(struct cl_yaml_node *node);

/* The document's first node; an empty file is an error. */
int cl_yaml_first(struct cl_yaml *yaml, struct cl_yaml_node *ret, struct cl_error *err);
/* The next node; END closes the innermost list or map. */
int cl_yaml_next(struct cl_yaml *yaml, struct cl_yaml_node *ret, struct cl_error *err);
/* Nothing may follow the document. */
int cl_yaml_finish(struct cl_yaml *yaml, struct cl_error *err);

/* "text", "a list", "a map", "the end" */
const char *cl_yaml_kind_name(enum cl_yaml_kind kind);

/* Puts "NAME:LINE:COLUMN: WITHIN.PATH: " (each may be "") before the message in ERR. */
int cl_yaml_locate(const struct cl_yaml *yaml, const yaml_mark_t *mark, const char *path,
                   struct cl_error *err);

#endif
