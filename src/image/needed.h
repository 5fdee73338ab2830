/* needed.h - what of the store somebody needs, and the sweep of what nobody does. */
#ifndef CL_IMAGE_NEEDED_H
#define CL_IMAGE_NEEDED_H

#include "image/collect.h"

/* Sets of texts, each with a NUL, in no order. */
struct cl_needed {
    struct cl_buf layers; /* numbers */
    struct cl_buf blobs;  /* 64 digits */
};
#define CL_NEEDED_INIT ((struct cl_needed){CL_BUF_INIT(64 << 20), CL_BUF_INIT(64 << 20)})

void cl_needed_done(struct cl_needed *needed);
#define CL_CLEANUP_NEEDED CL_CLEANUP(cl_needed_done)

int cl_needed_add_layer(struct cl_needed *needed, const char *name, struct cl_error *err);
/* Its layers, its manifest and its config. */
int cl_needed_add_image(struct cl_needed *needed, const struct cl_image_record *record,
                        struct cl_error *err);

/* Layers into the trash; counts them in RET. */
int cl_needed_sweep_layers(const struct cl_needed *needed, const struct cl_store *store,
                           struct cl_collected *ret, struct cl_error *err);
/* Links of chains whose layer is gone, blobs, names without an image, and DOWNLOADS; counts them
 * in RET. */
int cl_needed_sweep_files(const struct cl_needed *needed, const struct cl_store *store,
                          int downloads, struct cl_collected *ret, struct cl_error *err);

#endif
