/* names.h - the names that images of an archive or a layout have: is this one meant, and a
 * message that says what there is. */
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

/* Whether TAG is all of NAME, "name:tag". */
int cl_name_is(const char *name, const char *tag);
/* Whether TAG is what stands after NAME's last colon; ports are no tags. */
int cl_name_has_tag(const char *name, const char *tag);

/* Adds NAME, which must outlive NAMES, unless it is there already. */
void cl_names_add(struct cl_names *names, const char *name);

#endif
