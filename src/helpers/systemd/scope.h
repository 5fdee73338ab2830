/* scope.h - a transient scope unit of systemd, by D-Bus: a delegated cgroup with one process in it;
 * and a unit's properties.
 *
 * Source: org.freedesktop.systemd1(5) on StartTransientUnit, SetUnitProperties and JobRemoved,
 * systemd.scope(5), systemd.resource-control(5) on Delegate=.
 */
#ifndef CL_HELPERS_SYSTEMD_SCOPE_H
#define CL_HELPERS_SYSTEMD_SCOPE_H

#include <systemd/sd-bus.h>

#include "base/error.h"

enum cl_manager { CL_MANAGER_SYSTEM, CL_MANAGER_USER };

enum { CL_SCOPE_PROPERTIES = 256 };

struct cl_property {
    char *name; /* with room for a byte more */
    char *text; /* as variant.h has it; both are written over */
};

struct cl_scope {
    const char *unit;        /* "cloister-<id>.scope" */
    const char *slice;       /* NULL: the manager's own choice */
    const char *description; /* for people */
    uint32_t pid; /* who is put into it, and with whose end, and that of all others, it goes */
    struct cl_property properties[CL_SCOPE_PROPERTIES];
    size_t property_count;
};

/* The bus of the manager, once it answers: owned by RET. */
int cl_manager_open(enum cl_manager manager, sd_bus **ret, struct cl_error *err);
/* Returns when the process is in the scope. */
int cl_scope_start(sd_bus *bus, struct cl_scope *scope, struct cl_error *err);
/* Sets the properties of the unit, until it ends. */
int cl_scope_set(sd_bus *bus, struct cl_scope *scope, struct cl_error *err);

#endif
