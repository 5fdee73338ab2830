/* container.h - the inside of the container wall, shared by its files only.
 *
 * Theory of operation. Two processes make the wall together:
 *
 *   the maker   the supervisor, with its caller's privilege. It opens what only that
 *               privilege can open (the image, volumes) as detached mount trees,
 *               clones the first process into all new namespaces, writes the id
 *               maps, and id-maps the trees. (maker.c, clone.c, bare.c,
 *               idmap.c, volumes.c, netns.c)
 *   init        pid 1 of the sandbox. Born with the maker's memory and descriptors,
 *               and all capabilities of the new user namespace and none outside it.
 *               It builds the mounts, gives up what it has layer by layer, clones
 *               the main process, then only reaps and forwards signals. (init.c,
 *               rootfs.c, mounts.c, overlay.c, devices.c, procfs.c, names.c, layers.c)
 *   main        takes the identity (build), the last layers (credentials, seccomp) and
 *               becomes the command. (main.c)
 *
 * Commands that are started later (exec) are born of init as main was, by the same steps.
 * (sessions.c, words.c, newborn.c) Files are copied by children of init that execute nothing.
 * (porter.c)
 *
 * Order and what each stage may still do:
 *   clone3 -> [maker: maps, id-mapped trees, "go"; init: signals, priorities, bounding
 *   set] -> init: identity, death chain, mounts, root -> ["release", with the cgroups'
 *   descriptors] -> init joins the cgroups, closes every foreign descriptor, no-new-privs,
 *   Landlock -> ["network", with the namespace, where clone3 didn't make it] -> clone main
 *   -> credentials, seccomp, exec; init: drops its capabilities but those that a newborn is to
 *   take, own seccomp filter, which begins with what a birth needs and ends with the command's.
 *
 * No byte of the image or of a volume is interpreted on the way; their paths are
 * resolved with openat2 below the new root only. Between clone and exec the children
 * take no lock and allocate nothing.
 */
#ifndef CL_WALLS_CONTAINER_CONTAINER_H
#define CL_WALLS_CONTAINER_CONTAINER_H

#include <poll.h>

#include "base/seccomp.h"
#include "base/steps.h"
#include "base/userns.h"
#include "walls/session.h"
#include "walls/wall.h"

enum {
    CL_MAX_FILES = 256,
    CL_MAX_SKELETONS = 32,
    CL_WORDS_USUAL = 64,
    CL_MAX_WRITABLES = CL_MAX_FILES + 8,
    CL_CONTEXT_SIZE = 80,
};

/* What travels over the channel, maker to init; descriptors by SCM_RIGHTS. */
enum cl_message_kind {
    CL_MESSAGE_GO = 1,  /* maps are written, trees are id-mapped */
    CL_MESSAGE_RELEASE, /* with the cgroups' join descriptors */
    CL_MESSAGE_NETWORK, /* with the network namespace's descriptor */
    CL_MESSAGE_SIGNAL,  /* value: the signal for the main process */
    CL_MESSAGE_PAUSE,   /* value: 1 stops all processes, 0 has them go on */
    CL_MESSAGE_EXEC,    /* value: CL_EXEC_ flags; with the descriptors of walls/session.h */
    CL_MESSAGE_BEGIN,   /* where the plan waits: main is to be born */
    CL_MESSAGE_LEAVE,   /* where it stays: init is to end */
    /* init to maker */
    CL_MESSAGE_SCRATCH,  /* with a descriptor on the scratch file system */
    CL_MESSAGE_TERMINAL, /* with the pty's master */
    CL_MESSAGE_STARTED,  /* the command runs; where that is asked for */
    CL_MESSAGE_WAITING,  /* all stands but the command; where the plan waits */
    CL_MESSAGE_OVER,     /* all processes but init have ended; where it stays */
};

struct cl_message {
    uint32_t kind;
    int32_t value;
    uint16_t rows; /* of a pty to be made */
    uint16_t columns;
};

enum { CL_MESSAGE_MAX_FDS = 8 };

/* Sends MESSAGE with COUNT descriptors. 0 or -errno. */
int cl_message_send(int channel, const struct cl_message *message, const int *fds, size_t count);
/* The same, but -EAGAIN where it would have to wait: the sandboxed code can stop a newborn, and
 * with it init. */
