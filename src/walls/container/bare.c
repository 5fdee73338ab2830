/* The bare mount namespace: what init's is copied from where nothing of the host is needed
 * in it (root mode, rootfs images). A copy of the host's own has all of its mounts, to be
 * copied at the start (1.1 us each) and to be detached before the command, which waits for
 * an RCU grace period (0.17 ms, in which a processor idles). The bare one has two:
 *
 *   /       an empty, read-only tmpfs with the mount points proc and sys
 *   /proc   of a pid namespace without processes: the kernel mounts a new /proc in a user
 *           namespace only where the mount namespace has one that hides nothing
 *
 * Init puts the new root over "/" and changes its root there: below lies nothing of the
 * host. So no file of the host is ever within the reach of a sandbox's mount namespace.
 *
 * One is made by the first start that needs it, by a helper in new mount and pid
 * namespaces, and kept by a mount of it below /run, as ip-netns(8) keeps its namespaces: in
 * a tmpfs of our own, because what keeps a mount namespace can't lie on a shared mount.
 * It goes with a reboot or `make uninstall`. Where it can't be made, init's mount namespace
 * is a copy of the host's: no layer is lost, only time.
 *
 * Source: mount_namespaces(7), setns(2), pivot_root(2), namespaces(7); the visibility of
 * /proc: mount_too_revealing() of the kernel's fs/namespace.c.
 */
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>

#include "base/beside.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

#define KEEPER "/run/cloister-bare"
#define KEPT KEEPER "/mnt"
#define FAILED                                                                                     \
    "failed" /* in KEEPER: a link that names the mount namespace where keeping failed              \
              */

/* --- the helper that makes one --------------------------------------------------------- */

struct maker {
    int root;  /* the tmpfs */
    int mntns; /* -1 until it is made; the caller's descriptor table is the helper's */
    struct cl_error err;
};

static int part_from_host(CL_UNUSED void *context, struct cl_error *err)
{
    int r = cl_sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);

    return r < 0 ? cl_fail(err, r, "make all mounts private") : 0;
}

static int make_root(void *context, struct cl_error *err)
{
    static const char *const options[] = {"mode",      "0555", "size", "4096",
                                          "nr_inodes", "8",    NULL,   NULL};
    static const char *const directories[] = {"proc", "sys"};
    struct maker *maker = context;

    maker->root = cl_fs_make(
        "tmpfs", options, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV | CL_MOUNT_ATTR_NOEXEC, err);
    if (maker->root < 0)
        return maker->root;
    for (size_t i = 0; i < CL_ARRAY_SIZE(directories); i++) {
        int r = cl_sys_mkdirat(maker->root, directories[i], 0555);
        if (r < 0)
            return cl_fail(err, r, "make /%s", directories[i]);
    }
    int r = cl_sys_move_mount(maker->root, "", AT_FDCWD, KEEPER, CL_MOVE_MOUNT_F_EMPTY_PATH);
    return r < 0 ? cl_fail(err, r, "attach it at %s", KEEPER) : 0;
}

static int make_proc(void *context, struct cl_error *err)
{
    static const char *const no_options[] = {NULL, NULL};
    const struct maker *maker = context;
    CL_CLEANUP_FD int proc = cl_fs_make(
        "proc", no_options, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV | CL_MOUNT_ATTR_NOEXEC, err);

    if (proc < 0)
        return proc;
    int r = cl_sys_move_mount(proc, "", maker->root, "proc", CL_MOVE_MOUNT_F_EMPTY_PATH);
    return r < 0 ? cl_fail(err, r, "attach /proc") : 0;
}

/* While the host's /proc is still there. */
static int open_namespace(void *context, struct cl_error *err)
{
    struct maker *maker = context;

    maker->mntns = cl_sys_openat(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY, 0);
    return maker->mntns < 0 ? cl_fail(err, maker->mntns, "open /proc/self/ns/mnt") : 0;
}

static int leave_host(void *context, struct cl_error *err)
{
    const struct maker *maker = context;
    int r = cl_sys_fchdir(maker->root);

    if (r == 0)
        r = cl_sys_pivot_root(".", ".");
    if (r == 0)
        r = cl_sys_umount2(".", MNT_DETACH);
    return r < 0 ? cl_fail(err, r, "leave the host's file systems") : 0;
}

