/* The bare mount namespace: what init's is copied from where nothing of the host is needed
 * in it (root mode, images that are directories). A copy of the host's own has all of its mounts,
 * to be copied at the start (1.1 us each) and to be detached before the command, which waits for an
 * RCU grace period (0.17 ms, in which a processor idles). The bare one has two:
 *
 *   /       an empty, read-only tmpfs with the mount points proc and sys
 *   /proc   of a pid namespace without processes: the kernel mounts a new /proc in a user
 *           namespace only where the mount namespace has one that hides nothing
 *
 * Init puts the new root over "/" and changes its root there: below lies nothing of the
 * host. So no mount of the host was ever in a sandbox's mount namespace.
 *
 * One is made by the first start that needs it, by a helper in new mount and pid
 * namespaces, and kept by a mount of it below /run, as ip-netns(8) keeps its namespaces;
 * where /run is shared, on a tmpfs of our own. It goes with a reboot or `make uninstall`.
 * Where it can't be made or entered, init's mount namespace is a copy of the host's: no
 * layer is lost, only time. So nobody is told why.
 *
 * Whoever changes what is in it counts KEPT up: hosts keep the old one until they reboot.
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
#include <sys/statvfs.h>

#include "base/beside.h"
#include "base/fd.h"
#include "base/hostdir.h"
#include "base/sys.h"
#include "walls/container/container.h"

#define KEEPER "/run/cloister-bare"
#define KEPT KEEPER "/mnt-1"
/* In KEEPER: a link that names the mount namespace in which it could not be kept. */
#define FAILED "failed"

enum { ATTRS = CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV | CL_MOUNT_ATTR_NOEXEC };

/* A tmpfs for a handful of names. */
static int make_tmpfs(const char *mode)
{
    const char *const options[] = {"mode", mode, "size", "4096", "nr_inodes", "8", NULL, NULL};
    struct cl_error unused;

    return cl_fs_make("tmpfs", options, ATTRS, &unused);
}

/* --- the helper that makes one --------------------------------------------------------- */

struct helper {
    int root;  /* the tmpfs; the descriptor table is the caller's too */
    int mntns; /* the namespace */
    int result;
};

struct place {
    uint64_t mount;
    ino_t inode;
};

static int find_root(struct place *ret)
{
    struct cl_statx mount = {0};
    struct stat st;
    int r = cl_sys_statx(AT_FDCWD, "/", 0, CL_STATX_MNT_ID, &mount);

    if (r == 0)
        r = cl_sys_fstatat(AT_FDCWD, "/", &st, 0);
    if (r == 0)
        *ret = (struct place){mount.mount_id, st.st_ino};
    return r;
}

/* That "/" is the namespace's root. In a chroot what follows would part us from the chroot's
 * mount alone, and leave all of the host below the bare root: setns(2), into the namespace
 * that we are in, shows where its root is. */
static int check_root(const struct helper *helper)
{
    struct place ours = {0};
    struct place its = {0};
    int r = find_root(&ours);

    if (r == 0)
        r = cl_sys_setns(helper->mntns, CLONE_NEWNS);
    if (r == 0)
        r = find_root(&its);
    if (r < 0)
        return r;
    return ours.mount == its.mount && ours.inode == its.inode ? 0 : -EXDEV;
}

static int make_root(struct helper *helper)
{
    helper->root = make_tmpfs("0555");
    if (helper->root < 0)
        return helper->root;
    int r = cl_sys_mkdirat(helper->root, "proc", 0555);
    if (r == 0)
        r = cl_sys_mkdirat(helper->root, "sys", 0555);
    return r < 0
               ? r
               : cl_sys_move_mount(helper->root, "", AT_FDCWD, KEEPER, CL_MOVE_MOUNT_F_EMPTY_PATH);
}

static int make_proc(const struct helper *helper)
{
    static const char *const no_options[] = {NULL, NULL};
    struct cl_error unused;
    CL_CLEANUP_FD int proc = cl_fs_make("proc", no_options, ATTRS, &unused);

    return proc < 0 ? proc
                    : cl_sys_move_mount(proc, "", helper->root, "proc", CL_MOVE_MOUNT_F_EMPTY_PATH);
}

static int leave_host(const struct helper *helper)
{
    struct cl_mount_attr attr = {.attr_set = CL_MOUNT_ATTR_RDONLY};
    int r = cl_sys_fchdir(helper->root);

    if (r == 0)
        r = cl_sys_pivot_root(".", ".");
    if (r == 0)
        r = cl_sys_umount2(".", MNT_DETACH);
    return r < 0 ? r : cl_sys_mount_setattr(helper->root, "", CL_AT_EMPTY_PATH, &attr);
}

static int run_helper(void *context)
{
    struct helper *helper = context;

    helper->mntns = cl_sys_openat(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY, 0);
    int r = helper->mntns < 0 ? helper->mntns : check_root(helper);
    if (r == 0)
        r = cl_sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (r == 0)
        r = make_root(helper);
    if (r == 0)
        r = make_proc(helper);
    if (r == 0)
        r = leave_host(helper);
    helper->result = r;
    return r < 0;
}

