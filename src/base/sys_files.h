/* sys_files.h - the calls on files and mounts: base/sys.h's own. */
#ifndef CL_BASE_SYS_FILES_H
#define CL_BASE_SYS_FILES_H

#include "base/sys_call.h"

/* --- files ------------------------------------------------------------- */

static inline int cl_sys_openat(int dirfd, const char *path, int flags, mode_t mode)
{
    return (int)CL_SYS4(SYS_openat, dirfd, path, flags | O_CLOEXEC, mode);
}

static inline int cl_sys_openat2(int dirfd, const char *path, const struct cl_open_how *how)
{
    return (int)CL_SYS4(SYS_openat2, dirfd, path, how, sizeof(*how));
}

static inline ssize_t cl_sys_read(int fd, void *data, size_t size)
{
    return (ssize_t)CL_SYS3(SYS_read, fd, data, size);
}

static inline ssize_t cl_sys_write(int fd, const void *data, size_t size)
{
    return (ssize_t)CL_SYS3(SYS_write, fd, data, size);
}

static inline ssize_t cl_sys_writev(int fd, const struct iovec *parts, int count)
{
    return CL_SYS3(SYS_writev, fd, parts, count);
}

static inline ssize_t cl_sys_readv(int fd, const struct iovec *parts, int count)
{
    return CL_SYS3(SYS_readv, fd, parts, count);
}

/* OFFSET is one argument where a long has 64 bits; the kernel adds the next above it. */
static inline ssize_t cl_sys_preadv(int fd, const struct iovec *parts, int count, off_t offset)
{
    return CL_SYS5(SYS_preadv, fd, parts, count, offset, 0);
}

static inline ssize_t cl_sys_pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return CL_SYS5(SYS_pwritev, fd, parts, count, offset, 0);
}

static inline ssize_t cl_sys_pread(int fd, void *data, size_t size, off_t offset)
{
    return (ssize_t)CL_SYS4(SYS_pread64, fd, data, size, offset);
}

static inline ssize_t cl_sys_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return (ssize_t)CL_SYS4(SYS_pwrite64, fd, data, size, offset);
}

static inline int cl_sys_madvise(void *start, size_t size, int advice)
{
    return (int)CL_SYS3(SYS_madvise, start, size, advice);
}

static inline off_t cl_sys_lseek(int fd, off_t offset, int whence)
{
    return (off_t)CL_SYS3(SYS_lseek, fd, offset, whence);
}

static inline int cl_sys_mkdirat(int dirfd, const char *path, mode_t mode)
{
    return (int)CL_SYS3(SYS_mkdirat, dirfd, path, mode);
}

static inline int cl_sys_mknodat(int dirfd, const char *path, mode_t mode, dev_t dev)
{
    return (int)CL_SYS4(SYS_mknodat, dirfd, path, mode, dev);
}

static inline int cl_sys_symlinkat(const char *target, int dirfd, const char *path)
{
    return (int)CL_SYS3(SYS_symlinkat, target, dirfd, path);
}

static inline ssize_t cl_sys_readlinkat(int dirfd, const char *path, char *text, size_t size)
{
    return (ssize_t)CL_SYS4(SYS_readlinkat, dirfd, path, text, size);
}

static inline int cl_sys_unlinkat(int dirfd, const char *path, int flags)
{
    return (int)CL_SYS3(SYS_unlinkat, dirfd, path, flags);
}

/* A second name for the file FROM, or with an empty name (AT_EMPTY_PATH) for a descriptor. */
static inline int cl_sys_linkat(int from_dir, const char *from, int to_dir, const char *to,
                                int flags)
{
    return (int)CL_SYS5(SYS_linkat, from_dir, from, to_dir, to, flags);
}

static inline int cl_sys_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return (int)CL_SYS5(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

static inline int cl_sys_fchown(int fd, uid_t uid, gid_t gid)
{
    return (int)CL_SYS3(SYS_fchown, fd, uid, gid);
}

static inline int cl_sys_fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags)
{
    return (int)CL_SYS5(SYS_fchownat, dirfd, path, uid, gid, flags);
}

static inline int cl_sys_fchmod(int fd, mode_t mode)
{
    return (int)CL_SYS2(SYS_fchmod, fd, mode);
}

