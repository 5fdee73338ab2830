/* archive.h - where the files lie in a tar archive of images (`docker save`, an OCI layout), so
 * that they can be read from it without unpacking it.
 *
 * Only headers are read, by the reader of layers (tar.h): what is an archive to the one is to the
 * other. Beyond that no name may stand twice or lead out of the archive, and a file's bytes must
 * lie in one piece (no sparse files). Links are followed once, to a file of the archive; other
 * members are passed over. A cut between two members can't be seen: some writers leave out the
 * end. What is missing then is missed by whoever looks for it.
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
