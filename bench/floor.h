/*
 * floor: what a container start costs on this kernel when nothing but the
 * kernel's own work is done. Shared between the program's files:
 *
 *   floor.c         options, the parent: clone, id maps, wait
 *   floor_go.c      how the child learns that it may go on, and gets descriptors
 *   floor_root.c    mounts: root file system, /proc, /dev, tmpfs, masks, pivot
 *   floor_cgroup.c  v1 cgroups: make, limit, join, remove
 *   floor_harden.c  seccomp, Landlock, capabilities, keyring
 *
 * floor is a yardstick, not a sandbox: it checks nothing, stops at the first
 * error (exit 125), and must only be given trees and commands of the bench's.
 * Single-threaded; needs root.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

enum {
    FLOOR_MAX_STAGES = 40,
    FLOOR_MAX_CGROUPS = 12,
    FLOOR_UID_BASE = 0x70000000,
    FLOOR_UID_COUNT = 65536
};

enum floor_root { ROOT_BIND, ROOT_CLONE, ROOT_IDMAP, ROOT_OVERLAY };
enum floor_dev { DEV_NONE, DEV_TEMPLATE, DEV_BINDS, DEV_TMPFS_MKNOD };
enum floor_spawn { SPAWN_CLONE3, SPAWN_SHARED_VM };
enum floor_init { INIT_NONE, INIT_FORK, INIT_VFORK };
enum floor_wait { WAIT_SOCKET, WAIT_FUTEX };

struct floor_options {
    uint64_t namespaces; /* CLONE_NEW* */
    enum floor_spawn spawn;
    enum floor_init init;
    enum floor_wait wait;
    enum floor_root root;
    enum floor_dev dev;
    const char *root_path;
    const char *dev_path;
    const char *cgroups; /* comma-separated v1 controllers, or NULL */
    const char *stages_path;
    unsigned tmpfs_count;
    unsigned mask_count;
    unsigned seccomp_insns;
    unsigned landlock_rules;
    unsigned caps_dropped;
    unsigned ballast_mib;
    bool mounts; /* private propagation and a new root at all */
    bool proc;
    bool devpts;
    bool shm;
    bool keyring;
    bool pipes;
    bool late_net;
    bool late_cgroups;
    bool join_last;
    bool no_exec;   /* the command is _exit(0): shows the teardown alone */
    bool no_limits; /* join cgroups, write no limits */
    char **argv;
};

struct floor_stage {
    const char *name;
    uint64_t at_ns;
};

/* Detached mounts that the parent made; the child attaches them. */
struct floor_trees {
    int root_fd;
    int dev_fd;
};

struct floor_cgroup {
    char path[256];
    int tasks_fd;
};

struct floor_cgroups {
    struct floor_cgroup items[FLOOR_MAX_CGROUPS];
    size_t count;
};

/* Pages shared by parent and children. */
struct floor_shared {
    uint32_t go; /* WAIT_FUTEX: 1 by the parent, 2 by the child that has its own descriptors */
    struct floor_trees trees;     /* WAIT_FUTEX: numbers in the shared table */
    struct floor_cgroups cgroups; /* the same */
    uint32_t parent_count;
    uint32_t child_count;
    struct floor_stage parent[FLOOR_MAX_STAGES];
    struct floor_stage child[FLOOR_MAX_STAGES];
};

struct floor_run {
    const struct floor_options *options;
    struct floor_trees trees;
    struct floor_cgroups cgroups;
    int go[2]; /* WAIT_SOCKET: the child's end, the parent's end */
    int out_pipe[2];
    int err_pipe[2];
};

extern struct floor_shared *floor_shared;

/* Prints `floor: WHAT: strerror` and leaves at once with status 125. */
void floor_die(const char *what) __attribute__((noreturn));

/* Evaluates to RC unless it is negative: then floor_die(WHAT). */
long floor_must(long rc, const char *what);

void floor_stamp_parent(const char *name);
void floor_stamp_child(const char *name);

/* Writes TEXT into the existing file DIRECTORY/NAME. */
void floor_write(const char *directory, const char *name, const char *text);

/* Parent: makes the cgroups that OPTIONS name below its own; removes them again. */
void floor_cgroups_make(const struct floor_options *options, struct floor_cgroups *ret_cgroups);
void floor_cgroups_remove(struct floor_cgroups *cgroups);
/* Child: single-threaded, writes 0 to each `tasks`. */
void floor_cgroups_join(const struct floor_cgroups *cgroups);

/* Whether the child has to wait for the parent at all. */
bool floor_needs_go(const struct floor_options *options);
/* Parent: lets the child go on and gives it RUN's trees and cgroups. */
void floor_go_send(struct floor_run *run);
/* Child: waits for that; afterwards its descriptor table is its own. */
void floor_go_wait(struct floor_run *run);

/* Parent: makes the detached trees that OPTIONS ask for; USERNS_FD or -1. */
void floor_root_prepare(const struct floor_options *options, int userns_fd,
                        struct floor_trees *ret_trees);
/* Child: attaches TREES, mounts the rest, pivots. */
void floor_root_enter(const struct floor_options *options, const struct floor_trees *trees);

/* Child: everything that is taken away before exec. */
void floor_harden(const struct floor_options *options);

#endif
