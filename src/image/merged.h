/* merged.h - what lies at a path of an image's layers together, found without a mount.
 *
 * The layers are unpacked directories in overlay's format (docs/images.md). As overlay shows
 * them: an entry of a higher layer stands before that of a lower one; directories are merged,
 * and whatever isn't one hides what lower layers have there, as does a whiteout (a character
 * device 0:0, which is itself not to be seen) and a directory marked opaque; the roots of the
 * layers are always merged. Symbolic links are followed in the merged tree and don't lead out
 * of it.
 *
 * The layers are foreign bytes in a directory that is ours: each name is opened by itself,
 * without a link. No privilege but to read them; no allocation, so that init may call it.
 *
 * Source: the kernel's Documentation/filesystems/overlayfs.rst.
 */
#ifndef CL_IMAGE_MERGED_H
#define CL_IMAGE_MERGED_H

#include <sys/stat.h>

#include "base/flat.h"
#include "image/layer_name.h"

/* Opens (O_PATH) what PATH is in the layers NAMES (lowest first, valid, one at least) of the
 * directory LAYERS, with all links followed. The descriptor, or -ENOENT, -ENOTDIR, -ELOOP (more
 * than 40 links or "..", or paths of more than 8 MiB together in all layers, which is a tenth of a
 * second: who makes the layers can make it hours), -ENAMETOOLONG (from 2 KiB on), or another
 * -errno. */
int cl_merged_open(int layers, const struct cl_strlist *names, const char *path);

/* What is there, as lstat(2) has it: a link at the end of PATH is not followed. 0 or -errno, as
 * above. */
int cl_merged_lstat(int layers, const struct cl_strlist *names, const char *path, struct stat *ret);

#endif
