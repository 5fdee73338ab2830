/* compose.h - an image's launch record from its config. */
#ifndef CL_IMAGE_COMPOSE_H
#define CL_IMAGE_COMPOSE_H

#include "image/store.h"
#include "oci/records.h"
#include "plan/plan.h"

/* Of LAYERS, lowest first, those that `run` stacks: from the last one on that hides all below it
 * (".wh..wh..opq" at its top), which overlay heeds in no layer's root. RET is a part of LAYERS. */
int cl_launch_layers(const struct cl_store *store, const struct cl_strlist *layers,
                     struct cl_arena *arena, struct cl_strlist *ret, struct cl_error *err);

/* Whose launch record it is. */
struct cl_launch_of {
    const struct cl_store *store;
    const char *digest;       /* of its manifest */
    struct cl_strlist layers; /* those that are stacked, lowest first */
    const struct cl_config_record *config;
    enum cl_payload payload; /* of its manifest, as the title */
    const char *title;       /* NULL: none */
};

/* What `run` of IMAGE needs: where its layers are, and what its config says. A module's config says
 * nothing of that: its entrypoint is what its file was called. Memory is ARENA's
 * and the config's. Config values that a plan can't have are refused by their names. */
int cl_launch_compose(const struct cl_launch_of *image, struct cl_arena *arena, struct cl_plan *ret,
                      struct cl_error *err);

#endif
