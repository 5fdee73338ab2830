/* follow.h - opening what a privileged caller names, where strangers may have had a hand
 * in the way there.
 *
 * A symbolic link says where to go in the name of its owner. Root's and the caller's own
 * are followed wherever they lead. A stranger's may lead only to what is that stranger's
 * as well, all the way to the end: `current -> releases/5` in somebody's tree works, and a
 * link that somebody has put in /tmp, or in a tree of theirs that root works on, can't make
 * root hand out /etc. That is the rule of systemd's CHASE_SAFE, for links alone:
 * directories need none, because who owns one can put in it only what they have.
 * (fs.protected_symlinks is the kernel's own rule, for sticky directories alone.)
 *
 * Links are judged by the descriptor that they are read from, so nothing is looked at
 * twice. A path without any link costs one system call.
 */
#ifndef CL_BASE_FOLLOW_H
#define CL_BASE_FOLLOW_H

#include "base/error.h"

/* Who is behind a process of root's: sudo's user, where sudo started it, else root. */
uint32_t cl_follow_caller(void);

/* Opens PATH (from the working directory on) as an O_PATH descriptor, following links
 * by the rule above for CALLER. WHAT ("the volume") is for the message. -EPERM: a
 * stranger's link leads to what isn't theirs; else open(2)'s errors. */
int cl_follow(const char *path, uint32_t caller, const char *what, struct cl_error *err);

/* The same for the caller of a process of root's (AS_ROOT); anybody else's PATH is opened as
 * the kernel does it. */
int cl_follow_named(const char *path, int as_root, const char *what, struct cl_error *err);

/* The regular file PATH of at most MAX_BYTES, for reading, so found. */
int cl_follow_regular(const char *path, uint64_t max_bytes, struct cl_error *err);

/* The same of a file that needn't be there: *RET is -1 where there is none (ENOENT, ENOTDIR). What
 * can't be reached (EACCES) may well be there: that is an error. */
int cl_follow_regular_if_there(const char *path, uint64_t max_bytes, int *ret,
                               struct cl_error *err);

#endif
