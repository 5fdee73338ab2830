/* catalog.h - all images of the store at a moment, with their names and what they take, for who
 * lists them or looks for one.
 *
 * Sizes are the layers' own (cl_layer_record): what an image takes is the sum of its layers,
 * its own what no other image has of them and so would be free without it.
 *
 * Context: no lock is taken. Who changes what is listed holds COLLECT exclusively; for others
 * an image that goes meanwhile isn't listed, or was.
 */
#ifndef CL_IMAGE_CATALOG_H
#define CL_IMAGE_CATALOG_H

#include "image/images.h"

struct cl_catalog_image {
    struct cl_digest digest;       /* of its manifest */
    struct cl_image_record record; /* set is 0: it is damaged, and nothing below is known */
    uint64_t used_s;               /* seconds since 1970 */
    struct cl_strlist names;       /* whole ones, sorted */
    uint64_t size_bytes;
    uint64_t own_bytes;
};

/* Those that were used last come first. */
struct cl_catalog {
    struct cl_catalog_image *images;
    size_t count;
};

/* Memory is ARENA's. */
int cl_catalog_read(const struct cl_store *store, struct cl_arena *arena, struct cl_catalog *ret,
                    struct cl_error *err);

/* The image of DIGEST, or NULL. */
const struct cl_catalog_image *cl_catalog_find(const struct cl_catalog *catalog,
                                               const struct cl_digest *digest);

#endif
