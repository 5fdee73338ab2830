/* bundle.h - the inside of what makes a container from an OCI bundle; see walls/bundle.h.
 *
 * Theory of operation. As in container.h two processes work together:
 *
 *   the maker   the runtime's `create`, with its caller's privilege. It opens the root and the
 *               sources of bind mounts as detached trees, enters the namespaces that the bundle
 * names by path, clones the first process, goes back, writes the id maps, and runs the hooks that
 * belong to the runtime. (bundle.c, bundle_namespaces.c) the first   pid 1 of a new pid namespace.
 * It joins the cgroup, makes mounts, devices and masks below the root's descriptor, changes its
 * root, gives up what the bundle doesn't let it have, and waits; when `start` connects it takes the
 * user, the filter, and becomes the command. (bundle_first.c, bundle_mounts.c, bundle_devices.c,
 * bundle_paths.c, bundle_process.c)
 *
 * Both speak over a SOCK_SEQPACKET pair in struct cl_bundle_message. The first process has a copy
 * of the maker's memory, no more: it may allocate, and what it finds out it sends.
 *
 * Trust: the bundle is the engine's and is obeyed; the root file system is a stranger's. So every
 * path below it is resolved by openat2 in the root (no magic links), once, to a descriptor, and
 * mounts are attached to descriptors: what a link or a change in between could bend is only where
 * in that root something lies. /proc is the one that we mounted, never one that was found.
 */
#ifndef CL_WALLS_CONTAINER_BUNDLE_H
#define CL_WALLS_CONTAINER_BUNDLE_H

#include <linux/sched.h>

#include "base/json.h"
#include "walls/bundle.h"
#include "walls/container/container.h"

enum cl_bundle_message_kind {
    CL_BUNDLE_GO = 1, /* maker: the id maps are written */
    CL_BUNDLE_HOOKS,  /* first: mounts are made: the runtime's hooks are to run; maker: they have */
    CL_BUNDLE_READY,  /* first: it waits for its beginning */
    CL_BUNDLE_KEEP,   /* maker: others know of it now */
    CL_BUNDLE_BEGIN,  /* start: it is to become the command */
    CL_BUNDLE_EXEC,   /* first: nothing but execve is left; then the channel closes */
    CL_BUNDLE_FAILED, /* first: `error` says why */
};

struct cl_bundle_message {
    uint32_t kind;
    struct cl_error error;
};

int cl_bundle_send(int channel, enum cl_bundle_message_kind kind, const struct cl_error *error);
/* BEGIN, with FD unless that is -1; and its receiver: *RET_FD is -1 where none came. */
int cl_bundle_send_begin(int channel, int fd);
int cl_bundle_receive_begin(int channel, int *ret_fd);
/* 0, -EPIPE when the other is gone, or -errno; the error of FAILED is one of ours, checked. */
int cl_bundle_receive(int channel, struct cl_bundle_message *ret);
/* Waits for KIND; FAILED's error becomes ERR, and the other's end is -ESRCH. */
int cl_bundle_expect(int channel, enum cl_bundle_message_kind kind, struct cl_error *err);

/* Two words of a process that is to become a command: EXEC, that nothing but execve is left, and,
 * where that fails, FAILED; success is that the channel closes. */
int cl_bundle_await(int channel, struct cl_error *err);

/* --- who is asked about system calls (bundle_agent.c) ----------------------------------------
 */

struct cl_agent_memory;
struct cl_agent {
    int socket; /* of who listens at the bundle's listenerPath; -1: there is none */
    int file;   /* of the memory that both processes share */
    struct cl_agent_memory *memory;
};
#define CL_AGENT_INIT ((struct cl_agent){-1, -1, NULL})
#define CL_CLEANUP_AGENT CL_CLEANUP(cl_agent_close)

