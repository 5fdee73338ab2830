/* The birth of the process that holds a pod's namespaces, and what it is from then on. */
#include "cmd/containerd-shim-cloister-v2/pod.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/seccomp.h"
#include "base/steps.h"
#include "base/sys.h"
#include "policy/seccomp_tables.h"

enum { CAPABILITIES = 64, KNOWN_CAPABILITIES = 41 /* to Linux 5.9 */ };

/* As the kernel's other keepers of pods are: nearly the last that is ended. */
static const char *const OOM_SCORE = "-998";

struct birth {
    const struct cl_pod *pod;
    int ours;   /* the shim's end of a line to the newborn, */
    int theirs; /* and the other, which who is born doesn't share with the shim */
};

/* What comes over it: the number, from the go-between; that all is done, or why not, from either.
 */
struct word {
    pid_t pid; /* 0: it is no number */
    struct cl_error err;
};

static int say(const struct birth *birth, const struct word *word)
{
    return (int)cl_sys_send(birth->theirs, word, sizeof(*word), 0);
}

static int say_why(const struct birth *birth, const struct cl_error *err)
{
    return say(birth, &(struct word){.err = *err});
}

/* --- the holder, in its namespaces --------------------------------------------------------------
 */

/* Of the shim's death before this tells the line, which nobody else holds. */
static int end_with_shim(CL_UNUSED void *context, struct cl_error *err)
{
    int r = cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

    return r < 0 ? cl_fail(err, r, "set the parent-death signal") : 0;
}

/* Containers of a pod that share their processes' numbers see its command line. */
static void write_over(char *const *words)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++)
        memset(words[i], 0, strlen(words[i]));
}

static int take_names(void *context, struct cl_error *err)
{
    const struct birth *birth = context;
    const char *hostname = birth->pod->hostname;
    int r = cl_sys_prctl(PR_SET_NAME, (unsigned long)(uintptr_t) "cloister-pod", 0, 0, 0);

    write_over(birth->pod->words);
    if (r < 0)
        return cl_fail(err, r, "set its name");
    if (hostname[0] == '\0')
        return 0;
    r = cl_sys_sethostname(hostname, strlen(hostname));
    return r < 0 ? cl_fail(err, r, "set the host name \"%s\"", hostname) : 0;
}

/* The kernel shows each process the settings of its own namespaces, whose /proc it may be. */
static int set_sysctls(void *context, struct cl_error *err)
{
    const struct birth *birth = context;
    const struct cl_strlist *files = &birth->pod->files;
    CL_CLEANUP_FD int dir =
        files->count == 0 ? -1 : cl_sys_openat(AT_FDCWD, "/proc/sys", O_PATH | O_DIRECTORY, 0);

    if (files->count > 0 && dir < 0)
        return cl_fail(err, dir, "open /proc/sys");
    for (size_t i = 0; i + 1 < files->count; i += 2) {
        int r = cl_write_file(dir, files->items[i], files->items[i + 1]);

        if (r < 0)
            return cl_fail(err, r, "write \"%.64s\" to /proc/sys/%.128s", files->items[i + 1],
                           files->items[i]);
    }
    return 0;
}

static int make_empty_tree(struct cl_error *err)
{
    CL_CLEANUP_FD int fs = cl_sys_fsopen("tmpfs", CL_FSOPEN_CLOEXEC);
    int r = fs < 0 ? fs : cl_sys_fsconfig(fs, CL_FSCONFIG_CMD_CREATE, NULL, NULL, 0);

    if (r == 0)
        r = cl_sys_fsmount(fs, CL_FSMOUNT_CLOEXEC,
                           CL_MOUNT_ATTR_RDONLY | CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV |
                               CL_MOUNT_ATTR_NOEXEC);
    return r < 0 ? cl_fail(err, r, "make an empty file system") : r;
}

