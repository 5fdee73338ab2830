/* probe_process.c - probes that change the process which tries: each runs in a forked
 * child, whose exit status is the errno of what failed, and which has five seconds. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/apparmor.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloister/probe.h"

enum { CHILD_SECONDS = 5 };

static int wait_for(pid_t child)
{
    int status = 0;
    int r = cl_sys_wait_for(child, &status);

    if (r < 0)
        return r;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGALRM ? -ETIMEDOUT : -EINTR;
    return -WEXITSTATUS(status);
}

/* FN's -errno, or 0. */
static int try_in_child(int (*fn)(void))
{
    pid_t child = fork();

    if (child < 0)
        return -errno;
    if (child == 0) {
        (void)alarm(CHILD_SECONDS);
        _exit(-fn() & 0xff);
    }
    return wait_for(child);
}

/* --- user namespaces ------------------------------------------------------ */

/* Maps the only ids there are to UID and GID; a child of our own, so /proc/self is right. */
static int map_self(uid_t uid, gid_t gid)
{
    char map[64];
    int r = cl_write_file(AT_FDCWD, "/proc/self/setgroups", "deny");

    (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned int)uid);
    if (r == 0 || r == -ENOENT)
        r = cl_write_file(AT_FDCWD, "/proc/self/uid_map", map);
    (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned int)gid);
    return r < 0 ? r : cl_write_file(AT_FDCWD, "/proc/self/gid_map", map);
}

static int enter(unsigned long namespaces)
{
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    int r = cl_sys_unshare(CLONE_NEWUSER | namespaces);

    return r < 0 ? r : map_self(uid, gid);
}

/* A restricted namespace can be made but gives no capability: a mount shows it. */
static int private_tmpfs(void)
{
    int r = enter(CLONE_NEWNS);

    if (r == 0)
        r = cl_sys_mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m");
    return r;
}

/* The settings that refuse user namespaces, with the value that does it. */
static const struct {
    const char *path;
    const char *name;
    const char *refusing;
    const char *cure;
} settings[] = {
    {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
     "kernel.apparmor_restrict_unprivileged_userns", "1",
     "as root: apparmor_parser -r " CL_APPARMOR_USERNS
     ", or sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
    {"/proc/sys/kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone", "0",
     "as root: sysctl kernel.unprivileged_userns_clone=1"},
    {"/proc/sys/user/max_user_namespaces", "user.max_user_namespaces", "0",
     "as root: sysctl user.max_user_namespaces=10000"},
};

static void explain_userns(struct cl_finding *finding, int r)
{
    char value[32];

    cl_found(finding, CL_PROBE_MISSING, "%s", strerror(-r));
    for (size_t i = 0; i < CL_ARRAY_SIZE(settings); i++) {
        cl_probe_read(settings[i].path, value, sizeof(value));
        if (strcmp(value, settings[i].refusing) != 0)
            continue;
        cl_found(finding, CL_PROBE_MISSING, "%s is %s", settings[i].name, value);
        cl_cure(finding, "%s", settings[i].cure);
        return;
    }
    if (r == -EINVAL)
        cl_cure(finding, "use a kernel with CONFIG_USER_NS");
    else if (r == -ENOSPC || r == -EUSERS)
        cl_cure(finding, "there are too many: raise the limits of /proc/sys/user/");
    else
        cl_cure(finding, "inside another container, allow it to make user namespaces");
}

void cl_probe_userns(struct cl_finding *finding)
{
    int r = try_in_child(private_tmpfs);

    if (r == 0)
        cl_found(finding, CL_PROBE_WORKS, "root inside is nobody outside");
    else
        explain_userns(finding, r);
}

/* --- what is made in one -------------------------------------------------- */

static int try_namespaces(void)
{
    return enter(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                 CLONE_NEWCGROUP);
}

void cl_probe_namespaces(struct cl_finding *finding)
{
    int r = try_in_child(try_namespaces);

    if (r == 0) {
        cl_found(finding, CL_PROBE_WORKS, "pid, mount, net, ipc, uts, cgroup");
        return;
    }
    cl_found(finding, CL_PROBE_MISSING, "%s", strerror(-r));
    cl_cure(finding, "see /proc/sys/user/max_*_namespaces");
}

static int try_overlay(void)
{
    static const char *const dirs[] = {"/tmp/lower", "/tmp/upper", "/tmp/work", "/tmp/merged"};
    int r = private_tmpfs();

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(dirs); i++)
        r = cl_sys_mkdirat(AT_FDCWD, dirs[i], 0755);
    return r < 0 ? r
                 : cl_sys_mount("overlay", "/tmp/merged", "overlay", 0,
                                "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work,"
                                "userxattr");
}

