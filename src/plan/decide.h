/* decide.h - from wishes to one decided plan.
 *
 * The parts (an image of the store, a policy file, an env file, the flags) are laid over the
 * profile's defaults in the order given; then every field is checked against the others. The
 * defaults and the checks are two tables in decide.c.
 *
 * What holds of a plan after cl_plan_decide, so that nothing later has to ask:
 *   set       wall, profile, network, root, image, image_kind, image_path (rootfs and
 *             store), image_layers and digest (store alone: as the part that named them
 *             has them), command (at least one word), user, uid, gid, workdir, hostname,
 *             env, files (maybe empty), capabilities, without, tty, interactive,
 *             die_with_parent; limits memory, swap, time, stop_grace, tasks, disk,
 *             open_files; scratch. Unset limits don't limit. seccomp is as it was.
 *   wall      one that exists; never auto
 *   root      read-only or writable; never profile
 *   command   with the entrypoint before it, which is unset
 *   uid, gid  strict: neither is 0; capabilities are 0 unless uid is 0
 *   workdir   absolute, normalised
 *   files     targets absolute, normalised, each once, parents before children,
 *             none at or below /proc, /sys, /dev, none "/"; a source is not empty
 *             and may be relative to the working directory of the caller
 *   env       each "NAME=value", no name twice
 *   scratch   memory: a tmpfs, and disk is below memory unless limits are left out;
 *             disk: a file system in a file of the host, for root who asks for more
 *             than half of memory. A default disk is at most half of memory
 *   shm       unset: /dev/shm is a part of scratch; set: a tmpfs of its own. It and
 *             the size of each tmpfs are at most disk and, with limits, below memory
 *   limits    left out: no cpus, and no swap that was asked for
 *
 * No privilege, no I/O but what FIND_USER does.
 */
#ifndef CL_PLAN_DECIDE_H
#define CL_PLAN_DECIDE_H

#include "plan/plan.h"

/* Looks PLAN's `user`, which has a name in it, up in PLAN's image: sets uid, and gid
 * where it is known. */
typedef int cl_find_user(void *context, const struct cl_plan *plan, struct cl_plan *ret,
                         struct cl_error *err);

/* Whether the worker that TENANT keeps gives each module a process of its own. */
typedef int cl_serves_processes(const char *tenant);

struct cl_decide {
    const struct cl_plan *const *parts; /* later ones override earlier ones */
    size_t count;
    struct cl_arena *arena;                /* takes what is made; outlives the plan */
    cl_find_user *find_user;               /* NULL: only numbers and root are known */
    void *context;                         /* FIND_USER's */
    cl_serves_processes *serves_processes; /* NULL: none does */
    int caller_is_root;
    const char *note; /* out: a line for the user, or NULL */
};

/* Borrows the parts, which must outlive RET. -EINVAL, -ENOENT, -ENOSYS ("not built
 * yet"), -ENOMEM. */
int cl_plan_decide(struct cl_decide *how, struct cl_plan *ret, struct cl_error *err);

/* One more command in a sandbox that runs (exec): BASE is the plan that the sandbox was made from.
 * The parts can set user, workdir, env, tty, interactive and command; what they don't say is
 * BASE's, but for tty and interactive, which are off. Afterwards uid, gid, capabilities, workdir,
 * env and command hold what cl_plan_decide promises; strict: uid and gid are BASE's. */
int cl_plan_decide_exec(struct cl_decide *how, const struct cl_plan *base, struct cl_plan *ret,
                        struct cl_error *err);

/* Whether IMAGE, as a user writes it, is the name of an image: who knows names looks it up
 * and gives what is found as the first part, with image_kind STORE. */
int cl_image_is_name(const char *image);
/* 0 when an image can be pulled, or named, by NAME; -EINVAL or -ENOSYS with what IMAGE takes it
 * for in its place. That the rest is right is for who parses it to find out. */
int cl_image_check_name(const char *name, struct cl_error *err);
/* Whether IMAGE is the path of a WebAssembly module: who can compile it gives what comes of it as
 * the first part, with image_kind MODULE. */
int cl_image_is_module(const char *image);
/* Whether IMAGE is one that lies on this host: oci:DIR, oci-archive:FILE, docker-archive:FILE. */
int cl_image_is_local(const char *image);

/* A copy of the absolute PATH in ARENA without doubled slashes, "." and a slash at the
 * end. ".." takes the name before it away when FOLD_DOTS, else it is refused. Bytes
 * below 32 are refused. */
int cl_path_normalise(const char *path, int fold_dots, struct cl_arena *arena, const char **ret,
                      struct cl_error *err);

/* The same for a path at which a file or directory is put, which can be neither "/" nor
 * one that the sandbox has anyway, and "..", which is refused. */
int cl_target_normalise(const char *path, struct cl_arena *arena, const char **ret,
                        struct cl_error *err);

/* Whether TEXT has the form that a field of text, or an entry of a list, must have, as far as that
 * can be told without an image: what cl_plan_decide checks, for those who know the place that TEXT
 * stands at. */
int cl_plan_check_text(enum cl_field field, const char *text, struct cl_error *err);

#endif
