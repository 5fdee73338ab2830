/* names.h - the names that an image or archive has, for a message that says what there is. */
#ifndef CL_HELPERS_IMAGE_NAMES_H
#define CL_HELPERS_IMAGE_NAMES_H

#include "base/defs.h"

enum { CL_NAMES_SHOWN = 8, CL_NAMES_SIZE = 256 };

struct cl_names {
    char text[CL_NAMES_SIZE]; /* "a, b" or "a, b and more" */
    const char *shown[CL_NAMES_SHOWN];
    size_t count;
    int has_more;
};

/* Adds NAME, which must outlive NAMES, unless it is there already. */
void cl_names_add(struct cl_names *names, const char *name);

#endif
