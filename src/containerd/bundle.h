/* bundle.h - what containerd hands a runtime for a container: names, and a directory with the
 * mounts that its root file system is.
 *
 * Privilege: root's, for the mounts.
 */
#ifndef CL_CONTAINERD_BUNDLE_H
#define CL_CONTAINERD_BUNDLE_H

#include "base/buf.h"
#include "rpc/message.h"

struct cl_msg_create;

enum { CL_CONTAINERD_ID_MOST = 128, CL_BUNDLE_PATH = 2048 };

/* A name as containerd has them: no more than letters, digits, and . _ - between. WHAT is it for
 * the message. */
int cl_containerd_check_id(const char *id, const char *what, struct cl_error *err);
/* That REQUEST has a name and a bundle, and no checkpoint. */
int cl_containerd_check_create(const struct cl_msg_create *request, struct cl_error *err);

/* As mount options have them: "0:100000:65536"; NULL: none. */
struct cl_bundle_maps {
    const char *uids;
    const char *gids;
};
/* Mounts LOWERS, an overlay's, by MAPS in the bundle; RET is their names there, until they are
 * forgotten: also behind an error. */
int cl_bundle_map_lowers(const char *bundle, const char *lowers, const struct cl_bundle_maps *maps,
                         struct cl_buf *ret, struct cl_error *err);
void cl_bundle_forget_lowers(const char *bundle);

/* MOUNTS, of struct cl_msg_mount, over one another at the bundle's `rootfs`, in the caller's mount
 * namespace. */
int cl_bundle_mount(const char *bundle, const struct cl_wire_list *mounts, struct cl_error *err);
void cl_bundle_unmount(const char *bundle);

#endif
