/* describe_image.h - an image of the store as JSON, for images and inspect. */
#ifndef CL_CMD_CLOISTER_DESCRIBE_IMAGE_H
#define CL_CMD_CLOISTER_DESCRIBE_IMAGE_H

#include "base/json.h"
#include "image/catalog.h"

/* What a list needs, as members of the object that is open in JSON. */
void cl_describe_image(struct cl_json *json, const struct cl_catalog_image *image);

/* One object with all that is known: its layers, and what `run` takes of its config. The config
 * is read once more for its labels, by cloister-image. Memory is ARENA's. */
int cl_describe_image_whole(struct cl_json *json, const struct cl_store *store,
                            const struct cl_catalog_image *image, struct cl_arena *arena,
                            struct cl_error *err);

#endif
