/* bundle.h - the container wall as an OCI bundle asks for it: what engines put under their
 * containers.
 *
 * The wall's pieces are those of `cloister run`; who decides is the bundle. There is no supervisor
 * and no init of ours: the container's first process is the bundle's own, a child of who calls
 * cl_bundle_create, which may end then. Until `start` it waits, ready but for its last steps.
 *
 * Context: a single-threaded process of the core with SIGCHLD at its default, whose descriptors are
 * CLOEXEC but for 0 to 2 and those that are to be preserved. Privilege: what the bundle asks.
 */
#ifndef CL_WALLS_BUNDLE_H
#define CL_WALLS_BUNDLE_H

#include "limits/group.h"
#include "plan/spec.h"

/* The version of the specification that this is. */
#define CL_SPEC_OURS "1.2.0"

enum { CL_BUNDLE_PRESERVED_MOST = 1024 };

/* All borrowed. */
struct cl_bundle_start {
    const struct cl_spec *spec;
    const char *id;
    int bundle;                   /* its directory, O_PATH */
    const char *path;             /* of that, absolute */
    const struct cl_group *group; /* made; NULL: none */
    int console;                  /* a connected socket that gets the pty's master; -1 */
    int listener;                 /* where cl_bundle_begin connects to */
    unsigned int preserved;       /* descriptors from 3 on that are the command's too */
    int no_pivot;
    int no_keyring;
};

struct cl_bundle_process {
    int pid; /* 0: none */
    int pidfd;
    int channel; /* of a container that was made, until it is kept; -1 */
};
#define CL_BUNDLE_PROCESS_INIT ((struct cl_bundle_process){.pidfd = -1, .channel = -1})

/* What this kernel or this program can't do of SPEC: -ENOTSUP with the field's path in front. */
int cl_bundle_check(const struct cl_spec *spec, struct cl_error *err);

/* In RET the capabilities that PROCESS, of a container of SPEC, asks for and that the calling
 * process can't give: its own bounding set lacks them. In a new user namespace there are all. */
int cl_bundle_lacking(const struct cl_spec *spec, const struct cl_spec *process, uint64_t *ret,
                      struct cl_error *err);

/* Annotations run.cloister.* make the wall of one container higher than its bundle asks:
 *
 *   run.cloister.landlock    "on": a Landlock domain: writing only where the bundle mounts for it
 *   run.cloister.seccomp     "strict" or "build": cloister run's filter, over the bundle's
 *   run.cloister.time-limit  "90s": when that is over since its start, it is killed
 */
struct cl_bundle_raise {
    int landlock;
    const char *seccomp; /* NULL: no other */
    uint64_t time_ns;    /* 0: none */
};
int cl_bundle_read_raise(const struct cl_spec *spec, struct cl_bundle_raise *ret,
                         struct cl_error *err);
/* Others of that name are -EINVAL, and another wall -ENOTSUP: nobody is to believe that they do
 * something. Once, of what is to be made; what was made may have them, of a pod of modules'. */
int cl_bundle_check_raise(const struct cl_spec *spec, struct cl_error *err);

/* Makes the container up to where it waits for its beginning, with the hooks prestart,
 * createRuntime and createContainer. On failure nothing is left. */
int cl_bundle_create(const struct cl_bundle_start *start, struct cl_bundle_process *ret,
                     struct cl_error *err);

/* The container is known to others now, and outlives the calling process: until this is said its
 * first process ends when that does, whatever ends it. Closes the channel. */
int cl_bundle_keep(struct cl_bundle_process *process, struct cl_error *err);

/* The state that the runtime specification shows (runtime.md, "State"), as JSON. */
struct cl_bundle_state {
    const struct cl_spec *spec;
    const char *id;
    const char *status; /* "creating", "created", "running", "stopped" */
    const char *path;   /* of the bundle */
    int pid;            /* 0: none is shown */
};

/* Has the container behind CONNECTION (to its listener), whose first process is PROCESS, begin:
 * returns when it is the command, else says why it isn't. The hooks startContainer run on the way.
 * STATE is for who is asked about system calls (linux.seccomp.listenerPath). */
int cl_bundle_begin(int connection, const struct cl_bundle_state *state,
                    const struct cl_bundle_process *process, struct cl_error *err);

/* A command in the container whose first process is INIT (pidfd). PROCESS is the command's record,
 * SPEC the container's; START's other members as above. Returns when it runs. */
struct cl_bundle_join {
    const struct cl_bundle_start *start; /* spec: the container's; bundle and listener unused */
    const struct cl_spec *process;
    int init;  /* pidfd */
    int first; /* that one's number */
};
int cl_bundle_exec(const struct cl_bundle_join *join, struct cl_bundle_process *ret,
                   struct cl_error *err);

/* The hooks of KIND in the calling process's own namespaces; STATE is what they read. The first
 * that fails ends it. */
int cl_bundle_hooks(const struct cl_spec *spec, enum cl_hook_kind kind, const struct cl_buf *state,
                    struct cl_error *err);

/* That as a whole document. */
int cl_bundle_write_state(const struct cl_bundle_state *state, struct cl_buf *ret,
                          struct cl_error *err);

#endif