/* The runtime's: connects, where SPEC names somebody. */
int cl_agent_open(const struct cl_spec *spec, struct cl_agent *ret, struct cl_error *err);
void cl_agent_close(struct cl_agent *listener);
/* Hands what PROCESS has installed to who listens; STATE is what that is told. */
int cl_agent_serve(const struct cl_agent *listener, int channel,
                   const struct cl_bundle_state *state, const struct cl_bundle_process *process,
                   struct cl_error *err);
/* The filtered process's: the memory that FD is, and that the descriptor FD is to be taken. */
int cl_agent_map(int fd, struct cl_agent_memory **ret, struct cl_error *err);
void cl_agent_tell(struct cl_agent_memory *memory, int fd);

/* Adds STATE's object as the member KEY. */
void cl_bundle_add_state(const struct cl_bundle_state *state, const char *key,
                         struct cl_json *json);

/* Both processes know it. */
struct cl_bundle {
    const struct cl_bundle_start *start;
    const struct cl_spec *spec;
    const struct cl_spec *process; /* the command's: spec, or that of an exec */
    int channel[2];                /* [0] the maker's */
    char **argv;
    char **envp; /* with room for HOME */

    /* The maker's */
    int pid;
    int pidfd;
    uint32_t fresh;    /* CLONE_NEW kinds that are new */
    int is_privileged; /* the maker opens the trees, not the first process */
    int bare;          /* as in struct cl_container */
    int joined[8];     /* by the index of spec->namespaces: those named by path */

    /* Trees, detached; -1: none */
    int root;
    int *trees; /* by the index of spec->mounts */
    int group_trees[CL_GROUP_MAX];
    int tasks[CL_GROUP_MAX]; /* what the first process joins the cgroup by */
    size_t task_count;

    /* The first process's */
    int proc;                      /* a /proc of ours */
    int null;                      /* our /dev/null */
    int terminal;                  /* the pty's slave */
    struct cl_agent_memory *agent; /* NULL: nobody is asked */
    int has_user;                  /* uid and gid are the command's */
    int has_oom_score;             /* it is set already */
};

/* Whether it is in a user namespace that isn't the runtime's. */
static inline int cl_bundle_has_userns(const struct cl_bundle *bundle)
{
    return cl_spec_namespace(bundle->spec, CLONE_NEWUSER) != NULL;
}

/* Whether the first process is born among others: in a user namespace of theirs, which makes one
 * with CAP_SYS_PTRACE its tracer, and where they see it. */
static inline int cl_bundle_is_seen(const struct cl_bundle *bundle)
{
    return cl_bundle_has_userns(bundle) && (bundle->fresh & CLONE_NEWPID) == 0;
}

/* --- the maker ---------------------------------------------------------------------------- */

/* Steps: opening, entering and leaving what the bundle names; undo closes. */
int cl_bundle_open_namespaces(void *context, struct cl_error *err);
void cl_bundle_close_namespaces(void *context);
int cl_bundle_clone(void *context, struct cl_error *err);
void cl_bundle_end(void *context);
int cl_bundle_write_maps(void *context, struct cl_error *err);
enum { CL_BUNDLE_MAP_MOST = 1 << 16 };
/* MAPS as the files of a user namespace take them. */
int cl_bundle_map_text(const struct cl_spec_maps *maps, struct cl_buf *ret, struct cl_error *err);
/* Id-maps the detached TREE of mount INDEX, where the bundle says so (bundle_idmap.c). */
int cl_bundle_idmap(const struct cl_bundle *bundle, size_t index, int tree, struct cl_error *err);
/* The trees of root, bind mounts and cgroups, in the calling process's mount namespace. */
int cl_bundle_open_trees(struct cl_bundle *bundle, struct cl_error *err);
void cl_bundle_close_trees(struct cl_bundle *bundle);
int cl_bundle_make_vectors(void *context, struct cl_error *err);
void cl_bundle_free_vectors(void *context);

/* --- the first process ---------------------------------------------------------------------- */

CL_NORETURN void cl_bundle_first(struct cl_bundle *bundle);

