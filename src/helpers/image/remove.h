/* remove.h - takes a name out of a directory of the layer, and what lies below it. */
#ifndef CL_HELPERS_IMAGE_REMOVE_H
#define CL_HELPERS_IMAGE_REMOVE_H

#include "base/error.h"
#include "helpers/image/tally.h"

/* BASE in PARENT, whatever it is and however deep; STATUS is its own. Links are not followed, and
 * no more than two descriptors are open. */
int cl_remove(int parent, const char *base, const struct stat *status, struct cl_tally *tally,
              struct cl_error *err);

#endif
