#include "base/userns.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/accounts.h"
#include "base/apparmor.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"

static int write_map(int proc, const char *file, const char *text, struct cl_error *err)
{
    int r = cl_write_file(proc, file, text);

    return r < 0 ? cl_fail(err, r, "write the %s of a user namespace", file) : 0;
}

int cl_userns_open_proc(pid_t pid, struct cl_error *err)
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

int cl_userns_hint(int r, struct cl_error *err)
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

/* Nothing needs privilege, but setgroups must be off first. */
static int map_one_group(int proc, uint32_t gid, struct cl_error *err)
{
    char line[64];
    int r = write_map(proc, "setgroups", "deny", err);

    (void)snprintf(line, sizeof(line), "%u %u 1", gid, (unsigned int)getegid());
    return r < 0 ? r : write_map(proc, "gid_map", line, err);
}

int cl_userns_map_one(int proc, uint32_t uid, uint32_t gid, struct cl_error *err)
{
    char line[64];
    int r = map_one_group(proc, gid, err);

    if (r < 0)
        return r;
    (void)snprintf(line, sizeof(line), "%u %u 1", uid, (unsigned int)geteuid());
    return write_map(proc, "uid_map", line, err);
}

int cl_userns_map_range(int proc, uint32_t base, struct cl_error *err)
{
    char line[64];

    (void)snprintf(line, sizeof(line), "0 %u %d", base, CL_UIDS_PER_RANGE);
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
                     "this needs several user ids and %s has none for uid %u; run as root: %s",
                     path, (unsigned int)uid, cure);
}

/* PROGRAM keeps to itself why: what keeps its privilege from it is what can be seen. */
static int fail_refused(const char *program, const char *first, const char *count,
                        struct cl_error *err)
{
    struct statfs fs = {0};

    (void)cl_refuse(err, EPERM, "%s refused the range %s+%s", program, first, count);
    if (cl_sys_prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return cl_hint(err, "it gains no privilege where no_new_privs is set, as by a service's "
                            "NoNewPrivileges=: start cloister without that");
    if (cl_sys_statfs(program, &fs) == 0 && (fs.f_flags & ST_NOSUID) != 0)
        return cl_hint(err, "it gains no privilege on a file system that is mounted nosuid: mount "
                            "that without");
    return cl_hint(err, "it has to be set-uid root, and the range this user's alone");
}

enum { NOT_STARTED = 64 }; /* exit status: this and the errno; they answer 0 and 1 */

enum { MAPPER_ARGS = 3 * 340 + 3, MAPPER_TEXT = 16384 };

/* A map's numbers as words in ARGV, from the one at FIRST on; TEXT is changed to hold them. How
 * many words there are then. */
static int lay_out(char *text, char *argv[MAPPER_ARGS], size_t first)
{
    size_t count = first;

    for (char *at = text; *at != '\0';) {
        at += strspn(at, " \n");
        if (*at == '\0')
            break;
        if (count >= MAPPER_ARGS - 1)
            return -E2BIG;
        argv[count++] = at;
        at += strcspn(at, " \n");
        if (*at != '\0')
            *at++ = '\0';
    }
    argv[count] = NULL;
    return (int)count;
}

/* newuidmap PID and MAP's numbers, "INSIDE OUTSIDE COUNT" in each line. */
static int run_mapper(const char *program, pid_t pid, const char *map, struct cl_error *err)
{
    static char text[MAPPER_TEXT];
    static char *argv[MAPPER_ARGS];
    static char number[16];
    int status = 0;

    (void)snprintf(number, sizeof(number), "%d", (int)pid);
    argv[0] = cl_unconst(program);
    argv[1] = number;
    int words = snprintf(text, sizeof(text), "%s", map) >= (int)sizeof(text)
                    ? -E2BIG
                    : lay_out(text, argv, 2);
    if (words < 0)
        return cl_refuse(err, E2BIG, "a map of ids has too many lines for %s", program);
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
    if (waited < 0) {
        (void)cl_sys_kill(child, SIGKILL);
        (void)cl_sys_wait_for(child, &status); /* it ends now */
        return cl_fail(err, waited, "wait for %s", program);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) > NOT_STARTED) {
        int r = cl_fail(err, WEXITSTATUS(status) - NOT_STARTED, "start %s", program);
        return r == -ENOENT ? cl_hint(err, "install the package uidmap") : r;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return fail_refused(program, argv[words - 2], argv[words - 1], err);
    return 0;
}

static void describe(unsigned int own, const struct cl_id_range *ids, char ret[96])
{
    (void)snprintf(ret, 96, "0 %u 1\n1 %llu %llu\n", own, (unsigned long long)ids->first,
                   (unsigned long long)cl_min_u64(ids->count, CL_UIDS_PER_RANGE - 1));
}

int cl_userns_map_subids(pid_t pid, struct cl_error *err)
{
    struct cl_id_range uids;
    struct cl_id_range gids;
    char login[CL_LOGIN_SIZE];
    char uid_map[96];
    char gid_map[96];

    cl_accounts_login(geteuid(), login);
    int r = find_subids("/etc/subuid", login, &uids, err);
    if (r < 0)
        return r;
    r = find_subids("/etc/subgid", login, &gids, err);
    if (r < 0)
        return r;
    describe((unsigned int)geteuid(), &uids, uid_map);
    describe((unsigned int)getegid(), &gids, gid_map);
    return cl_userns_map_helped(pid, uid_map, gid_map, err);
}

int cl_userns_map_one_and_subids(pid_t pid, int proc, const struct cl_userns_one *one,
                                 struct cl_error *err)
{
    struct cl_id_range uids;
    char login[CL_LOGIN_SIZE];
    char map[96];

