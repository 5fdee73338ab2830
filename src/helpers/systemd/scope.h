/* scope.h - a transient scope unit of systemd, by D-Bus: a delegated cgroup with one process in it.
 *
 * Source: org.freedesktop.systemd1(5) on StartTransientUnit and JobRemoved, systemd.scope(5),
 * systemd.resource-control(5) on Delegate=.
 */
#ifndef CL_HELPERS_SYSTEMD_SCOPE_H
#define CL_HELPERS_SYSTEMD_SCOPE_H

#include <systemd/sd-bus.h>

#include "base/error.h"

enum cl_manager { CL_MANAGER_SYSTEM, CL_MANAGER_USER };

struct cl_scope {
    const char *unit; /* "cloister-<id>.scope" */
    uint32_t pid;     /* who is put into it, and with whose end, and that of all others, it goes */
};

/* The bus of the manager, once it answers: owned by RET. */
int cl_manager_open(enum cl_manager manager, sd_bus **ret, struct cl_error *err);
/* Returns when the process is in the scope. */
int cl_scope_start(sd_bus *bus, const struct cl_scope *scope, struct cl_error *err);

#endif
