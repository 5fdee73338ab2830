/* scope.h - a delegated cgroup of systemd's for this process, where that manager is asked for
 * (--cgroup-manager): the transient scope cloister-<id>.scope of the system's manager for root, of
 * his own for an ordinary user. Before cl_limits_create, which then finds the process in it;
 * systemd removes it when the last process in it has ended. */
#ifndef CL_LIMITS_SCOPE_H
#define CL_LIMITS_SCOPE_H

#include "base/error.h"

/* Moves the calling process. An error where no systemd answers. */
int cl_scope_enter(const char *id, struct cl_error *err);

#endif
