/* image_user.h - users and groups by name, from an image's own passwd and group.
 *
 * The files are foreign bytes: opened beneath the image's root, regular files only, and
 * read by the jailed helper (plan/compile.h). `host` has generated files that know root,
 * user (1000) and nobody; the host's own names are not looked up.
 */
#ifndef CL_CMD_CLOISTER_IMAGE_USER_H
#define CL_CMD_CLOISTER_IMAGE_USER_H

#include "plan/decide.h"

/* A cl_find_user; CONTEXT is the struct cl_arena for what the helper answers. */
int cl_image_user_find(void *context, const struct cl_plan *plan, struct cl_plan *ret,
                       struct cl_error *err);

#endif
