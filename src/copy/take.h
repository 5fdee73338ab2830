/* take.h - a stream to a tree of files. */
#ifndef CL_COPY_TAKE_H
#define CL_COPY_TAKE_H

#include "copy/place.h"

struct cl_copy_taker {
    struct cl_copy_in *in; /* borrowed */
    int any_links;       /* else those alone that stay in the tree (link.h); others are left out */
    uint64_t most_bytes; /* of all files, holes too */
    uint64_t most_entries;
    /* May be NULL. PATH was left out, for an errno or, 0, for its kind. */
    void (*left_out)(void *context, const char *path, int why);
    void *context;
    /* So far: */
    uint64_t bytes;
    uint64_t entries;
};

/* -EMSGSIZE and -E2BIG: more bytes or entries than that come.
 *
 * Makes at PLACE what comes, up to END. Only directories, files and links, with their permission
 * bits and times, of the caller; no set-uid, set-gid or sticky bits. A file or a link that is
 * there is replaced, a directory filled. What went over before a failure stays. */
int cl_copy_take(struct cl_copy_taker *taker, const struct cl_copy_place *place,
                 struct cl_error *err);

#endif
