/* container.h - the containers of `cloister-oci`, as they are known between its calls.
 *
 * An engine makes, starts and deletes a container with calls of their own, and no process of ours
 * lives in between. What one call has to know of another's work lies in a directory for each
 * container below the runtime's root (--root, else /run/cloister-oci, or for an ordinary user
 * $XDG_RUNTIME_DIR/cloister-oci):
 *
 *   record   what is to be made (struct cl_container_record), before anything of it is
 *   made     the same when it has been, with its first process; each is written once, by one write
 *   spec     the bundle's configuration in its flat form, as it was read
 *   start    a socket on which the first process waits for its beginning; gone when it has begun
 *
 * The record is there before anything that it names: whatever ends `create` half way, `delete
 * --force` finds what is left. It carries the first process's start time, so that a number that the
 * kernel gave to somebody else is never taken for it; after a boot nothing in it is believed.
 *
 * Who changes a container holds a lock on its directory (flock), so two calls at once on one id
 * come one after the other. `state`, `list` and `kill` look without it.
 *
 * Paths are descriptors; the directory is its owner's alone, mode 0700.
 */
#ifndef CL_RUNTIME_CONTAINER_H
#define CL_RUNTIME_CONTAINER_H

#include "limits/group.h"
#include "plan/spec.h"

enum { CL_CONTAINER_ID = 1024 };

enum cl_container_status {
    CL_CONTAINER_CREATING,
    CL_CONTAINER_CREATED,
    CL_CONTAINER_RUNNING,
    CL_CONTAINER_PAUSED,
    CL_CONTAINER_STOPPED,
};

/* What is kept; texts live in the container's arena. */
struct cl_container_record {
    uint64_t set;
    uint64_t pid;         /* of the first process; 0: not yet */
    uint64_t start_ticks; /* its start time (proc_pid_stat(5)) */
    uint64_t created_ns;  /* CLOCK_REALTIME */
    const char *boot;     /* the boot's id */
    const char *bundle;   /* absolute */
    uint64_t manager;     /* of its cgroup: the members of struct cl_group_place */
    uint64_t layout;
    uint64_t made;
    const char *group; /* its path */
    const char *bases;
    const char *slice;
    const char *unit;
    uint64_t owner; /* uid of who made it */
};

struct cl_oci_container {
    char id[CL_CONTAINER_ID + 1];
    int root; /* the runtime's, borrowed */
    int dir;  /* its directory; carries the lock */
    struct cl_container_record record;
    struct cl_spec spec; /* as it was made; all unset before it is */
    struct cl_arena arena;
};
#define CL_OCI_CONTAINER_INIT                                                                      \
    ((struct cl_oci_container){                                                                    \
        .root = -1, .dir = -1, .arena = CL_ARENA_INIT(4UL * CL_SPEC_MAX_SIZE)})
#define CL_CLEANUP_OCI_CONTAINER CL_CLEANUP(cl_container_close)

/* The runtime's root at PATH (NULL: the usual place), made where it is missing: a descriptor. */
int cl_runtime_open(const char *path, struct cl_error *err);

/* A directory for the container ID, locked. -EEXIST when there is one; what a `create` that was
 * killed left under that id is -EEXIST, too, and `delete --force` removes it. */
int cl_container_make(int root, const char *id, struct cl_oci_container *ret, struct cl_error *err);
/* The container ID; locked (waiting for who holds the lock, 10 s at most: -EBUSY) when LOCKED.
 * -ENOENT when there is none. */
int cl_container_open(int root, const char *id, int locked, struct cl_oci_container *ret,
                      struct cl_error *err);
/* Writes the record: `record` before it has a process, `made` when it has; and SPEC's flat form
 * when it isn't NULL. Each file once. */
int cl_container_save(struct cl_oci_container *container, const struct cl_bytes *spec,
                      struct cl_error *err);
void cl_container_close(struct cl_oci_container *container);
/* Removes its directory, and closes it. */
int cl_container_remove(struct cl_oci_container *container, struct cl_error *err);

/* Notes the living process PID as the first one. */
int cl_container_set_process(struct cl_oci_container *container, int pid, struct cl_error *err);
/* A pidfd of the first process; -ESRCH when it has ended (a zombie has, too), and another -errno
 * when that can't be known. */
int cl_container_pidfd(const struct cl_oci_container *container);
/* An enum cl_container_status, or -errno with a message: who can't be looked at hasn't ended. */
int cl_container_status(const struct cl_oci_container *container, struct cl_error *err);
/* Of what that returned. */
const char *cl_container_status_name(int status);

/* Its cgroup: -ENOENT when it is gone, or there was none. */
int cl_container_group(const struct cl_oci_container *container, struct cl_group *ret,
                       struct cl_error *err);
void cl_container_place(const struct cl_oci_container *container, struct cl_group_place *ret);
/* Notes PLACE, which has to outlive the container. */
void cl_container_set_place(struct cl_oci_container *container, const struct cl_group_place *place);

/* The socket `start`: one that listens, made by create; a connection to it; and its end. */
int cl_container_listen(const struct cl_oci_container *container, struct cl_error *err);
int cl_container_connect(const struct cl_oci_container *container, struct cl_error *err);
int cl_container_forget_start(const struct cl_oci_container *container, struct cl_error *err);

/* Calls EACH for the name of every container's directory. */
int cl_runtime_walk(int root, int (*each)(void *context, const char *id, struct cl_error *err),
                    void *context, struct cl_error *err);

#endif