    cl_accounts_login(geteuid(), login);
    int r = find_subids("/etc/subuid", login, &uids, err);
    if (r < 0)
        return r;
    if (uids.count < one->count)
        return cl_refuse(err, ENOENT, "this needs %u user ids and /etc/subuid has %llu for uid %u",
                         one->count, (unsigned long long)uids.count, (unsigned int)geteuid());
    r = map_one_group(proc, one->gid, err);
    if (r < 0)
        return r;
    (void)snprintf(map, sizeof(map), "%u %u 1\n%u %llu %u\n", one->uid, (unsigned int)geteuid(),
                   one->first, (unsigned long long)uids.first, one->count);
    return run_mapper("/usr/bin/newuidmap", pid, map, err);
}

int cl_userns_map_helped(pid_t pid, const char *uid_map, const char *gid_map, struct cl_error *err)
{
    int r = run_mapper("/usr/bin/newgidmap", pid, gid_map, err);

    return r < 0 ? r : run_mapper("/usr/bin/newuidmap", pid, uid_map, err);
}

/* --- a namespace of nobody --------------------------------------------------- */

static int map_and_open(pid_t pid, const char *uid_line, const char *gid_line, struct cl_error *err)
{
    CL_CLEANUP_FD int proc = cl_userns_open_proc(pid, err);

    if (proc < 0)
        return proc;
    int r = write_map(proc, "gid_map", gid_line, err);
    if (r == 0)
        r = write_map(proc, "uid_map", uid_line, err);
    if (r < 0)
        return r;
    int userns = cl_sys_openat(proc, "ns/user", O_RDONLY, 0);
    return userns < 0 ? cl_fail(err, userns, "open a mount's user namespace") : userns;
}

int cl_userns_make_of(const char *uid_map, const char *gid_map, struct cl_error *err)
{
    struct cl_clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    int status;
    int ends[2];
    int r = cl_sys_pipe2(ends, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    CL_CLEANUP_FD int end = ends[0];
    CL_CLEANUP_FD int hold = ends[1];
    pid_t holder = cl_sys_clone3(&args);
    if (holder < 0) {
        (void)cl_fail(err, holder, "make a user namespace for a mount's id map");
        return cl_userns_hint(holder, err);
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
    int userns = map_and_open(holder, uid_map, gid_map, err);
    cl_fd_close(&hold);
    r = cl_sys_wait_for(holder, &status); /* it is ours and will end */
    if (userns < 0 && r == 0 && WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return cl_fail(err, WEXITSTATUS(status), "hold the user namespace for a mount's id map");
    return userns;
}

int cl_userns_make(uint32_t inside_uid, uint32_t inside_gid, uint32_t outside_uid,
                   uint32_t outside_gid, struct cl_error *err)
{
    char uid_line[64];
    char gid_line[64];

    (void)snprintf(uid_line, sizeof(uid_line), "%u %u 1", inside_uid, outside_uid);
    (void)snprintf(gid_line, sizeof(gid_line), "%u %u 1", inside_gid, outside_gid);
    return cl_userns_make_of(uid_line, gid_line, err);
}
