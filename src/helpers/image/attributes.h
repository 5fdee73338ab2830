/* attributes.h - owners, modes, times and extended attributes of what was made. */
#ifndef CL_HELPERS_IMAGE_ATTRIBUTES_H
#define CL_HELPERS_IMAGE_ATTRIBUTES_H

#include <sys/stat.h>

#include "base/error.h"
#include "helpers/image/tar.h"

struct cl_attributes {
    uid_t uid;
    gid_t gid;
    mode_t mode; /* the twelve bits */
    struct timespec mtime;
};

/* Out of ENTRY. -EINVAL where an id is none. */
int cl_attributes_read(const struct cl_tar_entry *entry, struct cl_attributes *ret,
                       struct cl_error *err);

/* Whether what is as STATUS says has to change. */
int cl_attributes_owner_differs(const struct cl_attributes *attributes, const struct stat *status);
int cl_attributes_mode_differs(const struct cl_attributes *attributes, const struct stat *status);

/* Owner and mode of the file or directory FD, which is as STATUS says; what is right already is
 * left alone. NAME is for messages. */
int cl_attributes_set(int fd, const struct stat *status, const struct cl_attributes *attributes,
                      const struct cl_tar_text *name, struct cl_error *err);

/* Says that the owner of NAME could not be set (R). Returns -EOVERFLOW where it is an id that is
 * not there (EINVAL), else R. */
int cl_attributes_no_owner(int r, const struct cl_attributes *attributes,
                           const struct cl_tar_text *name, struct cl_error *err);

/* --- extended attributes (xattrs.c) ------------------------------------------------ */

/* Sets those of ENTRY on FD (-1: of nothing that can have any) as policy/xattrs.def says, which
 * comes after the content and the owner: either clears capabilities. *DROPPED grows by the others.
 */
int cl_xattrs_set(int fd, const struct cl_tar_entry *entry, uint64_t *dropped,
                  struct cl_error *err);

#endif
