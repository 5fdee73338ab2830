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

/* What `run` of the image DIGEST needs: where LAYERS are, and what CONFIG says. Memory is
 * ARENA's and CONFIG's. Config values that a plan can't have are refused by their names. */
int cl_launch_compose(const struct cl_store *store, const char *digest,
                      const struct cl_strlist *layers, const struct cl_config_record *config,
                      struct cl_arena *arena, struct cl_plan *ret, struct cl_error *err);

#endif