int cl_message_offer(int channel, const struct cl_message *message, const int *fds, size_t count);
/* Receives one message; closes descriptors beyond MAX. Returns their number, -EPIPE
 * when the other end is gone, or -errno. FLAGS are recvmsg's. */
int cl_message_receive(int channel, struct cl_message *ret, int *ret_fds, size_t max, int flags);
/* True of what cl_message_send returns when the other process is gone. */
int cl_message_has_no_reader(int r);

/* The command's system call filter (seccomp.c). */
struct cl_container_filter {
    const void *instructions; /* struct sock_filter[] */
    size_t count;
    void *owned; /* the same when it was made for this sandbox, else NULL */
};

/* Everything both processes know; init has a copy of it from the clone. */
struct cl_container {
    const struct cl_wall_start *start;
    const struct cl_plan *plan;
    struct cl_report *report;
    int rootless;
    int has_apparmor;
    /* SELinux's, "" where there is none: the command's and its files'. */
    char process_context[CL_CONTEXT_SIZE];
    char file_context[CL_CONTEXT_SIZE];
    int channel[2]; /* [0] the maker's end, [1] init's */

    /* The command and its environment as execve wants them, NULL-ended: in `words`, or
     * allocated when they are more. */
    char **argv;
    char **envp;
    char *words[CL_WORDS_USUAL];
    struct cl_container_filter filter;

    /* Detached trees that the maker opened, -1 where init opens for itself. */
    int image_tree; /* the image, or the store's layers: cl_image_is_layered */
    int device_tree;
    int scratch_tree; /* disk-backed scratch; -1: a tmpfs that init makes */
    int volume_trees[CL_MAX_FILES];
    int null; /* with a program of ours, for want of a /dev; else -1 */
    int bare; /* the mount namespace that init's is copied from; -1: the host's */

    /* The maker's */
    int32_t pid;
    int pidfd;
    int pid_dir;                /* init's directory in the host's /proc */
    int userns;                 /* init's user namespace */
    struct cl_net *net;         /* the host's network, NULL without outbound; init reads it */
    struct cl_error init_error; /* what init reported before it was ended; code 0: nothing */

    /* init's */
    int scratch;      /* root of the scratch file system, attached in our namespace */
    int root;         /* the new root */
    int proc;         /* the new /proc; like /dev never reached by its path again, which a
                         hostile tree could bend */
    int dev;          /* the new /dev */
    int scratch_dirs; /* made so far for overlays and skeletons: names them */
    int skeletons[CL_MAX_SKELETONS]; /* writable until the root is sealed */
    int skeleton_count;
    int writable_count;
    uint64_t writables[CL_MAX_WRITABLES]; /* mounts of ours that are there to be written */
    int root_grows; /* mount points can be created: the root isn't the bare image */
    int join_fds[CL_MESSAGE_MAX_FDS];
    int join_count;
    int pts;       /* the root of its devpts */
    int terminal;  /* the pty's slave, -1 without a tty */
    uint64_t kept; /* a newborn's: the capabilities that init kept for it */
};

/* A command to be born in the running sandbox: what came for it, or -1. */
struct cl_birth {
    int session;
    int words;
    int stdio[3];
    int terminal;
};

/* One that runs; pid 0: none. */
struct cl_session {
    pid_t pid;
    int socket; /* -1: its client is gone */
};

struct cl_sessions {
    int only_copies; /* the command has ended: no other runs any more */
    struct cl_session items[CL_EXEC_MOST];
};

/* True where a program of ours stands for the command (walls/wall.h). */
static inline int cl_has_program(const struct cl_container *container)
{
    return container->start->program != NULL;
}

/* --- the maker (maker.c, clone.c, idmap.c, volumes.c) ---------------------- */

/* Clones init into its namespaces; the maker's step and its undo, which also takes what init
 * has reported. */
int cl_init_clone(void *context, struct cl_error *err);
void cl_init_end(void *context);
/* Kills and reaps our child PID. */
void cl_child_end(pid_t pid, int pidfd);
/* Writes init's uid and gid map for the plan. */
int cl_idmap_write(const struct cl_container *container, struct cl_error *err);
/* Opens the image and the volumes as detached trees: the maker's as root, else init's. */
int cl_sources_open(struct cl_container *container, struct cl_error *err);
/* The template of /dev as a detached tree, or -1 where init has to bind nodes. */
int cl_devices_template(void);
/* Scratch on disk as a detached mount (root mode; disk.c). */
int cl_disk_scratch_make(const struct cl_container *container, struct cl_error *err);
/* What the scratch file system itself may hold: the limit less what is given to file
 * systems of their own (--tmpfs with a size, --shm-size). */
