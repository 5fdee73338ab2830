/* collect.h - what nobody needs leaves the store.
 *
 * References are found, not counted: a layer is needed by the launch records that name it and
 * by the leases that name its chain, whatever was killed when. What is not is moved into the
 * trash, which is a rename, under the lock COLLECT; it is emptied afterwards, by
 * cloister-image in its jail, as the files in it are strangers'.
 */
#ifndef CL_IMAGE_COLLECT_H
#define CL_IMAGE_COLLECT_H

#include "image/images.h"

struct cl_collect_how {
    uint32_t uid_base;       /* as in jailed.h */
    int unnamed;             /* remove images without a name */
    int all;                 /* remove every image that is not in use */
    int downloads;           /* remove what interrupted pulls have left to go on from */
    uint64_t budget_bytes;   /* remove images, the least recently used first, until what is left
                                takes no more; UINT64_MAX: no budget */
    const char *keep_digest; /* an image that the budget doesn't touch ("sha256:..."), or NULL */
};

struct cl_collected {
    uint64_t images;
    uint64_t layers;
    uint64_t
        leftovers;  /* of pulls that were interrupted: downloads, and layers that were not done */
    uint64_t bytes; /* that layers and downloads took */
    uint64_t busy;  /* images that were to go and are in use */
};

int cl_collect(const struct cl_store *store, const struct cl_collect_how *how,
               struct cl_collected *ret, struct cl_error *err);

/* Of these alone: layers in the making that nobody is at, as one that failed or was killed leaves
 * them, and leases that nobody holds. UID_BASE: as in jailed.h. */
int cl_collect_leftovers(const struct cl_store *store, uint32_t uid_base, struct cl_error *err);

/* What all layers take together. */
int cl_store_usage(const struct cl_store *store, uint64_t *ret_bytes, struct cl_error *err);

/* Empties the trash. */
int cl_empty_trash(const struct cl_store *store, uint32_t uid_base, struct cl_error *err);

#endif
