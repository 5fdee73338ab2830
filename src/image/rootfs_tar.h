/* rootfs_tar.h - a root file system in a tar archive, as the origin of an image of one layer.
 *
 * The archive, plain or compressed, is read twice: first by those who unpack a layer, but with
 * nobody unpacking (unpacker.h), for the digests that a config and a manifest are made of; then
 * as the layer of that image, like any other. A file that changes in between is found out.
 *
 * The image's date is the file's, so that the same file, imported again, is the same image.
 */
#ifndef CL_IMAGE_ROOTFS_TAR_H
#define CL_IMAGE_ROOTFS_TAR_H

#include "image/origin.h"
#include "plan/plan.h"

struct cl_rootfs_tar_how {
    const char *name;     /* what messages call it */
    int file;             /* a regular file; borrowed until the end */
    const char *platform; /* "linux/amd64" */
    /* What the image's config says: env, entrypoint, command, workdir, user, stop_signal. */
    const struct cl_plan *config;
    uint64_t max_bytes; /* as in pull.h */
    uint64_t max_entries;
    /* So much of it was read; about ten times a second. May be NULL. */
    void (*show)(void *context, uint64_t bytes, uint64_t size_bytes);
    void *context;
};

struct cl_rootfs_tar {
    struct cl_origin origin;
    int file;
    uint64_t size_bytes;
    struct cl_buf config;
    struct cl_buf manifest;
};
#define CL_ROOTFS_TAR_INIT ((struct cl_rootfs_tar){.file = -1})

int cl_rootfs_tar_open(const struct cl_rootfs_tar_how *how, struct cl_rootfs_tar *ret,
                       struct cl_error *err);
void cl_rootfs_tar_done(struct cl_rootfs_tar *tar);
#define CL_CLEANUP_ROOTFS_TAR CL_CLEANUP(cl_rootfs_tar_done)

#endif
