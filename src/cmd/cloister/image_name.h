/* image_name.h - names of images as people type them, and as the store has them.
 *
 * The store has whole names, "docker.io/library/debian:bookworm" (cl_reference_text); people
 * say and see familiar ones, "debian:bookworm". Which registry needs no word is FALLBACK
 * everywhere: the configured one, or NULL for Docker's (image/config.h).
 */
#ifndef CL_CMD_CLOISTER_IMAGE_NAME_H
#define CL_CMD_CLOISTER_IMAGE_NAME_H

#include "oci/reference.h"

/* Whether TEXT itself says a tag. */
int cl_image_name_has_tag(const char *text);

/* WHOLE for people; as it is where it is no name. NULL: the arena is full. */
const char *cl_image_name_familiar(const char *whole, const char *fallback, struct cl_arena *arena);

/* "debian" and "bookworm" of WHOLE; of a name with a digest, "bookworm@0123456789ab", or
 * "@0123456789ab" where it says no tag. Of what is no name the tag is NULL. -ENOMEM. */
struct cl_image_name_parts {
    const char *repository;
    const char *tag;
};
int cl_image_name_split(const char *whole, const char *fallback, struct cl_arena *arena,
                        struct cl_image_name_parts *ret);

#endif
