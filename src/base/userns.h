/* userns.h - user namespaces: who their users are outside, and mounts that show files as
 * theirs.
 *
 * A map is written by whoever made the process in the namespace, into its files in /proc.
 * Source: user_namespaces(7), subuid(5), newuidmap(1), mount_setattr(2).
 */
#ifndef CL_BASE_USERNS_H
#define CL_BASE_USERNS_H

#include <sys/types.h>

#include "base/error.h"

/* A range for somebody of their own: a sandbox, an unpacker. */
enum { CL_UIDS_PER_RANGE = 65536 };

/* The directory of process PID in the host's /proc, as an O_PATH descriptor. */
int cl_userns_open_proc(pid_t pid, struct cl_error *err);
/* A descriptor of a process's namespace: by its pidfd (REQUEST: CL_PIDFD_GET_*; Linux 6.11) in
 * a third of the time that the link PATH below its directory PROC takes, and else by that. */
int cl_namespace_open(int pidfd, unsigned int request, int proc, const char *path);

/* Adds to ERR what a host's refusal (R) to make a user namespace means; returns R. */
int cl_userns_hint(int r, struct cl_error *err);

/* Ids 0 to 65,535 of the process in PROC stand for BASE and on; root's to write. */
int cl_userns_map_range(int proc, uint32_t base, struct cl_error *err);
/* Its UID and GID stand for the caller's own. */
int cl_userns_map_one(int proc, uint32_t uid, uint32_t gid, struct cl_error *err);
/* Id 0 of the process PID stands for the caller's own, 1 and on for the caller's sub-ids,
 * written by newuidmap and newgidmap (set-uid helpers of the host). -ENOENT: there are none. */
int cl_userns_map_subids(pid_t pid, struct cl_error *err);

/* Its UID and GID stand for the caller's own, and COUNT uids from FIRST on for the caller's
 * sub-uids. -ENOENT: there are none, or not so many. */
struct cl_userns_one {
    uint32_t uid, gid;
    uint32_t first, count;
};
int cl_userns_map_one_and_subids(pid_t pid, int proc, const struct cl_userns_one *one,
                                 struct cl_error *err);

/* The same helpers for any maps, a line "INSIDE OUTSIDE COUNT" for each range: what of the outside
 * isn't the caller's own they refuse. */
int cl_userns_map_helped(pid_t pid, const char *uid_map, const char *gid_map, struct cl_error *err);

/* A user namespace with these maps, as its files in /proc take them; a descriptor. Root's. */
int cl_userns_make_of(const char *uid_map, const char *gid_map, struct cl_error *err);
/* A user namespace that maps INSIDE ids to one OUTSIDE id each, as a descriptor. */
int cl_userns_make(uint32_t inside_uid, uint32_t inside_gid, uint32_t outside_uid,
                   uint32_t outside_gid, struct cl_error *err);

/* Id-maps the detached TREE by USERNS; WHAT is its name in messages (base/idmap.c). */
int cl_idmap_tree(int tree, int userns, const char *what, struct cl_error *err);

#endif