/* A tmpfs takes user.* attributes since Linux 6.6. */
static int try_marks(void)
{
    int r = private_tmpfs();

    if (r < 0)
        return r;
    return setxattr("/tmp", "user.mark", "", 0, 0) < 0 ? -errno : 0;
}

void cl_probe_overlay(struct cl_finding *finding)
{
    int r = try_in_child(try_overlay);

    if (r == 0 && try_in_child(try_marks) == -EOPNOTSUPP) {
        cl_found(finding, CL_PROBE_WORKS,
                 geteuid() == 0 ? "copy-on-write over an image, on disk (before Linux 6.6)"
                                : "copy-on-write, but directories of the image can't be removed "
                                  "nor new ones renamed (before Linux 6.6; as root they can)");
        return;
    }
    if (r == 0) {
        cl_found(finding, CL_PROBE_WORKS, "copy-on-write over an image");
        return;
    }
    cl_found(finding, CL_PROBE_MISSING, "overlay in a user namespace: %s", strerror(-r));
    if (r == -ENODEV)
        cl_cure(finding, "as root: modprobe overlay");
}

static int mount_proc(void)
{
    return cl_sys_mount("proc", "/tmp", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

/* The first child after unshare is the namespace's pid 1, whose /proc it is. */
static int try_procfs(void)
{
    int r = enter(CLONE_NEWPID | CLONE_NEWNS);

    return r < 0 ? r : try_in_child(mount_proc);
}

void cl_probe_procfs(struct cl_finding *finding)
{
    int r = try_in_child(try_procfs);

    if (r == 0) {
        cl_found(finding, CL_PROBE_WORKS, "a /proc of its own");
        return;
    }
    cl_found(finding, CL_PROBE_MISSING, "/proc can't be mounted: %s", strerror(-r));
    cl_cure(finding, "the kernel refuses it where parts of this /proc are covered, as in other "
                     "containers: start that container with an unmasked /proc");
}

static int try_seccomp(void)
{
    struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {1, &code};
    int r = cl_sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);

    return r < 0 ? r : cl_sys_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program);
}

void cl_probe_seccomp(struct cl_finding *finding)
{
    int r = try_in_child(try_seccomp);

    if (r == 0) {
        cl_found(finding, CL_PROBE_WORKS, "system calls by an allow-list");
        return;
    }
    cl_found(finding, CL_PROBE_MISSING, "%s", strerror(-r));
    cl_cure(finding, "use a kernel with CONFIG_SECCOMP_FILTER");
}

/* --- id-mapped mounts ----------------------------------------------------- */

/* Lives until the pipe END ends, as the namespace that is mapped to. */
static int hold_userns(int ready, int end)
{
    char byte = 0;
    int r = cl_sys_unshare(CLONE_NEWUSER);

    byte = (char)(-r & 0x7f);
    (void)cl_sys_write(ready, &byte, 1); /* whoever reads it sees an end instead */
    (void)cl_sys_read(end, &byte, 1);
    return r;
}

static int map_child(pid_t child)
{
    static const char *const files[] = {"uid_map", "gid_map"};
    char path[64];

    for (size_t i = 0; i < CL_ARRAY_SIZE(files); i++) {
        (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)child, files[i]);
        int r = cl_write_file(AT_FDCWD, path, "0 1879048192 65536");
        if (r < 0)
            return r;
    }
    return 0;
}

/* Id-maps a clone of the mount at AT. */
static int map_mount(pid_t child, const char *at)
{
    char path[64];
    struct cl_mount_attr attr = {.attr_set = CL_MOUNT_ATTR_IDMAP};
    int r = map_child(child);

    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)child);
    CL_CLEANUP_FD int userns = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    CL_CLEANUP_FD int tree =
        cl_sys_open_tree(AT_FDCWD, at, CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC);
    if (userns < 0 || tree < 0)
        return userns < 0 ? userns : tree;
    attr.userns_fd = (uint64_t)userns;
    return cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH, &attr);
}

