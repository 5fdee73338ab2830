/* confine.h - who copies for a stranger shuts itself in where the copy goes, or comes from. For the
 * rest of the process; what is open already stays so. Gives up new privileges. An error where the
 * kernel has no Landlock. */
#ifndef CL_COPY_CONFINE_H
#define CL_COPY_CONFINE_H

#include "base/error.h"

/* Who takes one makes, changes and removes those files alone that are below the directory DIR
 * (O_PATH will do), opens none for reading, and executes nothing. */
int cl_copy_confine(int dir, struct cl_error *err);

/* Who sends one opens TOP (O_PATH will do), a file or a directory, and what is below it, for
 * reading alone; makes and changes nothing, and executes nothing. */
int cl_copy_confine_sender(int top, struct cl_error *err);

#endif