static int seal(void *context, struct cl_error *err)
{
    struct cl_mount_attr attr = {.attr_set = CL_MOUNT_ATTR_RDONLY};
    const struct maker *maker = context;
    int r = cl_sys_mount_setattr(maker->root, "", CL_AT_EMPTY_PATH, &attr);

    return r < 0 ? cl_fail(err, r, "make it read-only") : 0;
}

static const struct cl_step make_steps[] = {
    {"propagation", part_from_host, NULL}, {"root", make_root, NULL},  {"/proc", make_proc, NULL},
    {"namespace", open_namespace, NULL},   {"host", leave_host, NULL}, {"seal", seal, NULL},
};

static int run_maker(void *context)
{
    struct maker *maker = context;

    return cl_steps_run(make_steps, CL_ARRAY_SIZE(make_steps), maker, &maker->err) < 0;
}

/* A descriptor of a new bare namespace. */
static int make(struct cl_error *err)
{
    struct maker maker = {.root = -1, .mntns = -1};
    int r = cl_beside_run("the maker of the bare mount namespace", CLONE_NEWNS | CLONE_NEWPID,
                          run_maker, &maker, err);
    CL_CLEANUP_FD int mntns = maker.mntns;

    cl_fd_close(&maker.root);
    if (r > 0) {
        *err = maker.err;
        return cl_error_check(err);
    }
    return r < 0 ? r : CL_TAKE_FD(mntns);
}

/* --- keeping it -------------------------------------------------------------------------- */

/* The namespace that is kept, or -errno; -ENOENT: none. */
static int open_kept(void)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, KEPT, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    struct statfs fs;

    if (fd < 0)
        return fd;
    int r = cl_sys_fstatfs(fd, &fs);
    if (r < 0)
        return r;
    return fs.f_type == NSFS_MAGIC ? CL_TAKE_FD(fd) : -ENOENT;
}

/* Puts a private tmpfs over KEEPER. */
static int cover_keeper(struct cl_error *err)
{
    static const char *const options[] = {"mode",      "0700", "size", "4096",
                                          "nr_inodes", "8",    NULL,   NULL};
    struct cl_mount_attr attr = {.propagation = MS_PRIVATE};
    CL_CLEANUP_FD int tree = cl_fs_make(
        "tmpfs", options, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV | CL_MOUNT_ATTR_NOEXEC, err);

    if (tree < 0)
        return tree;
    int r = cl_sys_move_mount(tree, "", AT_FDCWD, KEEPER, CL_MOVE_MOUNT_F_EMPTY_PATH);
    if (r == 0)
        r = cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH, &attr);
    return r < 0 ? cl_fail(err, r, "mount a tmpfs at %s", KEEPER) : 0;
}

static int bind_kept(int mntns)
{
    char path[32];
    CL_CLEANUP_FD int file =
        cl_sys_openat(AT_FDCWD, KEPT, O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);

    if (file < 0)
        return file;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", mntns);
    return cl_sys_mount(path, KEPT, NULL, MS_BIND, NULL);
}

/* EINVAL says that what is mounted there is shared with another namespace; or that ours
 * isn't the older of the two, which would let them keep each other. The kernel knows that by
 * their numbers, which aren't always in the order of age (Linux 6.18: each processor has some
 * in store): where ours is the machine's first they always are, else by chance. */
static int keep(int mntns, struct cl_error *err)
{
    int r = bind_kept(mntns);

    if (r == -EINVAL) {
        r = cover_keeper(err);
        if (r < 0)
            return r;
        r = bind_kept(mntns);
        if (r < 0)
            (void)cl_sys_umount2(KEEPER, MNT_DETACH);
    }
    return r < 0 ? cl_fail(err, r, "keep the bare mount namespace at %s", KEPT) : 0;
}

/* --- where it can't be kept ---------------------------------------------------------------- */

enum { NAME_SIZE = 32 };

/* "mnt:[4026531832]", of our mount namespace; "" when that can't be had. */
static void name_own_namespace(char ret[NAME_SIZE])
{
    ssize_t size = cl_sys_readlinkat(AT_FDCWD, "/proc/self/ns/mnt", ret, NAME_SIZE - 1);

    ret[size < 0 ? 0 : size] = '\0';
}

/* So that not every start in such a namespace tries it anew, for a millisecond. */
static void note_failure(int keeper)
{
    char own[NAME_SIZE];

    name_own_namespace(own);
    (void)cl_sys_unlinkat(keeper, FAILED, 0); /* another namespace's */
    (void)cl_sys_symlinkat(own, keeper, FAILED);
}

