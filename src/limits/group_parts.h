/* group_parts.h - for the files group*.c only: what they share behind group.h. */
#ifndef CL_LIMITS_GROUP_PARTS_H
#define CL_LIMITS_GROUP_PARTS_H

#include "limits/cgroup.h"
#include "limits/group.h"

#define CL_GROUP_UNIFIED "unified" /* what v2 is called among the hierarchies */

/* v2's controllers that are given to children; a bit each, in this order. */
enum { CL_GROUP_CONTROLLERS = 9 };
extern const char *const cl_group_controllers[CL_GROUP_CONTROLLERS];

/* One of a place's bases. */
struct cl_group_line {
    char name[64];
    const char *base; /* in the place, not ended by NUL */
    size_t base_size;
};

/* The next of *TEXT: 1, 0 at the end, -EBADMSG. */
int cl_group_next_line(const char **text, struct cl_group_line *ret);

/* The last part of the place's path: the directory's name. */
const char *cl_group_leaf(const struct cl_group_place *place);

/* Where in one hierarchy the directory goes. */
enum { CL_GROUP_FULL_PATH = CL_GROUP_PATH + CL_GROUP_BASES + 96 };
_Static_assert(CL_GROUP_FULL_PATH < 4096, "PATH_MAX");
struct cl_group_spot {
    struct cl_group_dir *dir;      /* of the group, being filled */
    char path[CL_GROUP_FULL_PATH]; /* of the directory that it is in */
    size_t mount_size;             /* of PATH: the hierarchy's mount */
    unsigned int above;            /* directories above that we made */
    unsigned int keep;             /* cpuset: what the resources set themselves */
    int is_full;                   /* v2: for processes above no controllers can be given */
};
void cl_group_spot_set(struct cl_group_spot *spot, const struct cl_group_place *place,
                       const struct cl_group_line *line);
/* Removes those of the directories above that we made and that are empty: the lowest ones, of which
 * another may have removed some. */
void cl_group_spot_undo(const struct cl_group_spot *spot);

/* The directory with CONTROLLER's files: on v2 the one, on v1 that of its hierarchy; NULL: there is
 * none. */
const struct cl_group_dir *cl_group_find(const struct cl_group *group, const char *controller);

/* Fills the cpuset directory DIR, which is new, as the one above it is; what KEEP has a bit of is
 * left: 1 cpus, 2 mems. v1 lets no process in before. */
enum { CL_GROUP_KEEP_CPUS = 1, CL_GROUP_KEEP_MEMS = 2 };
int cl_group_fill_cpuset(int dir, unsigned int keep, struct cl_error *err);

/* v2: has the directory PARENT, which is the spot's, and those above it give their children all
 * controllers that they have. What RESOURCES need and isn't to be had is -ENOTSUP, or -EBUSY where
 * a cgroup on the way has processes. */
int cl_group_give(struct cl_group_spot *spot, int parent, const struct cl_spec_resources *resources,
                  struct cl_error *err);

/* The bits of the controllers that RESOURCES need on v2. */
unsigned int cl_group_need(const struct cl_spec_resources *resources);
/* The first of them that needs one of BITS: its path for messages. */
const char *cl_group_needing(const struct cl_spec_resources *resources, unsigned int bits);

/* As cl_group_apply; IS_NEW: to a group that has the kernel's defaults. */
int cl_group_write(const struct cl_group *group, const struct cl_spec_resources *resources,
                   int is_new, struct cl_error *err);

/* Has the kernel keep RULES, those of SPEC in their order; without any nothing is done. IS_NEW: to
 * a group that nobody has given any. Passed over where this user can't have them kept. */
int cl_group_write_rules(const struct cl_group *group, const struct cl_spec_rules *rules,
                         int is_new, struct cl_error *err);

/* SYSTEMD: has the place's scope started, with a process in it that is the group's holder, and
 * writes where it is into the place. */
int cl_group_start_unit(struct cl_group *group, const struct cl_spec *spec, struct cl_error *err);
/* What systemd is asked for: see cl_unit_start. */
int cl_group_unit_input(const struct cl_group *group, const struct cl_spec *spec,
                        struct cl_buf *ret, struct cl_error *err);
/* Tells systemd of RESOURCES, which else sets what it knows again when it reloads. */
int cl_group_set_unit(const struct cl_group *group, const struct cl_spec_resources *resources,
                      struct cl_error *err);
/* Ends the holder, if there is one. */
void cl_group_let_go(struct cl_group *group);

/* Takes the limit on processors away: who has been killed needs one to end. */
void cl_group_unthrottle(const struct cl_group *group);

/* Removes the directories of GROUP that WHICH says, without the descriptors. */
enum cl_group_which { CL_GROUP_MADE, CL_GROUP_ALL };
int cl_group_take_down(struct cl_group *group, enum cl_group_which which, struct cl_error *err);

#endif