uint64_t cl_scratch_bytes(const struct cl_plan *plan);

/* Init's out-of-memory score, when it is below the ordinary one (priority.c). The maker's step. */
int cl_priority_level_oom(void *context, struct cl_error *err);

/* Makes a network namespace, of the user namespace USERNS and with loopback, and sends it
 * down CHANNEL (netns.c). */
int cl_netns_give(int userns, int channel, struct cl_error *err);
/* The same for network outbound, with who carries it: PROCESS has what it takes. */
int cl_netns_give_outbound(struct cl_wall_process *process, int userns, struct cl_error *err);
/* Loopback of the own network namespace; *RET_WHAT says what failed. */
int cl_netns_raise_loopback(const char **ret_what);
/* Loopback of a network namespace that clone3 made; init's step. */
int cl_netns_raise_own(void *context, struct cl_error *err);
int cl_netns_enter(struct cl_container *container, int netns, struct cl_error *err);

/* --- the bare mount namespace (bare.c); root mode --- */

/* Where a process was that has gone into the bare namespace; descriptors. */
struct cl_bare_home {
    int mntns; /* -1: it went nowhere */
    int root;
    int cwd;
};
#define CL_BARE_HOME_INIT ((struct cl_bare_home){-1, -1, -1})

/* A descriptor of the bare mount namespace, made when there is none, or -errno. */
int cl_bare_open(void);
/* Goes into the namespace BARE: 0, or -errno. In any case cl_bare_leave has to follow. */
int cl_bare_enter(int bare, struct cl_bare_home *ret);
/* And back, if HOME says that the process went. */
int cl_bare_leave(struct cl_bare_home *home, struct cl_error *err);

/* --- trees and mounts (mounts.c) ------------------------------------------ */

/* ATTRS less those whose layer the plan leaves out (test builds only). */
uint64_t cl_mount_attrs(const struct cl_plan *plan, uint64_t attrs);
/* The working directory becomes the root, and the old one is taken away whole, with everything that
 * hangs below it: pivot_root(2), "pivot_root(".", ".")". */
int cl_mount_leave_host(struct cl_error *err);
/* A detached, private copy of the mounts at PATH below DIRFD, with ATTRS. */
int cl_tree_clone(int dirfd, const char *path, uint64_t attrs, struct cl_error *err);
/* The same of what FD is open on. WHAT is for the message. */
int cl_tree_clone_fd(int fd, const char *what, uint64_t attrs, struct cl_error *err);
/* Attaches TREE at the O_PATH descriptor TARGET. WHERE is for the message. */
int cl_tree_attach(int tree, int target, const char *where, struct cl_error *err);
/* The same for a TREE below which the sandbox may write: Landlock lets it. */
int cl_tree_attach_writable(struct cl_container *container, int tree, int target, const char *where,
                            struct cl_error *err);
/* 1 when FD is open on the root of a mount that was attached as such, 0, or -errno. */
int cl_is_writable(const struct cl_container *container, int fd);
/* Makes a file system: OPTIONS are "key", "value" pairs, a NULL value for flags,
 * ended by a NULL key. Returns the detached mount. */
int cl_fs_make(const char *type, const char *const *options, uint64_t attrs, struct cl_error *err);
/* The same, with the sandbox's SELinux context on all of its files. */
int cl_fs_make_own(const struct cl_container *container, const char *type,
                   const char *const *options, uint64_t attrs, struct cl_error *err);
/* The deepest part of PATH below ROOT that is there, opened; *RET_REST is what is missing
 * (target.c). */
int cl_target_existing(int root, const char *path, const char **ret_rest);
/* Finds PATH below ROOT or makes it: 0 and *RET, or -errno; *RET_MAKING when it came to making. */
int cl_target_find(int root, const char *path, int is_dir, int *ret, int *ret_making);
/* The mount target PATH below the new root: found, or made where the root grows.
 * An O_PATH descriptor. Links are followed below the root only. */
int cl_target_open(struct cl_container *container, const char *path, int is_dir,
                   struct cl_error *err);
