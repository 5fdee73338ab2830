/* children.h - whose process is whose, by the kernel's lists: the supervisor's only child is
 * init, and init's first is the command. Source: proc(5), /proc/PID/task/TID/children. */
#ifndef CL_SANDBOX_CHILDREN_H
#define CL_SANDBOX_CHILDREN_H

#include "base/defs.h"

/* The first child of PID, as our pid namespace has both; 0 when there is none, or the kernel
 * doesn't tell. */
int32_t cl_first_child(int32_t pid);

#endif