/* pivot_root(2) wants a mount point other than "/": /proc is on every host. */
static int leave_files(CL_UNUSED void *context, struct cl_error *err)
{
    CL_CLEANUP_FD int tree = make_empty_tree(err);

    if (tree < 0)
        return tree;
    int r = cl_sys_mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL);
    if (r == 0)
        r = cl_sys_move_mount(tree, "", AT_FDCWD, "/proc", CL_MOVE_MOUNT_F_EMPTY_PATH);
    if (r >= 0)
        r = cl_sys_fchdir(tree);
    if (r >= 0)
        r = cl_sys_pivot_root(".", ".");
    if (r >= 0)
        r = cl_sys_umount2(".", MNT_DETACH);
    if (r >= 0)
        r = cl_sys_chdir("/");
    return r < 0 ? cl_fail(err, r, "change the root") : 0;
}

static int close_all(void *context, struct cl_error *err)
{
    const struct birth *birth = context;
    int r = cl_fd_close_others(&birth->theirs, 1);

    for (int fd = 0; fd < 3; fd++)
        (void)close(fd); /* /dev/null, and the shim's log */
    return r < 0 ? cl_fail(err, r, "close descriptors") : 0;
}

/* Nobody waits for who ends here, and no signal but SIGKILL is its business. */
static int ignore_signals(CL_UNUSED void *context, struct cl_error *err)
{
    const uint64_t all = UINT64_MAX;
    int r = cl_sys_signal_ignore(SIGCHLD);

    if (r == 0)
        r = cl_sys_rt_sigprocmask(SIG_SETMASK, &all, NULL);
    return r < 0 ? cl_fail(err, r, "ignore signals") : 0;
}

static int drop_bounding(void)
{
    for (unsigned long cap = 0; cap < CAPABILITIES; cap++) {
        int r = cl_sys_prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);

        if (r == -EINVAL && cap >= KNOWN_CAPABILITIES)
            break; /* the kernel has no more */
        if (r < 0)
            return r;
    }
    return cl_sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static int give_up(CL_UNUSED void *context, struct cl_error *err)
{
    const struct cl_cap_header header = {.version = CL_CAP_VERSION_3};
    const struct cl_cap_data none[2] = {{0}};
    int r = cl_sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);

    if (r == 0)
        r = drop_bounding();
    if (r == 0)
        r = cl_sys_capset(&header, none);
    if (r == 0)
        r = cl_sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return r < 0 ? cl_fail(err, r, "drop capabilities") : 0;
}

static int confine(CL_UNUSED void *context, struct cl_error *err)
{
    return cl_seccomp_install(cl_seccomp_holder.insns, cl_seccomp_holder.count, err);
}

static const struct cl_step holder_steps[] = {
    {"end with the shim", end_with_shim, NULL},     {"take the pod's host name", take_names, NULL},
    {"apply the pod's sysctls", set_sysctls, NULL}, {"leave the host's files", leave_files, NULL},
    {"close what is open", close_all, NULL},        {"ignore signals", ignore_signals, NULL},
    {"give up privileges", give_up, NULL},          {"be confined", confine, NULL},
};

/* Who isn't told that the shim has its number is one that nobody would ever end. */
static int wait_for_leave(const struct birth *birth)
{
    char byte;

    return cl_sys_recv(birth->theirs, &byte, 1, 0) == 1 ? 0 : -EPIPE;
}

CL_NORETURN static void hold(struct birth *birth)
{
    struct cl_error err = {0};
    int r = cl_steps_run(holder_steps, CL_ARRAY_SIZE(holder_steps), birth, &err);

    if (say_why(birth, &err) < 0 || r < 0 || wait_for_leave(birth) < 0)
        _exit(1);
    (void)close(birth->theirs);
    for (;;)
        (void)cl_sys_poll(NULL, 0, -1); /* it ends by a signal alone */
}

/* --- the go-between ------------------------------------------------------------------------------
 */

/* A shim that isn't the host's root has the score that it was given. */
static int be_spared(CL_UNUSED void *context, struct cl_error *err)
{
    int r = cl_write_file(AT_FDCWD, "/proc/self/oom_score_adj", OOM_SCORE);

    return r < 0 && r != -EACCES && r != -EPERM ? cl_fail(err, r, "write oom_score_adj") : 0;
}

static int enter_network(void *context, struct cl_error *err)
{
    const struct birth *birth = context;
    int r = birth->pod->net < 0 ? 0 : cl_sys_setns(birth->pod->net, CLONE_NEWNET);

    return r < 0 ? cl_fail(err, r, "setns") : 0;
}

