/* sys_abi.h - kernel interface constants and layouts that the headers of the build
 * host (Linux 6.1 on Debian 12) may lack, or that clash with a C library's.
 *
 * Facts of the kernel's user interface: include/uapi/linux/{openat2,mount,sched,
 * landlock,capability,resource}.h; each names the version that brought it.
 */
#ifndef CL_BASE_SYS_ABI_H
#define CL_BASE_SYS_ABI_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>

/* What poll(3) asks the kernel for: aarch64 has ppoll(2) alone. */
#ifdef SYS_poll
enum { CL_SYS_POLL = SYS_poll };
#else
enum { CL_SYS_POLL = SYS_ppoll };
#endif

/* openat2(2), Linux 5.6 */
struct cl_open_how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};
enum {
    CL_RESOLVE_NO_XDEV = 0x01,
    CL_RESOLVE_NO_MAGICLINKS = 0x02,
    CL_RESOLVE_NO_SYMLINKS = 0x04,
    CL_RESOLVE_BENEATH = 0x08,
    CL_RESOLVE_IN_ROOT = 0x10,
};

/* open_tree(2), move_mount(2), fsopen(2), fsmount(2), Linux 5.2 */
enum {
    CL_OPEN_TREE_CLONE = 1,
    CL_OPEN_TREE_CLOEXEC = O_CLOEXEC,
    CL_AT_RECURSIVE = 0x8000,
    CL_AT_EMPTY_PATH = 0x1000,
    CL_MOVE_MOUNT_F_EMPTY_PATH = 0x04,
    CL_MOVE_MOUNT_T_EMPTY_PATH = 0x40,
    CL_FSOPEN_CLOEXEC = 1,
    CL_FSMOUNT_CLOEXEC = 1,
    CL_FSCONFIG_SET_FLAG = 0,
    CL_FSCONFIG_SET_STRING = 1,
    CL_FSCONFIG_CMD_CREATE = 6,
};

/* mount_setattr(2), Linux 5.12 */
struct cl_mount_attr {
    uint64_t attr_set;
    uint64_t attr_clr;
    uint64_t propagation;
    uint64_t userns_fd;
};
enum {
    CL_MOUNT_ATTR_RDONLY = 0x01,
    CL_MOUNT_ATTR_NOSUID = 0x02,
    CL_MOUNT_ATTR_NODEV = 0x04,
    CL_MOUNT_ATTR_NOEXEC = 0x08,
    CL_MOUNT_ATTR_IDMAP = 0x00100000,
};

/* statx(2), Linux 4.11; of its answer we read which mount it is about, and whether that
 * begins there (5.8) */
struct cl_statx {
    uint32_t mask;
    uint32_t block_size;
    uint64_t attributes;
    uint32_t others[32];
    uint64_t mount_id;
    uint64_t spare[13];
};
_Static_assert(sizeof(struct cl_statx) == 256, "the kernel writes 256 bytes");
enum { CL_STATX_MNT_ID = 0x1000, CL_STATX_ATTR_MOUNT_ROOT = 0x2000 };

/* What is asked of a kernel's Landlock at least: ABI 2 (Linux 5.19); without `refer`, no file
 * could be moved between two directories */
enum { CL_LANDLOCK_LEAST_ABI = 2 };

/* ioctls of a pidfd, Linux 6.11 (linux/pidfd.h): a descriptor of one of its namespaces */
enum { CL_PIDFD_GET_MNT_NAMESPACE = 0xff03, CL_PIDFD_GET_USER_NAMESPACE = 0xff09 };

/* clone3(2), Linux 5.3; cgroup 5.7 */
struct cl_clone_args {
    uint64_t flags;
    uint64_t pidfd;
    uint64_t child_tid;
    uint64_t parent_tid;
    uint64_t exit_signal;
    uint64_t stack;
    uint64_t stack_size;
    uint64_t tls;
    uint64_t set_tid;
    uint64_t set_tid_size;
    uint64_t cgroup;
};
#define CL_CLONE_INTO_CGROUP 0x200000000ULL

/* capset(2), version 3 */
struct cl_cap_header {
    uint32_t version;
    int32_t pid;
};
struct cl_cap_data {
    uint32_t effective;
    uint32_t permitted;
    uint32_t inheritable;
};
#define CL_CAP_VERSION_3 0x20080522U

struct cl_rlimit64 {
    uint64_t cur;
    uint64_t max;
};
#define CL_RLIM_INFINITY UINT64_MAX

/* sched_setattr(2), Linux 3.14 */
struct cl_sched_attr {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns;
    uint64_t deadline_ns;
    uint64_t period_ns;
};

/* ioprio_set(2) */
enum { CL_IOPRIO_WHO_PROCESS = 1, CL_IOPRIO_CLASS_SHIFT = 13, CL_IOPRIO_CLASS_RT = 1 };

/* landlock(7): ABI 1 Linux 5.13, 2 (refer) 5.19, 3 (truncate) 6.2, 4 (net) 6.7,
 * 5 (ioctl on devices) 6.10, 6 (scopes) 6.12 */
struct cl_landlock_ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};
struct cl_landlock_path_beneath {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));
enum {
    CL_LANDLOCK_CREATE_RULESET_VERSION = 1,
    CL_LANDLOCK_RULE_PATH_BENEATH = 1,
    CL_LANDLOCK_SCOPE_ABSTRACT_UNIX = 1,
    CL_LANDLOCK_SCOPE_SIGNAL = 2,
};
enum {
    CL_LANDLOCK_FS_EXECUTE = 1 << 0,
    CL_LANDLOCK_FS_WRITE_FILE = 1 << 1,
    CL_LANDLOCK_FS_READ_FILE = 1 << 2,
    CL_LANDLOCK_FS_READ_DIR = 1 << 3,
    CL_LANDLOCK_FS_REMOVE_DIR = 1 << 4,
    CL_LANDLOCK_FS_REMOVE_FILE = 1 << 5,
    CL_LANDLOCK_FS_MAKE_CHAR = 1 << 6,
    CL_LANDLOCK_FS_MAKE_DIR = 1 << 7,
    CL_LANDLOCK_FS_MAKE_REG = 1 << 8,
    CL_LANDLOCK_FS_MAKE_SOCK = 1 << 9,
    CL_LANDLOCK_FS_MAKE_FIFO = 1 << 10,
    CL_LANDLOCK_FS_MAKE_BLOCK = 1 << 11,
    CL_LANDLOCK_FS_MAKE_SYM = 1 << 12,
    CL_LANDLOCK_FS_REFER = 1 << 13,
    CL_LANDLOCK_FS_TRUNCATE = 1 << 14,
    CL_LANDLOCK_FS_IOCTL_DEV = 1 << 15,
};

#endif