/* An O_PATH descriptor of PATH below the new root: found, or made. A link at its end that leads
 * nowhere is followed, and what it names is made. */
int cl_bundle_target(const struct cl_bundle *bundle, const char *path, int is_dir,
                     struct cl_error *err);

int cl_bundle_make_root(void *context, struct cl_error *err);   /* bundle_mounts.c */
int cl_bundle_make_mounts(void *context, struct cl_error *err); /* bundle_mounts.c */
/* What is at PATH of the root, copied to the root of the detached TREE (bundle_copy.c). */
int cl_bundle_copy_up(const struct cl_bundle *bundle, const char *path, int tree,
                      struct cl_error *err);
int cl_bundle_make_devices(void *context, struct cl_error *err);   /* bundle_devices.c */
int cl_bundle_make_terminal(void *context, struct cl_error *err);  /* bundle_devices.c */
int cl_bundle_enter_root(void *context, struct cl_error *err);     /* bundle_mounts.c */
int cl_bundle_write_sysctls(void *context, struct cl_error *err);  /* bundle_paths.c */
int cl_bundle_make_read_only(void *context, struct cl_error *err); /* bundle_paths.c */
int cl_bundle_mask(void *context, struct cl_error *err);           /* bundle_paths.c */
int cl_bundle_seal_root(void *context, struct cl_error *err);      /* bundle_paths.c */

/* --- what annotations raise (bundle_raise.c) ----------------------------------------------------
 */

/* The domain and the filter that they ask for, over what the bundle itself has; in the command's
 * process, when its root is "/". */
int cl_bundle_raise_landlock(const struct cl_bundle *bundle, struct cl_error *err);
int cl_bundle_raise_filter(const struct cl_bundle *bundle, struct cl_error *err);

/* --- the command, also that of an exec (bundle_process.c) ------------------------------------- */

/* Steps of the first process and of an exec's. What the engine ignores or blocks is not the
 * container's; whoever shares the pid namespace finds nothing of the runtime in our memory. */
int cl_bundle_reset_signals(void *context, struct cl_error *err);
int cl_bundle_close_memory(void *context, struct cl_error *err);
/* By what OPEN_TASKS, of the maker's, has opened. */
int cl_bundle_join_cgroups(void *context, struct cl_error *err);
int cl_bundle_open_tasks(void *context, struct cl_error *err);
void cl_bundle_close_tasks(void *context);

/* The home of UID as the root's /etc/passwd has it, else "/" (bundle_home.c). -errno for a file
 * that is there and can't be read. */
int cl_bundle_find_home(uint32_t uid, char *ret, size_t size);

/* Refuses labels of a security module that this kernel doesn't run. */
int cl_bundle_check_labels(const struct cl_spec *process, struct cl_error *err);
int cl_bundle_find_proc(void *context, struct cl_error *err);
/* Writes TEXT to the kernel's own PATH below /proc: what the image had mounted over it is -EXDEV.
 * FAIL_PROC hints at that where it was the failure R, which it returns. */
int cl_bundle_write_proc(const struct cl_bundle *bundle, const char *path, const char *text);
int cl_bundle_fail_proc(int r, struct cl_error *err);
int cl_bundle_set_scheduling(void *context, struct cl_error *err);
/* The first process's, while it is still the host's user: what it may not write to its own /proc
 * as the container's, where that isn't dumpable. */
int cl_bundle_set_own_score(struct cl_bundle *bundle, struct cl_error *err);
int cl_bundle_set_early(void *context, struct cl_error *err);
int cl_bundle_set_rlimits(void *context, struct cl_error *err);
int cl_bundle_take_stdio(void *context, struct cl_error *err);
int cl_bundle_bound(void *context, struct cl_error *err);
int cl_bundle_check_program(void *context, struct cl_error *err);
/* From the runtime's credentials to the command's, with labels and filter; then the command. Sends
 * what fails down CHANNEL. */
CL_NORETURN void cl_bundle_become(struct cl_bundle *bundle, int channel);

#endif