/* Follows a symbolic link: the kernel's call has no flags. */
static inline int cl_sys_fchmodat(int dirfd, const char *path, mode_t mode)
{
    return (int)CL_SYS3(SYS_fchmodat, dirfd, path, mode);
}

/* Times of access and of change; PATH NULL: of DIRFD itself. The C library's struct timespec is
 * the kernel's where both have 64 bits. */
static inline int cl_sys_utimensat(int dirfd, const char *path, const struct timespec times[2],
                                   int flags)
{
    return (int)CL_SYS4(SYS_utimensat, dirfd, path, times, flags);
}

/* Into the pipe TO what the pipe FROM has: at least a byte, or 0 at its end. */
static inline ssize_t cl_sys_tee(int from, int to, size_t size)
{
    return CL_SYS4(SYS_tee, from, to, size, 0);
}

/* Begins to write out what is dirty from OFFSET to the file's end, and waits for nothing. */
static inline int cl_sys_sync_file_range(int fd, off_t offset)
{
    return (int)CL_SYS4(SYS_sync_file_range, fd, offset, 0, SYNC_FILE_RANGE_WRITE);
}

/* Both times of the file become now. */
static inline int cl_sys_futimens_now(int fd)
{
    return (int)CL_SYS4(SYS_utimensat, fd, NULL, NULL, 0);
}

/* Returns where a filter refuses it. */
static inline int cl_sys_exit_group(int status)
{
    return (int)CL_SYS1(SYS_exit_group, status);
}

static inline mode_t cl_sys_umask(mode_t mask)
{
    return (mode_t)CL_SYS1(SYS_umask, mask);
}

static inline int cl_sys_ftruncate(int fd, off_t size)
{
    return (int)CL_SYS2(SYS_ftruncate, fd, size);
}

static inline int cl_sys_fallocate(int fd, off_t offset, off_t size)
{
    return (int)CL_SYS4(SYS_fallocate, fd, 0, offset, size);
}

/* ADVICE is POSIX_FADV_*; SIZE 0 is all from OFFSET. */
static inline int cl_sys_fadvise(int fd, off_t offset, off_t size, int advice)
{
    return (int)CL_SYS4(SYS_fadvise64, fd, offset, size, advice);
}

static inline int cl_sys_fsync(int fd)
{
    return (int)CL_SYS1(SYS_fsync, fd);
}

static inline int cl_sys_fdatasync(int fd)
{
    return (int)CL_SYS1(SYS_fdatasync, fd);
}

static inline ssize_t cl_sys_getxattr(const char *path, const char *name, void *value, size_t size)
{
    return CL_SYS4(SYS_getxattr, path, name, value, size);
}

static inline ssize_t cl_sys_fgetxattr(int fd, const char *name, void *value, size_t size)
{
    return CL_SYS4(SYS_fgetxattr, fd, name, value, size);
}

static inline int cl_sys_faccessat(int dirfd, const char *path, int mode)
{
    return (int)CL_SYS3(SYS_faccessat, dirfd, path, mode);
}

/* fstat and friends go through libc: the kernel's struct stat differs from its. */
int cl_sys_fstat(int fd, struct stat *ret);
int cl_sys_fstatat(int dirfd, const char *path, struct stat *ret, int flags);
int cl_sys_fstatfs(int fd, struct statfs *ret);
int cl_sys_statfs(const char *path, struct statfs *ret);

static inline ssize_t cl_sys_getdents64(int fd, void *data, size_t size)
{
    return (ssize_t)CL_SYS3(SYS_getdents64, fd, data, size);
}

static inline int cl_sys_eventfd(void)
{
    return (int)CL_SYS2(SYS_eventfd2, 0, O_CLOEXEC | O_NONBLOCK);
}

static inline int cl_sys_inotify_init(void)
{
    return (int)CL_SYS1(SYS_inotify_init1, O_CLOEXEC | O_NONBLOCK);
}

static inline int cl_sys_inotify_add(int fd, const char *path, uint32_t mask)
{
    return (int)CL_SYS3(SYS_inotify_add_watch, fd, path, mask);
}

static inline int cl_sys_flock(int fd, int operation)
{
    return (int)CL_SYS2(SYS_flock, fd, operation);
}

static inline int cl_sys_fcntl(int fd, int command, long arg)
{
    return (int)CL_SYS3(SYS_fcntl, fd, command, arg);
}

