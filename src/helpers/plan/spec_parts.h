/* spec_parts.h - what the files that read an OCI runtime configuration share.
 *
 * Each part has the shape of its JSON, whose struct is its own affair, and a function that puts
 * what was decoded into the record.
 */
#ifndef CL_HELPERS_PLAN_SPEC_PARTS_H
#define CL_HELPERS_PLAN_SPEC_PARTS_H

#include "helpers/common/json_decode.h"
#include "plan/spec.h"

enum { CL_SPEC_MAX_PATH = 4095 };

struct cl_spec_walk {
    struct cl_arena *arena;
    struct cl_warnings warnings;
    struct cl_spec spec;
    /* What paths in messages begin with: these two are documents of their own, too. */
    const char *process;   /* "process." */
    const char *resources; /* "linux.resources." */
};

/* --- parts --------------------------------------------------------------------------------- */

struct cl_spec_process_doc;
struct cl_spec_hooks_doc;
struct cl_spec_linux_doc;
struct cl_spec_resources_doc;

extern const struct cl_decode_shape cl_spec_process_shape;
extern const struct cl_decode_shape cl_spec_hooks_shape;
extern const struct cl_decode_shape cl_spec_linux_shape;
extern const struct cl_decode_shape cl_spec_resources_shape;
extern const struct cl_decode_shape cl_spec_mount_shape;
extern const struct cl_decode_shape cl_spec_map_shape;

/* The functions take what was decoded of their shape; lists are of theirs. Paths are PATH's. */
int cl_spec_take_process(struct cl_spec_walk *walk, const struct cl_spec_process_doc *doc,
                         struct cl_error *err);
int cl_spec_take_hooks(struct cl_spec_walk *walk, const struct cl_spec_hooks_doc *doc,
                       struct cl_error *err);
int cl_spec_take_linux(struct cl_spec_walk *walk, const struct cl_spec_linux_doc *doc,
                       struct cl_error *err);
int cl_spec_take_resources(struct cl_spec_walk *walk, const struct cl_spec_resources_doc *doc,
                           struct cl_error *err);
int cl_spec_take_mounts(struct cl_spec_walk *walk, const struct cl_decode_list *mounts,
                        struct cl_error *err);
/* Fills RET, of MAPS' count. */
int cl_spec_take_maps(const struct cl_decode_list *maps, const char *path, struct cl_spec_map *ret,
                      struct cl_error *err);

/* MOUNT's options by their NAMES, in order (spec_options.c); PATH is the mount's. */
int cl_spec_take_options(struct cl_spec_walk *walk, const struct cl_strlist *names,
                         const char *path, struct cl_spec_mount *mount, struct cl_error *err);

/* --- values -------------------------------------------------------------------------------- */

cl_decode_check cl_spec_check_absolute; /* of a TEXT: an absolute path */
cl_decode_check cl_spec_check_filled;   /* of a TEXT: not empty */

int cl_spec_refuse_relative(const char *path, size_t i, const char *text, struct cl_error *err);

/* What is absent stays unset, and so does a text that is empty: writers of JSON leave those out,
 * or don't, as their language has it. */
void cl_spec_set_number(struct cl_spec *spec, enum cl_spec_field field, uint64_t *member,
                        const struct cl_decode_number *number);
void cl_spec_set_text(struct cl_spec *spec, enum cl_spec_field field, const char **member,
                      const char *text);
void cl_spec_set_texts(struct cl_spec *spec, enum cl_spec_field field, struct cl_strlist *member,
                       const struct cl_strlist *texts);
/* Keys and values in turn. */
int cl_spec_set_pairs(struct cl_spec_walk *walk, enum cl_spec_field field,
                      struct cl_strlist *member, const struct cl_decode_list *pairs,
                      struct cl_error *err);

#endif
