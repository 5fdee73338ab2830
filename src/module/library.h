/* library.h - an engine that is a library which a user has installed: whether it is there, and the
 * files that it is.
 *
 * The worker of that engine asks the dynamic loader, outside of any sandbox, as the caller's user
 * or nobody: `cloister-wasmedge --probe`. What it answers are lines:
 *
 *   version 0.14.1
 *   loader /lib64/ld-linux-x86-64.so.2             by which the kernel starts the worker
 *   file /usr/local/lib/libwasmedge.so.0           each of the others that it has loaded
 *
 * Context: any process of the core with descriptors 0 to 2 open; takes as long as loading does.
 */
#ifndef CL_MODULE_LIBRARY_H
#define CL_MODULE_LIBRARY_H

#include "base/arena.h"
#include "base/error.h"
#include "plan/plan.h"

#define CL_LIBRARY_WORKER "cloister-wasmedge"

struct cl_library {
    const char *version;
    const char *loader;      /* absolute, as are all */
    struct cl_strlist files; /* all of different names, without it */
};

/* DIR as in cl_helper_find. RET's memory is ARENA's. What is missing ERR says, with its cure. */
int cl_library_find(const char *dir, struct cl_arena *arena, struct cl_library *ret,
                    struct cl_error *err);

/* The last part of a path. */
const char *cl_library_name(const char *path);

#endif
