/* Scratch on disk: an ext4 file system in a sparse file, by a loop device.
 *
 * For scratch that is too large for the memory limit (a tmpfs is charged to it). Only
 * root can have it. The file never has a name and the loop device is of the kind that
 * clears itself, so that both go with the last mount however we end: there is nothing
 * to sweep. The file system is made here and nobody else has ever written to it: its
 * bytes aren't hostile. Source: loop(4), mke2fs(8), open(2) on O_TMPFILE.
 */
#include <linux/loop.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/hostdir.h"
#include "base/sys.h"
#include "walls/container/container.h"

enum { LOOP_TRIES = 64, FILE_IN_CHILD = 3, LEAST = 256 << 10 /* of an ext4 with nothing in it */ };

static int make_file(uint64_t size, struct cl_error *err)
{
    CL_CLEANUP_FD int file = cl_hostdir_make_file();

    if (file < 0)
        return cl_fail(err, file, "make a file in " CL_HOSTDIR);
    int r = cl_sys_ftruncate(file, (off_t)size);
    if (r < 0)
        return cl_fail(err, r, "size the file");
    return CL_TAKE_FD(file);
}

static int spawn_mke2fs(int file, pid_t *ret)
{
    /* No journal: what is in it doesn't survive the sandbox. */
    static const char *const argv[] = {
        "mke2fs",
        "-q",
        "-F",
        "-t",
        "ext4",
        "-O",
        "^has_journal,^resize_inode",
        "-E",
        "lazy_itable_init=1,nodiscard,root_owner=0:0",
        "-m",
        "0",
        "-b",
        "4096",
        "-i",
        "8192",
        "/proc/self/fd/3",
        NULL,
    };
    static const char *const envp[] = {"MKE2FS_SYNC=0", NULL};
    static const char *const places[] = CL_MKE2FS_PLACES;
    posix_spawn_file_actions_t actions;
    int r = -posix_spawn_file_actions_init(&actions);

    if (r == 0)
        r = -posix_spawn_file_actions_adddup2(&actions, file, FILE_IN_CHILD);
    for (int fd = 0; r == 0 && fd <= 2; fd++)
        r = -posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(places); i++) {
        r = -posix_spawn(ret, places[i], &actions, NULL, cl_unconst(argv), cl_unconst(envp));
        if (r != -ENOENT)
            break;
        if (i + 1 < CL_ARRAY_SIZE(places))
            r = 0;
    }
    (void)posix_spawn_file_actions_destroy(&actions); /* frees only */
    return r;
}

static int make_ext4(int file, struct cl_error *err)
{
    pid_t pid = 0;
    int status;
    int r = spawn_mke2fs(file, &pid);

    if (r < 0) {
        (void)cl_fail(err, r, "run mke2fs");
        return cl_hint(err, "install e2fsprogs");
    }
    r = cl_sys_wait_for(pid, &status);
    if (r < 0)
        return cl_fail(err, r, "wait for mke2fs");
    if (WIFSIGNALED(status))
        return cl_refuse(err, EIO, "mke2fs was ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return cl_refuse(err, EIO,
                         "mke2fs ended with exit status %d, as it does where " CL_HOSTDIR
                         " is full; make room there (df)",
                         WEXITSTATUS(status));
    return 0;
}

static int try_loop(int control, int file, char path[32], struct cl_error *err)
{
    const struct loop_config config = {
        .fd = (uint32_t)file,
        .info = {.lo_flags = LO_FLAGS_AUTOCLEAR},
    };
    int number = cl_sys_ioctl(control, LOOP_CTL_GET_FREE, NULL);

    if (number < 0)
        return cl_fail(err, number, "find a free loop device");
    (void)snprintf(path, 32, "/dev/loop%d", number);
    CL_CLEANUP_FD int loop = cl_sys_openat(AT_FDCWD, path, O_RDWR, 0);
    if (loop < 0)
        return cl_fail(err, loop, "open %s", path);
    int r = cl_sys_ioctl(loop, LOOP_CONFIGURE, cl_unconst(&config));
    if (r == -EBUSY)
        return r; /* somebody else was first */
    return r < 0 ? cl_fail(err, r, "configure %s", path) : CL_TAKE_FD(loop);
}

/* A loop device on FILE; *PATH is its name. */
static int make_loop(int file, char path[32], struct cl_error *err)
{
    int r = -EBUSY;
    CL_CLEANUP_FD int control = cl_sys_openat(AT_FDCWD, "/dev/loop-control", O_RDWR, 0);

    if (control < 0) {
        (void)cl_fail(err, control, "open /dev/loop-control");
        return cl_hint(err, "scratch on disk needs loop devices");
    }
    for (int i = 0; r == -EBUSY && i < LOOP_TRIES; i++)
        r = try_loop(control, file, path, err);
    return r == -EBUSY ? cl_fail(err, r, "find a free loop device") : r;
}

static int make_scratch(const struct cl_container *container, uint64_t size, struct cl_error *err)
{
    char path[32];
    CL_CLEANUP_FD int file = make_file(size, err);

    if (file < 0)
        return file;
    int r = make_ext4(file, err);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int loop = make_loop(file, path, err);
    if (loop < 0)
        return loop;
    const char *options[] = {"source", path, "nodiscard", NULL, "nobarrier", NULL, NULL, NULL};
    return cl_fs_make_own(
        container, "ext4", options,
        cl_mount_attrs(container->plan, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV), err);
}

int cl_disk_scratch_make(const struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    const uint64_t size = cl_scratch_bytes(plan);

    if (size < LEAST)
        return cl_refuse(err, EINVAL,
                         "the sizes of --tmpfs and --shm-size leave too little of --disk for "
                         "scratch on disk, which needs 256 KiB");
    int r = make_scratch(container, size, err);
    if (r < 0 && plan->scratch == CL_SCRATCH_DISK) /* and not for an overlay's sake */
        return cl_hint(err, "a --disk of at most half of --memory needs no disk");
    return r;
}
