/* place.h - where a copy goes, by Docker's rules for `cp`. */
#ifndef CL_COPY_PLACE_H
#define CL_COPY_PLACE_H

#include "copy/stream.h"

/* What is copied becomes NAME in DIR; with an empty name it is a directory whose entries go
 * into DIR itself. */
struct cl_copy_place {
    int dir; /* O_PATH; owned */
    int only_dir;
    char name[CL_COPY_NAME_MAX + 1];
    struct cl_copy_path shown; /* what of it messages say */
};
#define CL_COPY_PLACE_INIT ((struct cl_copy_place){.dir = -1})

/* The last name of PATH, "" where it names the entries of a directory: it ends with "/.", or is
 * ".", ".." or "/". Refuses a name that is too long. */
int cl_copy_name(const char *path, char ret[CL_COPY_NAME_MAX + 1], struct cl_error *err);

/* The place PATH of what is called NAME: in the directory PATH where there is one, else PATH
 * itself, whose parent has to be there; a directory when it ends with a slash. */
int cl_copy_place_open(const char *path, const char *name, struct cl_copy_place *ret,
                       struct cl_error *err);
void cl_copy_place_done(struct cl_copy_place *place);

/* Whether NAME is a single component that names an entry. */
int cl_copy_is_name(const char *name);

#endif
