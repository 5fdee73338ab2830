/* places.h - which of the places that a wall looks for an image has: looked for once, when it is
 * pulled, and kept in its launch record. In ten layers that takes longer than to mount them.
 */
#ifndef CL_IMAGE_PLACES_H
#define CL_IMAGE_PLACES_H

#include "image/store.h"
#include "plan/plan.h"

/* Sets image_places of LAUNCH, whose layers are in STORE. Where that can't be said it stays unset,
 * and each run looks. */
void cl_places_find(const struct cl_store *store, struct cl_plan *launch);

/* Whether that image has PLACE: a mount point has all its links followed; a name is there also as
 * a link that leads nowhere. LAYERS is the store's directory of them. */
int cl_places_look(int layers, const struct cl_plan *launch, enum cl_place place);

#endif
