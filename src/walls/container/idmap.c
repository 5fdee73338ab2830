/* Id maps: who the sandbox's users are outside.
 *
 *   root mode         0..65535 -> the sandbox's own range; never host ids
 *   rootless, strict  the one uid -> the caller's own
 *   rootless, build   0 -> the caller's own, 1.. -> the caller's sub-uids, written by
 *                     newuidmap and newgidmap (set-uid helpers of the host)
 *
 * Source: user_namespaces(7), subuid(5), newuidmap(1).
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/accounts.h"
#include "base/apparmor.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "walls/container/container.h"

static int write_map(int proc, const char *file, const char *text, struct cl_error *err)
{
    int r = cl_write_file(proc, file, text);

    return r < 0 ? cl_fail(err, r, "write the %s of the sandbox", file) : 0;
}

int cl_idmap_open_proc(pid_t pid, struct cl_error *err)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    int proc = cl_sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
    return proc < 0 ? cl_fail(err, proc, "open %s", path) : proc;
}

int cl_namespace_open(int pidfd, unsigned int request, int proc, const char *path)
{
    int fd = pidfd < 0 ? pidfd : cl_sys_ioctl_number(pidfd, request, 0);

    return fd >= 0 ? fd : cl_sys_openat(proc, path, O_RDONLY, 0);
}

/* A map of one id: nothing needs privilege, but setgroups must be off first. */
static int write_single(int proc, const struct cl_plan *plan, struct cl_error *err)
{
    char line[64];
    int r = write_map(proc, "setgroups", "deny", err);

    if (r < 0)
        return r;
    (void)snprintf(line, sizeof(line), "%u %u 1", (unsigned int)plan->gid, (unsigned int)getegid());
    r = write_map(proc, "gid_map", line, err);
    if (r < 0)
        return r;
    (void)snprintf(line, sizeof(line), "%u %u 1", (unsigned int)plan->uid, (unsigned int)geteuid());
    return write_map(proc, "uid_map", line, err);
}

static int write_range(int proc, uint32_t base, struct cl_error *err)
{
    char line[64];

    (void)snprintf(line, sizeof(line), "0 %u %d", base, CL_UIDS_PER_SANDBOX);
    int r = write_map(proc, "gid_map", line, err);
    return r < 0 ? r : write_map(proc, "uid_map", line, err);
}

/* --- sub-ids ---------------------------------------------------------------- */

static int find_subids(const char *path, const char *login, struct cl_id_range *ret,
                       struct cl_error *err)
{
    const uid_t uid = geteuid();
    char cure[CL_SUBIDS_CURE_SIZE];
    int r = cl_accounts_find_subids(path, login, uid, ret, err);

    if (r != 0)
        return r < 0 ? r : 0;
    cl_accounts_cure_subids(login, cure);
    return cl_refuse(err, ENOENT,
                     "this needs several user ids and %s has none for uid %u; run as root: %s, "
                     "or use --profile strict",
                     path, (unsigned int)uid, cure);
}

enum { NOT_STARTED = 64 }; /* exit status: this and the errno; they answer 0 and 1 */

