/* archive.h - where the files lie in a tar archive of images (`docker save`, an OCI layout), so
 * that they can be read from it without unpacking it.
 *
 * Only headers are looked at: ustar and pax (POSIX.1-2017, pax, "ustar Interchange Format" and
 * "pax Extended Header"), GNU's long names and base-256 numbers (GNU tar, "Basic Tar
 * Format"). Strictly: a header's sum must be right, each member must lie within the file, the
 * archive must have its end, and no name may stand twice or lead out of it. Links are followed
 * once, to a file of the archive; other members are passed over.
 */
#ifndef CL_HELPERS_IMAGE_ARCHIVE_H
#define CL_HELPERS_IMAGE_ARCHIVE_H

#include "base/arena.h"
#include "base/error.h"
#include "oci/records.h"

enum { CL_ARCHIVE_MAX_MEMBERS = 65536 };

/* Lists the archive FD, a regular file, sorted by name (strcmp). NAME is for messages. What
 * RET holds lives in ARENA. */
int cl_archive_list(int fd, const char *name, struct cl_arena *arena, struct cl_archive_record *ret,
                    struct cl_error *err);

#endif
