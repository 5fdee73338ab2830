/* own.h - which cgroups the calling process is in: /proc/self/cgroup (cgroups(7)).
 *
 * Each line is "HIERARCHY:CONTROLLER,...:PATH"; cgroup v2's is "0::PATH". Paths are
 * as the caller's cgroup namespace has them; the kernel lets no cgroup name hold a
 * newline, but colons, blanks and anything else can stand in it.
 */
#ifndef CL_LIMITS_OWN_H
#define CL_LIMITS_OWN_H

#include "base/error.h"

/* In the order in which their directories are made. */
enum cl_controller {
    CL_CONTROLLER_MEMORY,
    CL_CONTROLLER_PIDS,
    CL_CONTROLLER_CPUACCT, /* v1's; on v2 each cgroup has cpu.stat */
    CL_CONTROLLER_CPU,
    CL_CONTROLLER_COUNT
};
#define CL_CONTROLLER_BIT(controller) (1U << (controller))

const char *cl_controller_name(enum cl_controller controller);

/* Of no use elsewhere when copied: the paths point into the struct. */
struct cl_own_cgroups {
    struct {
        const char *path;   /* NULL: the controller is not on a v1 hierarchy */
        uint32_t hierarchy; /* equal for controllers that share one */
    } v1[CL_CONTROLLER_COUNT];
    const char *v2; /* NULL: no cgroup v2 */
    size_t used;
    char text[2048];
};

/* Whether CONTROLLER is on a v1 hierarchy and none before it shares that: for loops over
 * hierarchies. */
static inline int cl_own_is_first(const struct cl_own_cgroups *own, enum cl_controller controller)
{
    for (enum cl_controller i = 0; i < controller; i++) {
        if (own->v1[i].path != NULL && own->v1[i].hierarchy == own->v1[controller].hierarchy)
            return 0;
    }
    return own->v1[controller].path != NULL;
}

/* One line in its parts, which point into it. */
struct cl_own_line {
    uint32_t hierarchy; /* 0: cgroup v2 */
    const char *list;   /* of its controllers, not ended by NUL; or "name=systemd" */
    size_t list_size;
    const char *path;
};

/* -EBADMSG for a line that breaks the form. The path is not looked at. */
int cl_own_line_parse(const char *line, struct cl_own_line *ret, struct cl_error *err);
/* -EBADMSG for a path that is not absolute, -EXDEV for one out of the cgroup namespace. */
int cl_own_path_check(const char *path, struct cl_error *err);

/* Opens /proc/self/cgroup. */
int cl_own_cgroups_open(struct cl_error *err);
/* Reads /proc/self/cgroup. */
int cl_own_cgroups_read(struct cl_own_cgroups *ret, struct cl_error *err);

/* The same of a descriptor. Lines of other controllers are passed over; a line that
 * breaks the form, a relative path or one with "..", a hierarchy's or controller's
 * second line are -EBADMSG; -EXDEV: a path leads out of the cgroup namespace. */
int cl_own_cgroups_parse(int fd, struct cl_own_cgroups *ret, struct cl_error *err);

#endif