static inline int cl_sys_fcntl_lock(int fd, int command, struct flock *lock)
{
    return (int)CL_SYS3(SYS_fcntl, fd, command, lock);
}

static inline int cl_sys_dup3(int from, int to, int flags)
{
    return (int)CL_SYS3(SYS_dup3, from, to, flags);
}

static inline int cl_sys_pipe2(int ret_fds[2], int flags)
{
    return (int)CL_SYS2(SYS_pipe2, ret_fds, flags | O_CLOEXEC);
}

static inline ssize_t cl_sys_sendfile(int out, int in, size_t size)
{
    return (ssize_t)CL_SYS4(SYS_sendfile, out, in, NULL, size);
}

/* SIZE zeroed bytes that this process shares with those it clones: 0 and *RET, or -errno. */
int cl_sys_mmap_shared(size_t size, void **ret);

static inline int cl_sys_memfd_create(const char *name, unsigned int flags)
{
    return (int)CL_SYS2(SYS_memfd_create, name, flags);
}

static inline int cl_sys_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
    return (int)CL_SYS3(SYS_close_range, first, last, flags);
}

/* For requests whose argument is a number. */
static inline int cl_sys_ioctl_number(int fd, unsigned long request, unsigned long number)
{
    return (int)CL_SYS3(SYS_ioctl, fd, request, number);
}

static inline int cl_sys_ioctl(int fd, unsigned long request, void *arg)
{
    return (int)CL_SYS3(SYS_ioctl, fd, request, arg);
}

static inline int cl_sys_chdir(const char *path)
{
    return (int)CL_SYS1(SYS_chdir, path);
}

/* What begins with no "/" can't be reached from the root (getcwd(2)). */
static inline int cl_sys_getcwd(char *ret, size_t size)
{
    return (int)CL_SYS2(SYS_getcwd, ret, size);
}

static inline int cl_sys_fchdir(int fd)
{
    return (int)CL_SYS1(SYS_fchdir, fd);
}

/* --- mounts ------------------------------------------------------------ */

static inline int cl_sys_mount(const char *source, const char *target, const char *type,
                               unsigned long flags, const char *data)
{
    return (int)CL_SYS5(SYS_mount, source, target, type, flags, data);
}

static inline int cl_sys_umount2(const char *target, int flags)
{
    return (int)CL_SYS2(SYS_umount2, target, flags);
}

static inline int cl_sys_statx(int dirfd, const char *path, int flags, unsigned int mask,
                               struct cl_statx *ret)
{
    return (int)CL_SYS5(SYS_statx, dirfd, path, flags, mask, ret);
}

static inline int cl_sys_chroot(const char *path)
{
    return (int)CL_SYS1(SYS_chroot, path);
}

static inline int cl_sys_pivot_root(const char *new_root, const char *put_old)
{
    return (int)CL_SYS2(SYS_pivot_root, new_root, put_old);
}

static inline int cl_sys_open_tree(int dirfd, const char *path, unsigned int flags)
{
    return (int)CL_SYS3(SYS_open_tree, dirfd, path, flags);
}

static inline int cl_sys_move_mount(int from, const char *from_path, int to, const char *to_path,
                                    unsigned int flags)
{
    return (int)CL_SYS5(SYS_move_mount, from, from_path, to, to_path, flags);
}

static inline int cl_sys_fsetxattr(int fd, const char *name, const void *value, size_t size)
{
    return (int)CL_SYS5(SYS_fsetxattr, fd, name, value, size, 0);
}

static inline int cl_sys_mount_setattr(int fd, const char *path, unsigned int flags,
                                       const struct cl_mount_attr *attr)
{
    return (int)CL_SYS5(SYS_mount_setattr, fd, path, flags, attr, sizeof(*attr));
}

static inline int cl_sys_fsopen(const char *type, unsigned int flags)
{
    return (int)CL_SYS2(SYS_fsopen, type, flags);
}

static inline int cl_sys_fsconfig(int fd, unsigned int command, const char *key, const void *value,
                                  int aux)
{
    return (int)CL_SYS5(SYS_fsconfig, fd, command, key, value, aux);
}

static inline int cl_sys_fsmount(int fd, unsigned int flags, unsigned int attributes)
{
    return (int)CL_SYS3(SYS_fsmount, fd, flags, attributes);
}

#endif
