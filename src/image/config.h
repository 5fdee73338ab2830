/* config.h - registries.yaml: the default registry, mirrors, authorities, the store's budget.
 *
 * An ordinary user's is $XDG_CONFIG_HOME/cloister/registries.yaml (~/.config/...) where there is
 * one; else, and for root, /etc/cloister/registries.yaml. One file decides. Like a policy it is
 * read by cloister-plan in its jail, once: what became of it is kept by its digest, among the
 * plans (plan/compile_cache.h). Without a file nothing is read or started.
 */
#ifndef CL_IMAGE_CONFIG_H
#define CL_IMAGE_CONFIG_H

#include "oci/records.h"

/* All zeros where there is no file. Memory is ARENA's. */
int cl_image_config_load(struct cl_arena *arena, struct cl_registries_record *ret,
                         struct cl_error *err);

/* The default registry, NULL for Docker's. */
const char *cl_image_config_default(const struct cl_registries_record *config);

#endif
