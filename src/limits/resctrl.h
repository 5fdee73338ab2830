/* resctrl.h - a container's class of processor resources (Intel RDT and its like: ways of the last
 * cache, memory bandwidth), in the resctrl file system (the kernel's filesystems/resctrl.rst; OCI
 * runtime specification, config-linux.md, "IntelRdt").
 *
 * A class is a directory: linux.intelRdt.closID, or one of the container's own, by its id. One that
 * is named is made where a schema says what it is, has to agree with that schema where it is there,
 * and stays at the end, because others may be in it. The container's own goes with it, and so does
 * the group that monitors it alone (mon_groups/ID), where enableCMT or enableMBM ask for one.
 *
 * Course: create opens, makes, and lets the first process join before it starts anything; delete
 * opens and removes. Owner: the caller closes TOP. Privilege: root.
 */
#ifndef CL_LIMITS_RESCTRL_H
#define CL_LIMITS_RESCTRL_H

#include "plan/spec.h"

struct cl_resctrl {
    int top;          /* the mount, O_PATH; -1: the bundle asks for none */
    const char *name; /* of the class, borrowed as all of these */
    const char *id;   /* the container's */
    const char *l3;   /* schemata to be written, or NULL */
    const char *bandwidth;
    int is_own;
    int is_monitored;
};
#define CL_RESCTRL_NONE ((struct cl_resctrl){.top = -1})

/* What SPEC's linux.intelRdt and the container ID say. -EINVAL for names that are none; TOP is the
 * caller's then. */
int cl_resctrl_read(int top, const struct cl_spec *spec, const char *id, struct cl_resctrl *ret,
                    struct cl_error *err);
/* The mount; -ENOTSUP where there is none. */
int cl_resctrl_open(struct cl_error *err);
void cl_resctrl_close(struct cl_resctrl *resctrl);

/* Makes the class, or holds the one that closID names against the schemata; -EEXIST where the
 * container's own, or what is to monitor it, is there: it would be taken away from somebody at the
 * end. On failure nothing is left of what it made. */
int cl_resctrl_make(const struct cl_resctrl *resctrl, struct cl_error *err);
int cl_resctrl_join(const struct cl_resctrl *resctrl, int pid, struct cl_error *err);
/* Of what is the container's own, whatever of it is there. */
int cl_resctrl_remove(const struct cl_resctrl *resctrl, struct cl_error *err);

#endif