/* As above for our own targets, which must not be links. */
int cl_target_open_own(struct cl_container *container, const char *path, struct cl_error *err);
/* Attaches the directory NAME of scratch, with ATTRS, at the new root's TARGET. */
int cl_bind_scratch(struct cl_container *container, const char *name, const char *target,
                    uint64_t attrs, struct cl_error *err);
/* With a program of ours, for which there is none: the directory PATH of the image, where that has
 * one, which may be the host's own mounted there, shows nothing. */
int cl_cover_nothing(const struct cl_container *container, const char *path, struct cl_error *err);
/* True of the errors of a directory in which the sandbox's user can make nothing. */
int cl_is_closed(int r);

/* An overlay of LOWER (taken) with a fresh upper in scratch; returns a detached mount.
 * WHAT is for the message. OWNED: the top directory belongs to the sandbox's user. */
int cl_overlay_make(struct cl_container *container, int lower, const char *what, int owned,
                    struct cl_error *err);
/* What lies on the image's layers. */
enum cl_overlay_top {
    CL_TOP_NONE,  /* nothing: read-only */
    CL_TOP_NAMES, /* a layer of ours that has an empty /etc/hosts: read-only, too */
    CL_TOP_UPPER, /* a fresh upper directory in scratch */
};
/* An overlay of the image's layers, which `image_tree` (taken) has, attached in the new root's
 * place. A descriptor of it. */
int cl_overlay_image(struct cl_container *container, enum cl_overlay_top top, struct cl_error *err);

/* Shows in the directory DIR, as NAME, what SOURCE (O_PATH, not followed) is: a link is
 * copied, anything else bound read-only (skeleton.c). */
int cl_show(const struct cl_container *container, int source, int dir, const char *name,
            struct cl_error *err);
/* A detached, writable directory that shows all entries of ORIGINAL. */
int cl_skeleton_make(struct cl_container *container, int original, struct cl_error *err);
/* Puts such a directory over ORIGINAL, which is attached below the new root. */
int cl_skeleton_attach(struct cl_container *container, int original, struct cl_error *err);

/* --- init's steps --------------------------------------------------------- */

int cl_priority_level(void *context, struct cl_error *err);                   /* priority.c */
int cl_sources_find(void *context, struct cl_error *err);                     /* volumes.c */
int cl_scratch_make(void *context, struct cl_error *err);                     /* scratch.c */
int cl_rootfs_make(void *context, struct cl_error *err);                      /* rootfs.c */
int cl_rootfs_workdir(void *context, struct cl_error *err);                   /* rootfs.c */
int cl_rootfs_seal(void *context, struct cl_error *err);                      /* rootfs.c */
int cl_rootfs_enter(void *context, struct cl_error *err);                     /* rootfs.c */
int cl_host_image_fill(struct cl_container *container, struct cl_error *err); /* host_image.c */
int cl_procfs_make(void *context, struct cl_error *err);                      /* procfs.c */
int cl_procfs_mask(void *context, struct cl_error *err);                      /* procfs.c */
int cl_devices_make(void *context, struct cl_error *err);                     /* devices.c */
int cl_names_make(void *context, struct cl_error *err);                       /* names.c */
int cl_volumes_attach(void *context, struct cl_error *err);                   /* volumes.c */
int cl_landlock_restrict(void *context, struct cl_error *err);                /* landlock.c */

/* What people call the plan's image, which isn't `host`. */
static inline const char *cl_image_name(const struct cl_plan *plan)
{
    return plan->image_kind == CL_IMAGE_STORE ? plan->image : plan->image_path;
}

/* True when the image is several directories, of which an overlay makes one. One layer alone
 * is a tree like that of rootfs:DIR. */
static inline int cl_image_is_layered(const struct cl_plan *plan)
{
    return plan->image_kind == CL_IMAGE_STORE && plan->image_layers.count > 1;
}

/* True when PATH lies in something that is mounted over the image. */
int cl_rootfs_is_covered(const struct cl_plan *plan, const char *path);
/* True when the working directory gets scratch of its own over the image's. */
int cl_rootfs_workdir_is_copied(const struct cl_plan *plan);
/* True when the whole root is copy-on-write. */
int cl_rootfs_is_writable(const struct cl_plan *plan);
/* True when scratch must be on disk for PLAN, in root mode. */
int cl_scratch_needs_disk(const struct cl_plan *plan);
/* The values of a tmpfs's size and nr_inodes for a limit of BYTES: an empty file costs
 * the kernel about 1 KiB that `size` does not count. */