/* As its root: what is made then is that one's. */
static int enter_users(void *context, struct cl_error *err)
{
    const struct birth *birth = context;

    if (birth->pod->users < 0)
        return 0;
    int r = cl_sys_setgroups(0, NULL);
    if (r == 0)
        r = cl_sys_setns(birth->pod->users, CLONE_NEWUSER);
    if (r == 0)
        r = cl_sys_setresgid(0);
    if (r == 0)
        r = cl_sys_setresuid(0);
    return r < 0 ? cl_fail(err, r, "setns") : 0;
}

/* A sister of the go-between's: a child of the shim's, whose signal of its end it inherits. */
static int bear(void *context, struct cl_error *err)
{
    struct birth *birth = context;
    const struct cl_clone_args args = {.flags =
                                           CLONE_PARENT | CLONE_NEWNS | birth->pod->namespaces};
    pid_t pid = cl_sys_clone3(&args);

    if (pid == 0)
        hold(birth);
    if (pid < 0)
        return cl_fail(err, pid, "clone");
    int r = say(birth, &(struct word){.pid = pid});
    return r < 0 ? cl_fail(err, r, "tell its number") : 0;
}

static const struct cl_step between_steps[] = {
    {"be spared when memory is short", be_spared, NULL},
    {"enter the pod's network namespace", enter_network, NULL},
    {"enter the pod's user namespace", enter_users, NULL},
    {"make the pod's namespaces", bear, NULL},
};

CL_NORETURN static void go_between(struct birth *birth)
{
    struct cl_error err = {0};

    cl_fd_close(&birth->ours); /* or the end of the shim's would be no end */
    int r = cl_steps_run(between_steps, CL_ARRAY_SIZE(between_steps), birth, &err);
    if (r < 0)
        (void)say_why(birth, &err); /* or the line's end tells that it failed */
    _exit(r < 0);
}

/* --- the shim ------------------------------------------------------------------------------------
 */

/* Until both have spoken, in whatever order, or one says why it can't be. */
static int hear(int fd, pid_t *ret, struct cl_error *err)
{
    int is_ready = 0;

    while (*ret == 0 || !is_ready) {
        struct word word = {0};
        ssize_t size = cl_sys_recv(fd, &word, sizeof(word), 0);

        if (size == -EINTR)
            continue;
        if (size < 0)
            return cl_fail(err, (int)size, "hear from the process that holds the pod");
        if (size != (ssize_t)sizeof(word))
            return cl_refuse(err, EIO, "the process that holds the pod ended without a word");
        if (word.pid != 0) {
            *ret = word.pid;
        } else if (word.err.code != 0) {
            *err = word.err;
            return cl_error_check(err);
        } else {
            is_ready = 1;
        }
    }
    return 0;
}

static int start(struct birth *birth, pid_t *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int pidfd = -1;
    pid_t pid = 0;
    int status;
    pid_t between = cl_sys_fork(&pidfd);

    if (between == 0)
        go_between(birth);
    cl_fd_close(&birth->theirs);
    if (between < 0)
        return cl_fail(err, between, "fork");
    int r = hear(birth->ours, &pid, err);
    if (r == 0 && cl_sys_send(birth->ours, "", 1, 0) < 0)
        r = cl_refuse(err, EIO, "the process that holds the pod has ended");
    (void)cl_sys_wait_for(between, &status); /* it ends by itself */
    if (r < 0 && pid != 0) {
        (void)cl_sys_kill(pid, SIGKILL); /* our child: it is that one */
        (void)cl_sys_wait_for(pid, &status);
    }
    if (r == 0)
        *ret = pid;
    return r;
}

int cl_pod_start(const struct cl_pod *pod, pid_t *ret, struct cl_error *err)
{
    int ends[2];
    int r = cl_sys_socketpair(SOCK_SEQPACKET, ends);

    if (r < 0)
        return cl_fail(err, r, "make a pair of sockets");
    struct birth birth = {pod, ends[0], ends[1]};
    r = start(&birth, ret, err);
    cl_fd_close(&birth.ours);
    cl_fd_close(&birth.theirs);
    return r;
}

void cl_pod_done(struct cl_pod *pod)
{
    cl_fd_close(&pod->net);
    cl_fd_close(&pod->users);
}
