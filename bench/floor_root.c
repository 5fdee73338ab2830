/* The mounts of floor; see floor.h. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* From linux/mount.h, which musl's sys/mount.h does not go with. */
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x4
#define MOVE_MOUNT_T_EMPTY_PATH 0x40
#endif
#ifndef FSOPEN_CLOEXEC
#define FSOPEN_CLOEXEC 1
#define FSMOUNT_CLOEXEC 1
#define FSCONFIG_SET_STRING 1
#define FSCONFIG_SET_FD 5
#define FSCONFIG_CMD_CREATE 6
#define MOUNT_ATTR_RDONLY 0x1
#define MOUNT_ATTR_NOSUID 0x2
#define MOUNT_ATTR_NODEV 0x4
#define MOUNT_ATTR_NOEXEC 0x8
#endif
#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x100000
#endif

struct floor_mount_attr {
    uint64_t attr_set;
    uint64_t attr_clr;
    uint64_t propagation;
    uint64_t userns_fd;
};

struct device {
    const char *name;
    unsigned major;
    unsigned minor;
};

static const struct device devices[] = {
    {"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
    {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};
enum { DEVICE_COUNT = sizeof(devices) / sizeof(devices[0]) };

/* Targets of --masks in turn: files by a bind of /dev/null, as runtimes do. */
static const char *const mask_paths[] = {
    "/proc/kcore",      "/proc/keys",     "/proc/timer_list", "/proc/sysrq-trigger",
    "/proc/interrupts", "/proc/kallsyms", "/proc/kmsg",       "/proc/modules",
    "/proc/iomem",      "/proc/ioports",  "/proc/version",    "/proc/devices",
    "/proc/crypto",     "/proc/slabinfo", "/proc/vmstat",     "/proc/zoneinfo",
    "/proc/softirqs",   "/proc/swaps",    "/proc/buddyinfo",  "/proc/consoles",
};
enum { MASK_PATH_COUNT = sizeof(mask_paths) / sizeof(mask_paths[0]) };

static int tree_clone(const char *path)
{
    return (int)floor_must(
        syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), path);
}

static void tree_attach(int fd, const char *path)
{
    floor_must(syscall(SYS_move_mount, fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH), path);
    (void)close(fd);
}

/* Private: where the host's mounts are shared, as systemd has them, so is a clone, and what is
 * mounted on it would appear on the host too. */
static void tree_set(int fd, uint64_t attr_set, int userns_fd)
{
    struct floor_mount_attr attr = {.attr_set = attr_set,
                                    .propagation = MS_PRIVATE,
                                    .userns_fd = userns_fd >= 0 ? (uint64_t)userns_fd : 0};
    if (userns_fd >= 0) {
        attr.attr_set |= MOUNT_ATTR_IDMAP;
    }
    floor_must(syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)),
               "mount_setattr");
}

static int fs_open(const char *type)
{
    return (int)floor_must(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC), type);
}

static void fs_set(int fs_fd, const char *key, const char *value)
{
    floor_must(syscall(SYS_fsconfig, fs_fd, FSCONFIG_SET_STRING, key, value, 0), key);
}

static int fs_mount(int fs_fd, unsigned attr, const char *what)
{
    floor_must(syscall(SYS_fsconfig, fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0), what);
    int fd = (int)floor_must(syscall(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC, attr), what);
    (void)close(fs_fd);
    return fd;
}

static int overlay_make(int lower_fd)
{
    int scratch_fs = fs_open("tmpfs");
    fs_set(scratch_fs, "size", "268435456");
    int scratch_fd = fs_mount(scratch_fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, "tmpfs");
    floor_must(mkdirat(scratch_fd, "up", 0755), "up");
    floor_must(mkdirat(scratch_fd, "work", 0755), "work");
    floor_must(fchownat(scratch_fd, "up", FLOOR_UID_BASE, FLOOR_UID_BASE, 0), "chown up");
    int upper_fd = (int)floor_must(openat(scratch_fd, "up", O_PATH | O_CLOEXEC), "up");
    int work_fd = (int)floor_must(openat(scratch_fd, "work", O_PATH | O_CLOEXEC), "work");
    int fs_fd = fs_open("overlay");
    floor_must(syscall(SYS_fsconfig, fs_fd, FSCONFIG_SET_FD, "lowerdir+", NULL, lower_fd),
               "lowerdir+");
    floor_must(syscall(SYS_fsconfig, fs_fd, FSCONFIG_SET_FD, "upperdir", NULL, upper_fd),
               "upperdir");
    floor_must(syscall(SYS_fsconfig, fs_fd, FSCONFIG_SET_FD, "workdir", NULL, work_fd), "workdir");
    int fd = fs_mount(fs_fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, "overlay");
    (void)close(upper_fd);
    (void)close(work_fd);
    (void)close(scratch_fd);
    (void)close(lower_fd);
    return fd;
}