void cl_tmpfs_size(uint64_t bytes, char ret_size[32], char ret_inodes[32]);
/* A directory NAME of scratch with MODE, as a detached mount. */
int cl_scratch_dir(struct cl_container *container, const char *name, mode_t mode,
                   struct cl_error *err);
/* True when TARGET lies at or below DIR. */
int cl_path_is_below(const char *target, const char *dir);

/* Decides whether the command enters AppArmor's profile for sandboxes; refuses a host that
 * has AppArmor on without it. The maker's step (label.c). */
int cl_label_decide(void *context, struct cl_error *err);
/* The command to be executed next enters the host's profile for sandboxes. */
int cl_label_take(struct cl_container *container, struct cl_error *err);

/* Decides the sandbox's contexts, "" on a host without SELinux; refuses an enforcing host
 * whose policy doesn't know them (selinux.c). The maker's step. */
int cl_selinux_decide(void *context, struct cl_error *err);
/* The two categories, the lower first, of the sandbox ID; UID_BASE 0: rootless. */
void cl_selinux_categories(uint32_t uid_base, const char *id, uint32_t ret[2]);
/* The command to be executed next gets its context. */
int cl_selinux_take(struct cl_container *container, struct cl_error *err);
/* Adds to ERR what SELinux may have had to do with an exec's failure R; returns R. */
int cl_selinux_hint(const struct cl_container *container, int r, struct cl_error *err);

enum {
    CL_CAP_CHOWN = 0,
    CL_CAP_DAC_OVERRIDE = 1,
    CL_CAP_FOWNER = 3,
    CL_CAP_FSETID = 4,
    CL_CAP_KILL = 5,
    CL_CAP_SETGID = 6,
    CL_CAP_SETUID = 7,
    CL_CAP_MKNOD = 27
}; /* linux/capability.h */

/* --- credentials (layers.c) ------------------------------------------------ */

/* The bounding set is MASK, the ambient one empty. */
int cl_capabilities_bound(uint64_t mask, struct cl_error *err);
int cl_capabilities_set(uint64_t mask, struct cl_error *err);
/* What init still has when the command runs, to be taken by a newborn. */
uint64_t cl_capabilities_kept(const struct cl_plan *plan);
/* Keeps PERMITTED, and puts EFFECTIVE of it to use. */
int cl_capabilities_keep(uint64_t permitted, uint64_t effective, struct cl_error *err);
/* All three sets (capset(2)). */
int cl_capabilities_take(uint64_t permitted, uint64_t effective, uint64_t inheritable,
                         struct cl_error *err);
/* Those of somebody who isn't root and has them after an exec, too. */
uint64_t cl_capabilities_lasting(const struct cl_plan *plan);
/* MASK is all that is had from now on, and over an exec. */
int cl_capabilities_last(uint64_t mask, struct cl_error *err);
int cl_securebits_lock(const struct cl_plan *plan, struct cl_error *err);

/* --- system calls (seccomp.c) ----------------------------------------------- */

/* The command's filter, of the profile or the user's. The maker's step. */
int cl_seccomp_choose(void *context, struct cl_error *err);
void cl_seccomp_forget(void *context);
/* The calling process takes the command's filter: main, and who is born after it. */
int cl_seccomp_take(struct cl_container *container, struct cl_error *err);
/* Init takes it before the command is born, where it is one of ours. Init's last step. */
int cl_seccomp_share(void *context, struct cl_error *err);
/* Init takes its own, where it doesn't share the command's; when that runs. */
int cl_seccomp_bind_init(const struct cl_container *container, struct cl_error *err);

/* True when a user's profile is the command's filter, which no one has by birth then. */
static inline int cl_seccomp_is_users(const struct cl_container *container)
{
    return cl_plan_has(container->plan, CL_FIELD_SECCOMP);
}

/* --- processes ------------------------------------------------------------- */

/* Init's whole life after clone; never returns. */
CL_NORETURN void cl_init_run(struct cl_container *container);
/* Clones and executes the main process; returns its pid (in the sandbox). Doesn't return
 * when main fails or can't be executed: the report says why. */
