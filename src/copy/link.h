/* link.h - symbolic links that a copy may make. */
#ifndef CL_COPY_LINK_H
#define CL_COPY_LINK_H

#include <stddef.h>

/* Whether a link to TARGET, in a directory DEPTH below the top of the copied tree, leads to
 * something in the tree, whatever links it meets there: it is relative, and goes up only at
 * its start and at most to the top. Each link of the tree is such, and each directory a real one:
 * so none of them leaves it. */
int cl_copy_link_stays(const char *target, size_t depth);

#endif