/* A tmpfs of the first user namespace: its device nodes can be opened inside. */
static int dev_make_tmpfs(void)
{
    int fs_fd = fs_open("tmpfs");
    fs_set(fs_fd, "mode", "755");
    int fd = fs_mount(fs_fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "tmpfs");
    for (size_t i = 0; i < DEVICE_COUNT; i++) {
        dev_t number = makedev(devices[i].major, devices[i].minor);
        floor_must(mknodat(fd, devices[i].name, S_IFCHR | 0666, number), devices[i].name);
    }
    floor_must(mkdirat(fd, "pts", 0755), "pts");
    floor_must(mkdirat(fd, "shm", 0755), "shm");
    return fd;
}

void floor_root_prepare(const struct floor_options *options, int userns_fd,
                        struct floor_trees *ret_trees)
{
    ret_trees->root_fd = -1;
    ret_trees->dev_fd = -1;
    if (!options->mounts) {
        return;
    }
    if (options->root != ROOT_BIND) {
        int fd = tree_clone(options->root_path);
        bool idmap = options->root == ROOT_IDMAP || options->root == ROOT_OVERLAY;
        tree_set(fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, idmap ? userns_fd : -1);
        floor_stamp_parent("root_tree");
        if (options->root == ROOT_OVERLAY) {
            fd = overlay_make(fd);
            floor_stamp_parent("overlay");
        }
        ret_trees->root_fd = fd;
    }
    if (options->dev == DEV_TEMPLATE) {
        ret_trees->dev_fd = tree_clone(options->dev_path);
        tree_set(ret_trees->dev_fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, -1);
        floor_stamp_parent("dev_tree");
    } else if (options->dev == DEV_TMPFS_MKNOD) {
        ret_trees->dev_fd = dev_make_tmpfs();
        floor_stamp_parent("dev_tree");
    }
}

/* A tmpfs whose six nodes are binds of the host's, made before the pivot. */
static void dev_bind(const char *target)
{
    char path[128];
    char source[32];
    floor_must(mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755"), target);
    for (size_t i = 0; i < DEVICE_COUNT; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", target, devices[i].name);
        (void)snprintf(source, sizeof(source), "/dev/%s", devices[i].name);
        (void)close((int)floor_must(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666), path));
        floor_must(mount(source, path, NULL, MS_BIND, NULL), path);
    }
    (void)snprintf(path, sizeof(path), "%s/pts", target);
    floor_must(mkdir(path, 0755), path);
    (void)snprintf(path, sizeof(path), "%s/shm", target);
    floor_must(mkdir(path, 0755), path);
}

static void mount_dev(const struct floor_options *options, const struct floor_trees *trees)
{
    if (options->dev == DEV_BINDS) {
        dev_bind("dev");
    } else if (trees->dev_fd >= 0) {
        tree_attach(trees->dev_fd, "dev");
    }
    if (options->dev != DEV_NONE) {
        floor_stamp_child("dev");
    }
    if (options->devpts) {
        floor_must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                         "newinstance,ptmxmode=0666,mode=0620"),
                   "dev/pts");
        floor_stamp_child("devpts");
    }
    if (options->shm) {
        floor_must(mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                         "mode=1777,size=67108864"),
                   "dev/shm");
        floor_stamp_child("shm");
    }
}

static void mount_masks(unsigned count)
{
    unsigned done = 0;
    for (unsigned i = 0; done < count && i < MASK_PATH_COUNT; i++) {
        const char *path = mask_paths[i] + 1; /* relative to the new root */
        if (mount("/dev/null", path, NULL, MS_BIND, NULL) == 0) {
            done++;
        } else if (errno != ENOENT) { /* which of these files exist depends on the kernel */
            floor_die(path);
        }
    }
    if (done < count) {
        errno = ENOENT;
        floor_die("--masks");
    }
    if (count > 0) {
        floor_stamp_child("masks");
    }
}

static void mount_tmpfs(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        floor_must(mount("tmp", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=67108864"),
                   "tmp");
    }
    if (count > 0) {
        floor_stamp_child("tmpfs");
    }
}

void floor_root_enter(const struct floor_options *options, const struct floor_trees *trees)
{
    if (!options->mounts) {
        return;
    }
    floor_must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private propagation");
    floor_stamp_child("private");
    if (trees->root_fd >= 0) {
        tree_attach(trees->root_fd, options->root_path);
    } else {
        floor_must(mount(options->root_path, options->root_path, NULL, MS_BIND, NULL), "bind root");
    }
    floor_must(chdir(options->root_path), options->root_path);
    floor_stamp_child("root");
    if (options->proc) {
        floor_must(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
        floor_stamp_child("proc");
    }
    mount_tmpfs(options->tmpfs_count);
    mount_dev(options, trees);
    mount_masks(options->mask_count);
    floor_must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    floor_stamp_child("pivot");
    floor_must(umount2(".", MNT_DETACH), "umount the old root");
    floor_must(chdir("/"), "chdir /");
    floor_stamp_child("umount_old");
}
