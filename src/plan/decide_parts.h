/* decide_parts.h - what decide.c is put together from: the checks of its table, by
 * their subject. Each looks at fields of the plan in the making and may read those that
 * stand before it in the table. */
#ifndef CL_PLAN_DECIDE_PARTS_H
#define CL_PLAN_DECIDE_PARTS_H

#include "plan/decide.h"

struct cl_decision {
    struct cl_decide *how;
    struct cl_plan *plan;
    uint64_t given; /* the fields that the parts set; the others are defaults */
};

static inline int cl_decide_given(const struct cl_decision *d, enum cl_field field)
{
    return (d->given & (1ULL << field)) != 0;
}

typedef int cl_decide_check(struct cl_decision *d, struct cl_error *err);

/* decide_image.c */
cl_decide_check cl_decide_image;
cl_decide_check cl_decide_command;
/* Whether what is run is a WebAssembly module: by its image's word, or because the command's name
 * ends in .wasm. After those two. */
int cl_decide_runs_module(const struct cl_plan *plan);
/* What an image of the store says as it is meant, before parts are merged. */
int cl_decide_stored(struct cl_decide *how, struct cl_plan *part, struct cl_error *err);

/* decide_identity.c */
cl_decide_check cl_decide_user;
cl_decide_check cl_decide_capabilities;
cl_decide_check cl_decide_hostname;
cl_decide_check cl_decide_name;
cl_decide_check cl_decide_tenant;
cl_decide_check cl_decide_labels;

/* decide_model.c */
cl_decide_check cl_decide_wasm_engine;
cl_decide_check cl_decide_wasm_model; /* after the engine */

/* decide_env.c */
cl_decide_check cl_decide_env;
int cl_decide_env_add(struct cl_plan *env, struct cl_arena *arena, const char *name,
                      const char *value, struct cl_error *err);
int cl_decide_env_form(const char *entry, struct cl_error *err);

/* decide_limits.c */
cl_decide_check cl_decide_unenforceable;
cl_decide_check cl_decide_disk;
cl_decide_check cl_decide_shm;
/* Whether a tmpfs of its own may be that large; 0: as large as all scratch. */
int cl_decide_tmpfs_size(const struct cl_decision *d, uint64_t size_bytes, struct cl_error *err);

/* decide_files.c */
int cl_decide_path_form(const char *path, struct cl_error *err);
cl_decide_check cl_decide_files;

/* Normalises the targets of one PART, before parts are merged, which goes by target.
 * Within one part none may stand twice. */
int cl_decide_targets(struct cl_decide *how, struct cl_plan *part, struct cl_error *err);

#endif
