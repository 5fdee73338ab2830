/* images.h - the store's images and their names, as who makes and lists them sees them; `run`
 * needs launch.h alone.
 *
 * An image is two files by its manifest's digest: launch/<hex>, for `run`, and images/<hex>,
 * for people. A name is two files by the SHA-256 of its text: names/<hex>, the text, and
 * refs/<hex>, a hard link to the launch record; the second decides. Whoever uses an image holds
 * a shared lock on its launch record, and who removes it an exclusive one.
 */
#ifndef CL_IMAGE_IMAGES_H
#define CL_IMAGE_IMAGES_H

#include "image/store.h"
#include "oci/records.h"
#include "plan/plan.h"

/* Whether the image of the manifest DIGEST is there: 1 or 0. One whose records can't be read, as
 * a loss of power may leave them, is not. */
int cl_image_is_there(const struct cl_store *store, const struct cl_digest *digest);

/* Writes both records of an image; LAUNCH as launch.h says. What they name must be there and
 * be synced. */
int cl_image_write(const struct cl_store *store, const struct cl_plan *launch,
                   const struct cl_image_record *record, struct cl_error *err);

/* The image of DIGEST. Memory is ARENA's. */
int cl_image_read(const struct cl_store *store, const struct cl_digest *digest,
                  struct cl_arena *arena, struct cl_image_record *ret, struct cl_error *err);

/* The layers that `run` of the image DIGEST takes, lowest first, in ARENA; -ENOENT, without a
 * message: there is no launch record. */
int cl_image_layers(const struct cl_store *store, const struct cl_digest *digest,
                    struct cl_arena *arena, struct cl_strlist *ret, struct cl_error *err);

/* Its launch record, to be looked at: nobody is kept from removing it meanwhile. */
int cl_image_read_launch(const struct cl_store *store, const struct cl_digest *digest,
                         struct cl_arena *arena, struct cl_plan *ret, struct cl_error *err);

/* When the image was used last: pulled, run or named, in seconds since 1970. */
int cl_image_used(const struct cl_store *store, const struct cl_digest *digest, uint64_t *ret_s,
                  struct cl_error *err);

/* Removes the image of DIGEST; its layers are for cl_collect. -EBUSY, without a message: it is
 * in use. */
int cl_image_remove(const struct cl_store *store, const struct cl_digest *digest,
                    struct cl_error *err);

/* All images' digests, in ARENA. */
struct cl_digests {
    const struct cl_digest *items;
    size_t count;
};
int cl_images_list(const struct cl_store *store, struct cl_arena *arena, struct cl_digests *ret,
                   struct cl_error *err);

/* --- names ----------------------------------------------------------------- */

struct cl_image_name {
    const char *text;        /* the whole name (cl_reference_text) */
    struct cl_digest digest; /* of the image's manifest */
};

struct cl_image_names {
    const struct cl_image_name *items;
    size_t count;
};

/* TEXT names the image of DIGEST from now on. */
int cl_name_set(const struct cl_store *store, const char *text, const struct cl_digest *digest,
                struct cl_error *err);

/* TEXT names nothing any more; -ENOENT, without a message: it named nothing. */
int cl_name_drop(const struct cl_store *store, const char *text, struct cl_error *err);

/* Which image TEXT names; -ENOENT, without a message: none. */
int cl_name_find(const struct cl_store *store, const char *text, struct cl_digest *ret,
                 struct cl_error *err);

int cl_names_list(const struct cl_store *store, struct cl_arena *arena, struct cl_image_names *ret,
                  struct cl_error *err);

/* Whether the file NAME of refs/ leads to no image that is there: 1, 0 or -errno. */
int cl_reference_is_left(const struct cl_store *store, const char *name, struct cl_error *err);

/* The name of TEXT's files: the SHA-256 of its bytes. */
void cl_name_key(const char *text, struct cl_digest *ret);

#endif