int cl_main_start(struct cl_container *container, struct cl_error *err);
/* Executes NAME (in ENV's PATH, where it is no path) and doesn't return, or -errno (program.c). */
int cl_program_execute(const char *name, const struct cl_strlist *env, char *const argv[],
                       char *const envp[]);
/* 0 when there is a program of that name, which somebody can execute; -ENOENT, -EACCES, ... */
int cl_program_check(const char *name, const struct cl_strlist *env);
/* Whether there is a file of that name, to be executed or not. */
int cl_program_is_there(const char *name, const struct cl_strlist *env);
/* One of ours (walls/wall.h): its descriptors get their numbers, main's step; the first number
 * behind them; and it is executed. */
int cl_program_place(void *context, struct cl_error *err);
int cl_program_first_free(const struct cl_container *container);
int cl_program_start(const struct cl_wall_program *program, char *const argv[], char *const envp[]);
/* LIST and a NULL at VECTOR; returns where the next one goes. */
char **cl_vector_fill(char **vector, const struct cl_strlist *list);

/* --- commands in the running sandbox: init's (sessions.c, words.c, newborn.c, pty.c) --- */

/* Starts what MESSAGE asks for, with its descriptors, which are taken, and tells the
 * session. */
void cl_sessions_begin(struct cl_sessions *sessions, struct cl_container *container,
                       const struct cl_message *message, const int *fds, size_t count);
/* What to wait for; how many. */
size_t cl_sessions_poll(const struct cl_sessions *sessions, struct pollfd ret[CL_EXEC_MOST]);
/* Takes what came: POLLED is as cl_sessions_poll made it. */
void cl_sessions_serve(struct cl_sessions *sessions, const struct pollfd *polled, size_t count);
/* The process PID has been reaped; it may be none of them. */
void cl_sessions_ended(struct cl_sessions *sessions, pid_t pid, int status);

/* What a command to be born is, in init's memory. */
struct cl_words {
    char *data;
    char **vector; /* command and environment as execve wants them */
    struct cl_arena arena;
    struct cl_plan plan; /* points into data and arena */
};
#define CL_WORDS_INIT ((struct cl_words){.arena = CL_ARENA_INIT(2UL * CL_EXEC_WORDS_MAX)})

/* Whether WORDS are those of a command that may run in the sandbox of BASE. */
int cl_words_check(const struct cl_plan *base, const struct cl_plan *words, struct cl_error *err);
/* Reads and checks what the sealed memory FD has. In any case cl_words_done has to follow. */
int cl_words_take(int fd, const struct cl_plan *base, struct cl_words *words, struct cl_error *err);
void cl_words_done(struct cl_words *words);
/* Reads BIRTH's words and starts the command. Its pid; REPORT says what became of it. */
pid_t cl_newborn_make(struct cl_container *container, const struct cl_birth *birth,
                      struct cl_report *report, struct cl_error *err);
/* Clones a process that becomes the command of NEWBORN, a copy of the sandbox's container with
 * plan, report, vectors and streams of its own; returns when it has, or has given up. */
pid_t cl_newborn_start(struct cl_container *newborn, struct cl_error *err);

/* Clones a process that does the copy which FLAGS (walls/session.h) and BIRTH's words say: its
 * pid. It tells the session what fails, and its exit status that something did (porter.c). */
pid_t cl_porter_start(struct cl_container *container, const struct cl_birth *birth, uint32_t flags,
                      struct cl_error *err);
/* Tells SOCKET's client that ERR happened. */
void cl_session_fail(int socket, enum cl_session_event_kind kind, const struct cl_error *err);

/* Opens a new pty: its master; RET_SLAVE is the terminal. */
int cl_pty_open(const struct cl_container *container, int *ret_slave, struct cl_error *err);
/* Gives it that size, where one is known. */
void cl_pty_resize(int master, struct winsize size);
/* Init's step: what is needed for ptys, and that of the main process. */
int cl_terminal_make(void *context, struct cl_error *err);

/* True when clone3 leaves the network namespace to a helper (netns.c). */
static inline int cl_netns_comes_later(const struct cl_container *container)
{
    return !cl_plan_without(container->plan, CL_LAYER_NETNS) &&
           (container->net != NULL || cl_processors_have_idle(&container->start->processors));
}

static inline void cl_layer_up(struct cl_container *container, enum cl_layer layer)
{
    if (!cl_plan_without(container->plan, layer))
        container->report->layers |= CL_LAYER_BIT(layer);
}

#endif
