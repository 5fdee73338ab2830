/* jailed.h - cloister-image at work in a directory: started so that the directory is its root,
 * in a user namespace whose ids are those of the store's files.
 *
 * As root its ids 0 to 65,535 are a range of their own outside and an id-mapped mount shows the
 * directory's files as theirs: it is never the host's root, and what it makes belongs to
 * 0..65,535 on disk. An ordinary user's are the user and its sub-ids. The other half of the
 * conversation is src/helpers/common/jail_tree.c.
 */
#ifndef CL_IMAGE_JAILED_H
#define CL_IMAGE_JAILED_H

#include "base/child.h"

struct cl_jailed {
    const char *program; /* path of cloister-image */
    char *const *argv;
    const int *fds; /* fds[i] becomes descriptor i; -1: it has no such */
    size_t fd_count;
    int directory;     /* becomes its root */
    uint32_t uid_base; /* root mode: the first of its 65,536 outside; 0: an ordinary user's */
};

/* Starts it; returns when it is in its namespace and has its maps. The channel comes after the
 * last of FDS, as descriptor fd_count. */
int cl_jailed_start(const struct cl_jailed *how, struct cl_child *ret, struct cl_error *err);

#endif
