/* unpack_parts.h - what the files that make a layer's things share. */
#ifndef CL_HELPERS_IMAGE_UNPACK_PARTS_H
#define CL_HELPERS_IMAGE_UNPACK_PARTS_H

#include "helpers/image/places.h"

enum { CL_MAX_SKIPPED = 1024 }; /* devices that are remembered, for hard links to them */

/* A layer that is being unpacked. */
struct cl_unpacking {
    struct cl_tar tar;
    struct cl_tally tally;
    struct cl_places places;
    struct cl_name name;      /* of the entry */
    struct cl_name link_name; /* of what it links to */
    size_t skipped_count;
    uint64_t skipped[CL_MAX_SKIPPED]; /* hashes of names */
};

/* An entry that is being made. */
struct cl_making {
    const struct cl_tar_entry *entry;
    struct cl_attributes attributes;
    struct cl_place *parent;
    const char *base; /* its name there */
};

/* Says that WHAT failed with R on the entry. Returns R. */
int cl_unpack_failed(const struct cl_making *making, int r, const char *what, struct cl_error *err);

/* Takes away what has the entry's name. Descriptors of directories other than the parent are
 * closed, and paths are to be looked up again, where that was a directory or a link. */
int cl_unpack_make_room(struct cl_unpacking *u, const struct cl_making *making,
                        struct cl_error *err);

int cl_unpack_file(struct cl_unpacking *u, const struct cl_making *making, struct cl_error *err);
int cl_unpack_symlink(struct cl_unpacking *u, const struct cl_making *making, struct cl_error *err);
int cl_unpack_fifo(struct cl_unpacking *u, const struct cl_making *making, struct cl_error *err);

/* --- unpack_directory.c ---------------------------------------------------------------- */

int cl_unpack_directory(struct cl_unpacking *u, const struct cl_making *making,
                        struct cl_error *err);
/* The layer's own directory. */
int cl_unpack_root(struct cl_unpacking *u, const struct cl_tar_entry *entry, struct cl_error *err);
int cl_unpack_whiteout(struct cl_unpacking *u, const struct cl_making *making,
                       struct cl_error *err);
/* Of the directory that is the entry's parent. */
int cl_unpack_opaque(struct cl_unpacking *u, struct cl_error *err);

/* --- unpack_link.c --------------------------------------------------------------------- */

int cl_unpack_hard_link(struct cl_unpacking *u, struct cl_making *making, struct cl_error *err);
/* Counts a device, which is not made. */
void cl_unpack_skip_device(struct cl_unpacking *u);

#endif