static int try_idmap(const char *at)
{
    int ready[2];
    int end[2];
    char byte = 0;

    if (cl_sys_pipe2(ready, 0) < 0 || cl_sys_pipe2(end, 0) < 0)
        return -EMFILE;
    pid_t child = fork();
    if (child < 0)
        return -errno;
    if (child == 0) {
        (void)alarm(CHILD_SECONDS);
        (void)close(end[1]);
        _exit(-hold_userns(ready[1], end[0]) & 0xff);
    }
    (void)close(ready[1]);
    int r = cl_sys_read(ready[0], &byte, 1) == 1 ? -byte : -EIO;
    if (r == 0)
        r = map_mount(child, at);
    (void)close(end[1]); /* ends the child */
    (void)wait_for(child);
    return r;
}

static int try_idmap_usr(void)
{
    return try_idmap("/usr");
}

/* Linux 6.3 */
static int try_idmap_tmpfs(void)
{
    int r = cl_sys_unshare(CLONE_NEWNS);

    if (r == 0)
        r = cl_sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (r == 0)
        r = cl_sys_mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m");
    return r < 0 ? r : try_idmap("/tmp");
}

void cl_probe_idmap(struct cl_finding *finding)
{
    if (geteuid() != 0) {
        cl_found(finding, CL_PROBE_ABSENT, "for root alone; others map one uid");
        return;
    }
    int r = try_in_child(try_idmap_usr);
    if (r == 0) {
        cl_found(finding, CL_PROBE_WORKS, "%s",
                 try_in_child(try_idmap_tmpfs) == 0
                     ? "images keep their owners"
                     : "images keep their owners; volumes can't be on a tmpfs (before Linux 6.3)");
        return;
    }
    cl_found(finding, CL_PROBE_MISSING, "the file system of /usr: %s", strerror(-r));
    if (r == -EPERM)
        cl_cure(finding, "root of a user namespace (unshare -r, a container) can't: start cloister "
                         "outside of it, or as an ordinary user");
    else
        cl_cure(finding, "keep images and volumes on a file system with id-mapped mounts (ext4, "
                         "xfs, btrfs, from Linux 6.3 on tmpfs)");
}

/* --- system calls --------------------------------------------------------- */

static int try_clone3(void)
{
    int r = cl_sys_clone3(NULL); /* a bad address, when anybody looks */

    return r == -EFAULT || r == -EINVAL ? 0 : r;
}

static int try_openat2(void)
{
    const struct cl_open_how how = {.flags = O_PATH};

    return cl_sys_openat2(AT_FDCWD, "/", &how) < 0 ? -ENOSYS : 0;
}

static int try_fsopen(void)
{
    int r = cl_sys_fsopen(NULL, 0);

    return r == -ENOSYS ? r : 0; /* EPERM is for those without a namespace of their own */
}

static int try_setns(void)
{
    int r = cl_sys_setns(-1, CLONE_NEWNET); /* a bad descriptor, when anybody looks */

    return r == -EBADF ? 0 : r;
}

static int try_inet(void)
{
    int r = cl_sys_socket(AF_INET, SOCK_DGRAM, 0);

    return r < 0 ? r : 0;
}

static int try_hostname(void)
{
    int r = enter(CLONE_NEWUTS);

    /* Without a namespace the row of those tells. */
    return r < 0 ? 0 : cl_sys_sethostname("probe", strlen("probe"));
}

void cl_probe_calls(struct cl_finding *finding)
{
    static const struct {
        const char *name;
        int (*try)(void);
        const char *setting;
    } calls[] = {
        {"clone3", try_clone3, "RestrictNamespaces="},
        {"openat2", try_openat2, "RestrictSUIDSGID= (DynamicUser= sets it)"},
        {"fsopen", try_fsopen, "SystemCallFilter="},
        {"setns", try_setns, "RestrictNamespaces="},
        {"socket", try_inet, "RestrictAddressFamilies="},
        {"sethostname", try_hostname, "ProtectHostname="},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(calls); i++) {
        int r = try_in_child(calls[i].try);

        if (r == 0)
            continue;
        cl_found(finding, CL_PROBE_MISSING, "%s: %s", calls[i].name, strerror(-r));
        cl_cure(finding,
                "a kernel before Linux 6.1, or a seccomp filter around this process: in a systemd "
                "service change %s, in a container its seccomp profile",
                calls[i].setting);
        return;
    }
    cl_found(finding, CL_PROBE_WORKS, "not filtered");
}
