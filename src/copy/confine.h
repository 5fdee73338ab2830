/* confine.h - who takes a copy from a stranger shuts itself in where that goes. */
#ifndef CL_COPY_CONFINE_H
#define CL_COPY_CONFINE_H

#include "base/error.h"

/* For the rest of the process: of all files it makes, changes and removes those alone that are
 * below the directory DIR (O_PATH will do), opens none for reading, and executes nothing; what is
 * open already stays so. Gives up new privileges. An error where the kernel has no Landlock. */
int cl_copy_confine(int dir, struct cl_error *err);

#endif