/* A descriptor of a new bare namespace. */
static int make(void)
{
    struct helper helper = {.root = -1, .mntns = -1};
    struct cl_error unused;
    int r = cl_beside_run("the maker of the bare mount namespace", CLONE_NEWNS | CLONE_NEWPID,
                          run_helper, &helper, &unused);
    CL_CLEANUP_FD int mntns = helper.mntns;

    cl_fd_close(&helper.root);
    if (r != 0)
        return r > 0 ? helper.result : r;
    return CL_TAKE_FD(mntns);
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

/* Puts a private tmpfs over KEEPER, *RET_LOCK on it as KEEPER itself is locked. */
static int cover_keeper(int *ret_lock)
{
    struct cl_mount_attr attr = {.propagation = MS_PRIVATE};
    CL_CLEANUP_FD int tree = make_tmpfs("0700");

    if (tree < 0)
        return tree;
    *ret_lock = cl_sys_openat(tree, ".", O_RDONLY | O_DIRECTORY, 0);
    int r = *ret_lock < 0 ? *ret_lock : cl_sys_flock(*ret_lock, LOCK_EX | LOCK_NB);
    if (r == 0)
        r = cl_sys_move_mount(tree, "", AT_FDCWD, KEEPER, CL_MOVE_MOUNT_F_EMPTY_PATH);
    return r < 0 ? r : cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH, &attr);
}

/* The file that the namespace is mounted on. */
static int make_kept(void)
{
    CL_CLEANUP_FD int file =
        cl_sys_openat(AT_FDCWD, KEPT, O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);

    return file < 0 ? file : 0;
}

/* Unbindable: a copy of /run or of the whole tree, as a volume is or as other programs make
 * them, leaves it out. The kernel lets no younger mount namespace have it (ELOOP). */
static int bind_kept(int mntns)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", mntns);
    int r = cl_sys_mount(path, KEPT, NULL, MS_BIND, NULL);
    if (r < 0)
        return r;
    r = cl_sys_mount(NULL, KEPT, NULL, MS_UNBINDABLE, NULL);
    if (r < 0)
        (void)cl_sys_umount2(KEPT, MNT_DETACH);
    return r;
}

/* EINVAL: what is mounted at KEEPER has peers, which can't have a mount namespace on them; or
 * the kernel takes our namespace for the younger of the two, which may not keep the older. It
 * goes by their numbers, and gives those out by processor (Linux 6.18): only the machine's
 * first namespace is sure to look like the older. */
static int keep(int mntns)
{
    CL_CLEANUP_FD int lock = -1;
    int r = bind_kept(mntns);

    if (r != -EINVAL)
        return r;
    r = cover_keeper(&lock);
    if (r < 0)
        return r;
    r = make_kept();
    if (r == 0)
        r = bind_kept(mntns);
    if (r < 0)
        (void)cl_sys_umount2(KEEPER, MNT_DETACH);
    return r;
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

/* --- the maker's ------------------------------------------------------------------------------ */

/* KEEPER itself, locked against other starts that make one; who comes second doesn't wait for
 * the first, which may be stopped. */
static int lock_keeper(void)
{
    CL_CLEANUP_FD int dir = cl_rootdir_open(KEEPER, 0700, 077);

    if (dir < 0)
        return dir;
    int r = cl_sys_flock(dir, LOCK_EX | LOCK_NB);
    return r < 0 ? r : CL_TAKE_FD(dir);
}

int cl_bare_open(void)
{
    int kept = open_kept();

    if (kept != -ENOENT)
        return kept;
    if (has_failed_before())
        return -EINVAL;
    CL_CLEANUP_FD int lock = lock_keeper();
    if (lock < 0)
        return lock;
    kept = open_kept(); /* another start's, meanwhile */
    if (kept >= 0)
        return kept;
    int r = make_kept(); /* first, because it is cheap: /run may be read-only */
    if (r < 0)
        return r;
    CL_CLEANUP_FD int mntns = make();
    r = mntns < 0 ? mntns : keep(mntns);
    if (r == -EINVAL)
        note_failure(lock);
    return r < 0 ? r : CL_TAKE_FD(mntns);
}

static int open_own_namespace(void)
{
    CL_CLEANUP_FD int self = cl_sys_pidfd_open(getpid());

    return cl_namespace_open(self, CL_PIDFD_GET_MNT_NAMESPACE, AT_FDCWD, "/proc/self/ns/mnt");
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

/* Whatever is kept at KEPT: that its root is one of ours. */
static int is_bare(void)
{
    struct statfs fs;

    return cl_sys_statfs("/", &fs) == 0 && fs.f_type == TMPFS_MAGIC && fs.f_blocks == 1 &&
           (fs.f_flags & ST_RDONLY) != 0;
}

/* setns(2) makes the namespace's own root ours; who was started in a chroot goes back to it.
 * A working directory that can't be gone to any more is missed by nobody. */
static int go_home(const struct cl_bare_home *home)
{
    int r = cl_sys_setns(home->mntns, CLONE_NEWNS);

    if (r == 0)
        r = cl_sys_fchdir(home->root);
    if (r == 0)
        r = cl_sys_chroot(".");
    if (r == 0)
        (void)cl_sys_fchdir(home->cwd);
    return r;
}

int cl_bare_enter(int bare, struct cl_bare_home *ret)
{
    int r = open_home(ret);

    if (r >= 0)
        r = cl_sys_setns(bare, CLONE_NEWNS);
    if (r >= 0 && is_bare())
        return 0;
    if (r >= 0 && go_home(ret) < 0)
        return -EXDEV; /* cl_bare_leave tries again */
    close_home(ret);
    return r < 0 ? r : -EXDEV;
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