/* newuidmap PID 0 OWN 1 1 FIRST COUNT */
static int run_mapper(const char *program, pid_t pid, unsigned int own,
                      const struct cl_id_range *ids, struct cl_error *err)
{
    char args[6][24];
    uint64_t count = cl_min_u64(ids->count, CL_UIDS_PER_SANDBOX - 1);
    int status = 0;

    (void)snprintf(args[0], sizeof(args[0]), "%d", (int)pid);
    (void)snprintf(args[1], sizeof(args[1]), "%u", own);
    (void)snprintf(args[2], sizeof(args[2]), "%llu", (unsigned long long)ids->first);
    (void)snprintf(args[3], sizeof(args[3]), "%llu", (unsigned long long)count);
    char *argv[] = {cl_unconst(program), args[0], cl_unconst("0"), args[1], cl_unconst("1"),
                    cl_unconst("1"),     args[2], args[3],         NULL};
    char *envp[] = {NULL};
    struct cl_clone_args clone_args = {.flags = CLONE_VFORK, .exit_signal = SIGCHLD};
    const uint64_t all = ~0ULL;
    uint64_t before;
    int blocked = cl_sys_rt_sigprocmask(SIG_SETMASK, &all, &before); /* as beside.c says why */
    if (blocked < 0)
        return cl_fail(err, blocked, "block signals");
    pid_t child = cl_sys_clone3(&clone_args);

    if (child != 0) /* can't fail where the other didn't */
        (void)cl_sys_rt_sigprocmask(SIG_SETMASK, &before, NULL);
    if (child < 0)
        return cl_fail(err, child, "clone for %s", program);
    if (child == 0) {
        (void)cl_sys_rt_sigprocmask(SIG_SETMASK, &before, NULL); /* as above */
        /* What it has to say is said by us, in one line. */
        int r = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
        if (r >= 0)
            r = cl_sys_dup3(r, STDERR_FILENO, 0);
        if (r >= 0)
            r = cl_sys_execve(program, argv, envp);
        _exit(NOT_STARTED - r);
    }
    int waited = cl_sys_wait_for(child, &status);
    if (waited < 0)
        return cl_fail(err, waited, "wait for %s", program);
    if (WIFEXITED(status) && WEXITSTATUS(status) > NOT_STARTED) {
        int r = cl_fail(err, WEXITSTATUS(status) - NOT_STARTED, "start %s", program);
        return r == -ENOENT ? cl_hint(err, "install the package uidmap") : r;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return cl_refuse(err, EPERM, "%s refused the range %llu+%llu", program,
                         (unsigned long long)ids->first, (unsigned long long)count);
    return 0;
}

static int write_subids(pid_t pid, struct cl_error *err)
{
    struct cl_id_range uids;
    struct cl_id_range gids;
    char login[CL_LOGIN_SIZE];

    cl_accounts_login(geteuid(), login);
    int r = find_subids("/etc/subuid", login, &uids, err);
    if (r < 0)
        return r;
    r = find_subids("/etc/subgid", login, &gids, err);
    if (r < 0)
        return r;
    r = run_mapper("/usr/bin/newgidmap", pid, (unsigned int)getegid(), &gids, err);
    if (r < 0)
        return r;
    return run_mapper("/usr/bin/newuidmap", pid, (unsigned int)geteuid(), &uids, err);
}

int cl_idmap_write(const struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;

    if (container->rootless && plan->profile == CL_PROFILE_BUILD)
        return write_subids(container->pid, err);

    if (container->rootless)
        return write_single(container->pid_dir, plan, err);
    return write_range(container->pid_dir, container->start->uid_base, err);
}

/* --- id-mapped mounts --------------------------------------------------------- */

static int map_and_open(pid_t pid, const char *uid_line, const char *gid_line, struct cl_error *err)
{
    CL_CLEANUP_FD int proc = cl_idmap_open_proc(pid, err);

    if (proc < 0)
        return proc;
    int r = write_map(proc, "gid_map", gid_line, err);
    if (r == 0)
        r = write_map(proc, "uid_map", uid_line, err);
    if (r < 0)
        return r;
    int userns = cl_sys_openat(proc, "ns/user", O_RDONLY, 0);
    return userns < 0 ? cl_fail(err, userns, "open a volume's user namespace") : userns;
}

int cl_hint_userns(int r, struct cl_error *err)
{
    if (r == -EPERM || r == -EACCES)
        return cl_hint(err,
                       "this host restricts user namespaces: see `cloister doctor` (the AppArmor "
                       "profile " CL_APPARMOR_USERNS ", or the sysctls "
                       "kernel.apparmor_restrict_unprivileged_userns and "
                       "kernel.unprivileged_userns_clone); in a chroot the kernel makes none");
    if (r == -ENOSPC || r == -EUSERS)
        return cl_hint(err,
                       "a limit in /proc/sys/user (max_user_namespaces and its like) is reached");
    return r;
}

int cl_idmap_make_userns(uint32_t inside_uid, uint32_t inside_gid, uint32_t outside_uid,
                         uint32_t outside_gid, struct cl_error *err)
{
    struct cl_clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    char uid_line[64];
    char gid_line[64];
    int status;
    int ends[2];
    int r = cl_sys_pipe2(ends, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    CL_CLEANUP_FD int end = ends[0];
    CL_CLEANUP_FD int hold = ends[1];
    pid_t holder = cl_sys_clone3(&args);
    if (holder < 0) {
        (void)cl_fail(err, holder, "make a user namespace for a volume's id map");
        return cl_hint_userns(holder, err);
    }
    if (holder == 0) {
        /* Only its namespace is of use. It ends when our end of the pipe is closed, by
         * us or by our death at any moment: a death signal it could set too late. Or when
         * it can't wait for that: the namespace stays until it is reaped, but its files in
         * /proc become those of the host's root. */
        struct pollfd closed = {.fd = end, .events = POLLIN};

        cl_fd_close(&hold);
        do
            r = cl_sys_poll(&closed, 1, -1);
        while (r == -EINTR);
        _exit(r < 0 ? -r : 0);
    }
    (void)snprintf(uid_line, sizeof(uid_line), "%u %u 1", inside_uid, outside_uid);
    (void)snprintf(gid_line, sizeof(gid_line), "%u %u 1", inside_gid, outside_gid);
    int userns = map_and_open(holder, uid_line, gid_line, err);
    cl_fd_close(&hold);
    r = cl_sys_wait_for(holder, &status); /* it is ours and will end */
    if (userns < 0 && r == 0 && WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return cl_fail(err, WEXITSTATUS(status), "hold the user namespace for a volume's id map");
    return userns;
}

/* File systems that people mount and some kernel can't id-map; the type is all that
 * statfs(2) tells. */
static const struct {
    unsigned long type;
    const char *name;
} file_systems[] = {
    {0x01021994, "tmpfs"},    {0x858458f6, "ramfs"}, {0x794c7630, "overlay"},
    {0x6969, "nfs"},          {0xff534d42, "cifs"},  {0xfe534d42, "smb3"},
    {0x65735546, "fuse"},     {0x01021997, "9p"},    {0x2fc12fc1, "zfs"},
    {0x786f4256, "vboxsf"},   {0x00c36400, "ceph"},  {0x958458f6, "hugetlbfs"},
    {0x9123683e, "btrfs"},    {0xef53, "ext4"},      {0x58465342, "xfs"},
    {0x2011bab0, "exfat"},    {0x4d44, "vfat"},      {0x7366746e, "ntfs3"},
    {0x73717368, "squashfs"}, {0xe0f5e1e2, "erofs"}, {0x9fa0, "proc"},
    {0x62656572, "sysfs"},    {0x1cd1, "devpts"},
};

static const char *name_file_system(unsigned long type)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(file_systems); i++) {
        if (file_systems[i].type == type)
            return file_systems[i].name;
    }
    return NULL;
}

/* Why TREE refused ATTR; that it did is in ERR already. */
static int explain_idmap(int tree, const struct cl_mount_attr *attr, struct cl_error *err)
{
    const char *name;
    struct statfs fs = {0};

    if (err->code == EPERM)
        return cl_hint(err, "its mount is id-mapped already, or another user namespace's");
    if (err->code != EINVAL)
        return -err->code;
    /* Without what is mounted below. The tree is of no more use either way. */
    if (cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH, attr) == 0)
        return cl_hint(err, "a file system that is mounted below it can't be id-mapped by this "
                            "kernel; name a directory that has none below");
    if (cl_sys_fstatfs(tree, &fs) < 0)
        return -err->code;
    name = name_file_system((unsigned long)fs.f_type);
    if (name == NULL)
        return cl_hint(
            err,
            "its file system (of type %#lx) can't be id-mapped by this kernel, "
            "and :ro and :copy of a volume need that too; use a directory on ext4, xfs or btrfs",
            (unsigned long)fs.f_type);
    return cl_hint(err,
                   "its file system, %s, can't be id-mapped by this kernel%s, and :ro and "
                   ":copy of a volume need that too; use a directory on ext4, xfs or btrfs",
                   name, strcmp(name, "tmpfs") == 0 ? " (before Linux 6.3)" : "");
}

int cl_idmap_tree(int tree, int userns, const char *what, struct cl_error *err)
{
    struct cl_mount_attr attr = {.attr_set = CL_MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns};
    int r = cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH | CL_AT_RECURSIVE, &attr);

    if (r == 0)
        return 0;
    (void)cl_fail(err, r, "id-map the mount of %s", what);
    return explain_idmap(tree, &attr, err);
}
