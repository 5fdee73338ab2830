/* scope.h - a delegated cgroup of systemd's for this process, where that manager is asked for
 * (--cgroup-manager): the transient scope cloister-<id>.scope of the system's manager for root, of
 * his own for an ordinary user. Before cl_limits_create, which then finds the process in it;
 * systemd removes it when the last process in it has ended. */
#ifndef CL_LIMITS_SCOPE_H
#define CL_LIMITS_SCOPE_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* Moves the calling process. An error where no systemd answers. */
int cl_scope_enter(const char *id, struct cl_error *err);

/* For an OCI container, whose scope is its cgroup; of the system's manager for the host's root.
 * INPUT is texts, each ended by NUL: the unit, its slice, then names of properties and their values
 * in GVariant's text form. Returns when PID is in it. */
int cl_unit_start(pid_t pid, const struct cl_buf *input, struct cl_error *err);
/* Sets properties of a unit: INPUT is its name, then names and values. */
int cl_unit_set(const struct cl_buf *input, struct cl_error *err);

/* Whether this is the root of the host, and not that of a user namespace: an engine that an
 * ordinary user runs is root of one of its own when it calls us. */
int cl_is_host_root(void);

#endif
