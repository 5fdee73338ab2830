/* arguments.h - where a program's own arguments lie in memory, which its command line shows. */
#ifndef CL_SANDBOX_ARGUMENTS_H
#define CL_SANDBOX_ARGUMENTS_H

#include "walls/wall.h"

/* Of ARGC strings, in whatever order the option parser left them. All 0: there are none. */
struct cl_arguments cl_arguments_find(int argc, char *const argv[]);

#endif