static int has_failed_before(void)
{
    char own[NAME_SIZE];
    char noted[NAME_SIZE];
    ssize_t size = cl_sys_readlinkat(AT_FDCWD, KEEPER "/" FAILED, noted, NAME_SIZE - 1);

    if (size < 0)
        return 0;
    noted[size] = '\0';
    name_own_namespace(own);
    return strcmp(own, noted) == 0;
}

/* KEEPER itself, locked against other starts that make one. */
static int lock_keeper(struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_mkdirat(AT_FDCWD, KEEPER, 0700);

    if (r < 0 && r != -EEXIST)
        return cl_fail(err, r, "make %s", KEEPER);
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, KEEPER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (dir < 0)
        return cl_fail(err, dir, "open %s", KEEPER);
    r = cl_sys_fstat(dir, &st);
    if (r < 0)
        return cl_fail(err, r, "stat %s", KEEPER);
    if (st.st_uid != 0 || (st.st_mode & 077) != 0)
        return cl_refuse(err, EPERM, "%s is open to others", KEEPER);
    r = cl_sys_flock(dir, LOCK_EX);
    return r < 0 ? cl_fail(err, r, "lock %s", KEEPER) : CL_TAKE_FD(dir);
}

int cl_bare_open(struct cl_error *err)
{
    int kept = open_kept();

    if (kept != -ENOENT)
        return kept < 0 ? cl_fail(err, kept, "open %s", KEPT) : kept;
    if (has_failed_before())
        return cl_refuse(err, EINVAL, "a bare mount namespace can't be kept here: see %s/%s",
                         KEEPER, FAILED);
    CL_CLEANUP_FD int lock = lock_keeper(err);
    if (lock < 0)
        return lock;
    kept = open_kept(); /* another start's, meanwhile */
    if (kept >= 0)
        return kept;
    CL_CLEANUP_FD int mntns = make(err);
    if (mntns < 0)
        return mntns;
    int r = keep(mntns, err);
    if (r == -EINVAL)
        note_failure(lock);
    return r < 0 ? r : CL_TAKE_FD(mntns);
}

/* --- going there and back ------------------------------------------------------------------ */

/* By a pidfd (Linux 6.11) in a fifth of the time that the link in /proc takes. */
static int open_own_namespace(void)
{
    CL_CLEANUP_FD int self = cl_sys_pidfd_open(getpid());
    int r = self < 0 ? self : cl_sys_ioctl_number(self, CL_PIDFD_GET_MNT_NAMESPACE, 0);

    return r >= 0 ? r : cl_sys_openat(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY, 0);
}

static int open_home(struct cl_bare_home *ret)
{
    ret->mntns = open_own_namespace();
    ret->root = cl_sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
    ret->cwd = cl_sys_openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0);
    int r = ret->mntns < 0 ? ret->mntns : ret->root;
    return r < 0 ? r : ret->cwd;
}

static void close_home(struct cl_bare_home *home)
{
    cl_fd_close(&home->mntns);
    cl_fd_close(&home->root);
    cl_fd_close(&home->cwd);
}

int cl_bare_enter(int bare, struct cl_bare_home *ret, struct cl_error *err)
{
    *ret = CL_BARE_HOME_INIT;
    if (bare < 0)
        return 0;
    int r = open_home(ret);
    if (r >= 0)
        r = cl_sys_setns(bare, CLONE_NEWNS);
    if (r >= 0)
        return 0;
    close_home(ret);
    return cl_fail(err, r, "enter the bare mount namespace");
}

/* setns(2) makes the namespace's own root ours; who was started in a chroot goes back to it. */
static int go_home(const struct cl_bare_home *home)
{
    int r = cl_sys_setns(home->mntns, CLONE_NEWNS);

    if (r == 0)
        r = cl_sys_fchdir(home->root);
    if (r == 0)
        r = cl_sys_chroot(".");
    return r < 0 ? r : cl_sys_fchdir(home->cwd);
}

int cl_bare_leave(struct cl_bare_home *home, struct cl_error *err)
{
    if (home->mntns < 0)
        return 0;
    int r = go_home(home);
    if (r < 0)
        r = go_home(home); /* who is stranded finds nothing that its clean-up needs */
    close_home(home);
    return r < 0 ? cl_fail(err, r, "return from the bare mount namespace") : 0;
}
