/* places.h - directories of a layer that are open, because entries of one directory follow one
 * another.
 *
 * A directory's time of change has to be what its entry says after all of its content was made,
 * which may be at any time. So nothing is remembered about directories that are closed: one that
 * is not here has the right time on disk. While it is here the time is kept beside its
 * descriptor, and it goes back to the disk before the descriptor is closed. That takes the same
 * memory for a million directories as for one.
 *
 * A directory is here once, whatever name it was found by: its number decides.
 */
#ifndef CL_HELPERS_IMAGE_PLACES_H
#define CL_HELPERS_IMAGE_PLACES_H

#include "base/error.h"
#include "helpers/image/attributes.h"
#include "helpers/image/tally.h"
#include "helpers/image/unpack_name.h"

enum { CL_PLACES = 16 }; /* the directories of a path, and some beside it */

struct cl_place {
    int fd; /* -1: free */
    dev_t dev;
    ino_t ino;
    struct timespec mtime; /* that it has to have */
    blkcnt_t blocks;       /* that the tally knows of */
    int is_changed;        /* on disk it has another time */
    uint64_t used;
    size_t size;
    char path[CL_NAME_MAX_PATH + 1]; /* that it was asked for by last; nothing ends it */
};

struct cl_places {
    int root; /* the caller's */
    struct cl_tally *tally;
    uint64_t now; /* counts uses */
    int is_stale; /* paths may lead elsewhere than they did */
    struct cl_place *last;
    struct cl_place places[CL_PLACES];
};

void cl_places_start(struct cl_places *places, int root, struct cl_tally *tally);
/* Closes what is open, whatever its time is. */
void cl_places_done(struct cl_places *places);

/* The directory PATH (which ends in NUL; no ".", no "..", no doubled slash; "" is the root),
 * through symbolic links of the layer. With MAKE, parts that are missing are made, and whiteouts
 * in the way become opaque directories; without it, -ENOENT. *RET stays open while fewer than
 * CL_PLACES - 1 others are asked for. */
int cl_places_get(struct cl_places *places, const struct cl_tar_text *path, int make,
                  struct cl_place **ret, struct cl_error *err);

/* A name in a directory, and the path that leads there. */
struct cl_spot {
    struct cl_place *parent;
    const char *base;
    struct cl_tar_text path;
};

/* The directory at SPOT, which is no link. */
int cl_places_open(struct cl_places *places, const struct cl_spot *spot, struct cl_place **ret,
                   struct cl_error *err);

/* The same, made before; -EEXIST without a message where there is something. */
int cl_places_make(struct cl_places *places, const struct cl_spot *spot,
                   const struct cl_attributes *attributes, struct cl_place **ret,
                   struct cl_error *err);

/* Marks PLACE as hiding what lies below it. */
int cl_place_set_opaque(const struct cl_place *place, struct cl_error *err);

/* Closes all but KEEP (may be NULL), each with its time. */
int cl_places_close(struct cl_places *places, const struct cl_place *keep, struct cl_error *err);

#endif
