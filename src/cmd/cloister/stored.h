/* stored.h - the image of the store that a user's word means.
 *
 * A word is a name ("debian:bookworm"), a name with a digest, which an image of that repository
 * must have, a digest, or the first six or more digits of one. A name comes before the digits
 * of a digest that look the same.
 */
#ifndef CL_CMD_CLOISTER_STORED_H
#define CL_CMD_CLOISTER_STORED_H

#include "image/catalog.h"

enum { CL_STORED_LEAST_DIGITS = 6, CL_STORED_SHORT_DIGITS = 12 };

/* The caller's store and what is in it. */
struct cl_stored_all {
    struct cl_store store; /* its dir is -1 where there is none, and then there are no images */
    const char *fallback;  /* image_name.h */
    struct cl_catalog catalog;
};
#define CL_STORED_ALL_INIT ((struct cl_stored_all){.store = CL_STORE_INIT})

void cl_stored_done(struct cl_stored_all *all);
#define CL_CLEANUP_STORED CL_CLEANUP(cl_stored_done)

/* Opens the store, if there is one. Memory is ARENA's, here and below. */
int cl_stored_open(struct cl_arena *arena, struct cl_stored_all *ret, struct cl_error *err);

/* Reads what is in it, once more where it was read already. */
int cl_stored_read(struct cl_stored_all *all, struct cl_arena *arena, struct cl_error *err);

struct cl_stored {
    const struct cl_catalog_image *image;
    const char *name; /* which of its names was said; NULL: it was called by its digest */
};

/* -ENOENT: there is none; the message says what WORD may have meant. -EINVAL: digits of several,
 * or no name. */
int cl_stored_find(const struct cl_stored_all *all, const char *word, struct cl_arena *arena,
                   struct cl_stored *ret, struct cl_error *err);

/* Whether WORD may be the digits of a digest, or a digest without a name. */
int cl_stored_is_digits(const char *word);

/* "debian:bookworm", or the digest's first digits for an image without a name: what messages call
 * it. NULL: the arena is full. */
const char *cl_stored_call(const struct cl_stored_all *all, const struct cl_catalog_image *image,
                           struct cl_arena *arena);

#endif
