/* pod.h - the process that holds a pod's namespaces, in the place of a pause container: what it is
 * to hold, and its birth.
 *
 * It is a clone of the shim, and runs nothing but our own code: a go-between enters the pod's
 * network and user namespaces and bears it into new ones, as a child of the shim's. There it takes
 * the pod's host name and settings, leaves the host's files, gives up all that it may do and waits
 * for ever. Where it has a pid namespace it is that one's process 1: orphans are reaped by the
 * kernel, as it ignores SIGCHLD, and its end is theirs.
 *
 * It ends with the shim (its parent-death signal), so nothing is left of one that is killed; the
 * namespaces live on as long as containers do that are in them.
 * Privilege: root. Source: clone(2), setns(2), prctl(2), namespaces(7).
 */
#ifndef CL_CMD_SHIM_POD_H
#define CL_CMD_SHIM_POD_H

#include <sys/types.h>

#include "base/arena.h"
#include "rpc/pod_messages.h"

/* What a pod asks for, decided. */
struct cl_pod {
    const char *hostname;    /* "": it stays as it is */
    int net;                 /* the network namespace; -1: the host's */
    int users;               /* the user namespace; -1: the host's */
    uint64_t namespaces;     /* CLONE_NEW: those that are made */
    struct cl_strlist files; /* sysctls as paths below /proc/sys, each with its value behind it */
    uint32_t uid, gid;       /* the host's, for its root */
    char *const *words;      /* of our command line, which it writes over; NULL: none */
};
#define CL_POD_INIT ((struct cl_pod){.hostname = "", .net = -1, .users = -1})
void cl_pod_done(struct cl_pod *pod);

/* Reads OPTIONS (NULL: nothing is asked for) into *RET_CONFIG, which lives in ARENA; so does what
 * OPTIONS' bytes are, from here on. */
int cl_pod_read(const struct cl_msg_any *options, struct cl_arena *arena,
                struct cl_msg_pod *ret_config, struct cl_error *err);
/* What CONFIG means, with the network namespace at the path NETNS ("": the host's). RET, which is
 * as CL_POD_INIT has it, borrows from CONFIG and ARENA. */
int cl_pod_decide(const struct cl_msg_pod *config, const char *netns, struct cl_arena *arena,
                  struct cl_pod *ret, struct cl_error *err);

/* Its number: a child of ours, which has all that POD says when this returns. */
int cl_pod_start(const struct cl_pod *pod, pid_t *ret, struct cl_error *err);

/* The pod's files at BUNDLE, below "pod": what its containers see as /etc/hosts, /etc/hostname,
 * /etc/resolv.conf, and /dev/shm, a file system, unless it has the host's. On failure none are
 * left. */
int cl_pod_make_files(const char *bundle, const struct cl_msg_pod *config, const struct cl_pod *pod,
                      struct cl_error *err);
/* Takes them away; also where there are none. */
void cl_pod_remove_files(const char *bundle);

#endif
