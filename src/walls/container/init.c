/* Init: pid 1 of the sandbox. Builds the wall from inside as a list of named steps,
 * starts the main process, and then only reaps and forwards signals. It runs no
 * program of its own, so there is nothing of the image in it. */
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/signals.h"
#include "base/sys.h"
#include "walls/container/container.h"

#include <sched.h>
#include <sys/ioctl.h>

enum {
    LAST_SIGNAL = 64,
    STOP_ROUNDS = 16,
    OWN_FDS = 7, /* that init keeps of its own */
};

/* --- steps -------------------------------------------------------------------------- */

static int reset_signals(CL_UNUSED void *context, CL_UNUSED struct cl_error *err)
{
    cl_signals_reset();
    return 0;
}

static int bound_capabilities(void *context, struct cl_error *err)
{
    const struct cl_container *container = context;

    return cl_plan_without(container->plan, CL_LAYER_CAPABILITIES)
               ? 0
               : cl_capabilities_bound(container->plan->capabilities, err);
}

static int wait_for(struct cl_container *container, enum cl_message_kind kind, struct cl_error *err)
{
    struct cl_message message = {0};
    int count = cl_message_receive(container->channel[1], &message, container->join_fds,
                                   CL_MESSAGE_MAX_FDS, 0);

    if (count == -EPIPE)
        _exit(1); /* the supervisor is dead: nobody is left to tell */
    if (count < 0)
        return cl_fail(err, count, "receive from the supervisor");
    if (message.kind != kind)
        return cl_refuse(err, EPROTO, "unexpected message %u from the supervisor", message.kind);
    container->join_count = count;
    return 0;
}

static int wait_for_maps(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    cl_fd_close(&container->channel[0]); /* or its end of file would never come */
    return wait_for(container, CL_MESSAGE_GO, err);
}

/* Init is the sandbox's root where there is one, else its user: files that it makes
 * belong to somebody who exists. All capabilities are kept: the old uid isn't 0 inside. */
static int take_identity(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    const struct cl_plan *plan = container->plan;
    int is_root = plan->profile == CL_PROFILE_BUILD;
    int r = 0;

    if (!container->rootless || is_root)
        r = cl_sys_setgroups(0, NULL);
    if (r < 0)
        return cl_fail(err, r, "drop the supplementary groups");
    r = cl_sys_setresgid(is_root ? 0 : (gid_t)plan->gid);
    if (r < 0)
        return cl_fail(err, r, "take group id %u", (unsigned int)plan->gid);
    r = cl_sys_setresuid(is_root ? 0 : (uid_t)plan->uid);
    if (r < 0)
        return cl_fail(err, r, "take user id %u", (unsigned int)plan->uid);
    /* Nobody in the sandbox may trace init or read its memory and links. */
    r = cl_sys_prctl(PR_SET_DUMPABLE, (unsigned long)cl_plan_without(plan, CL_LAYER_DUMPABLE), 0, 0,
                     0);
    if (r < 0)
        return cl_fail(err, r, "become non-dumpable");
    cl_layer_up(container, CL_LAYER_DUMPABLE);
    return 0;
}

/* After every change of identity, which clears it; and then look whether the
 * supervisor died before it was set: its end of the channel is closed then. */
static int tie_to_supervisor(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    struct pollfd channel = {.fd = container->channel[1], .events = POLLIN};
    int r = cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

    if (r < 0)
        return cl_fail(err, r, "set the parent-death signal");
    do
        r = cl_sys_poll(&channel, 1, 0);
    while (r == -EINTR);
    if (r < 0)
        return cl_fail(err, r, "look whether the supervisor is alive");
    if ((channel.revents & POLLHUP) != 0)
        _exit(1);
    return 0;
}

static int set_hostname(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    const char *name = container->plan->hostname;

    if (cl_plan_without(container->plan, CL_LAYER_UTSNS))
        return 0;
    int r = cl_sys_sethostname(name, strlen(name));
    return r < 0 ? cl_fail(err, r, "set the host name") : 0;
}

static int ensure_workdir(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    CL_CLEANUP_FD int fd = cl_target_open(container, container->plan->workdir, 1, err);

    return fd < 0 ? fd : 0;
}

/* v1: a single-threaded process writing 0 to `tasks` (p90 0.16 ms; 10 ms by
 * cgroup.procs). The cgroup namespace comes after, so that its root is the cgroup. */
static int join_limits(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    int r = wait_for(container, CL_MESSAGE_RELEASE, err);

    if (r < 0)
        return r;
    for (int i = 0; i < container->join_count; i++) {
        r = cl_write_all(container->join_fds[i], "0", 1);
        if (r < 0)
            return cl_fail(err, r, "join the cgroup");
        cl_fd_close(&container->join_fds[i]);
    }
    cl_layer_up(container, CL_LAYER_LIMITS);
    if (cl_plan_without(container->plan, CL_LAYER_CGROUPNS))
        return 0;
    r = cl_sys_unshare(CLONE_NEWCGROUP);
    if (r < 0)
        return cl_fail(err, r, "make the cgroup namespace");
    cl_layer_up(container, CL_LAYER_CGROUPNS);
    return 0;
}

/* Made by the network maker meanwhile (netns.c). */
static int enter_network(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    if (cl_plan_without(container->plan, CL_LAYER_NETNS))
        return 0;
    if (!cl_netns_comes_later(container)) { /* born in it */
        cl_layer_up(container, CL_LAYER_NETNS);
        return 0;
    }
    int r = wait_for(container, CL_MESSAGE_NETWORK, err);
    if (r < 0)
        return r;
    if (container->join_count != 1)
        return cl_refuse(err, EPROTO, "the network namespace didn't come");
    r = cl_netns_enter(container, container->join_fds[0], err);
    cl_fd_close(&container->join_fds[0]);
    return r;
}

static int new_keyring(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    if (cl_plan_without(container->plan, CL_LAYER_KEYRING))
        return 0;
    long r = cl_sys_keyctl(1 /* KEYCTL_JOIN_SESSION_KEYRING */, 0);
    if (r == -ENOSYS)
        return 0; /* a kernel without keys has none to leak */
    if (r < 0)
        (void)cl_fail(err, (int)r, "join a new session keyring");
    if (r == -EDQUOT) /* keyrings(7): of an ordinary user, one for each sandbox */
        (void)cl_hint(err, "raise the sysctl kernel.keys.maxkeys, or end other sandboxes");
    if (r < 0)
        return (int)r;
    cl_layer_up(container, CL_LAYER_KEYRING);
    return 0;
}

/* Closes every descriptor that the sandbox doesn't stand on: the caller's, whatever
 * they are, and our own. Init's standard descriptors become /dev/null. */
static int close_foreign(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    const int *stdio = container->start->stdio;
    const struct cl_wall_program *program = container->start->program;
    int keep[OWN_FDS + CL_PROGRAM_MOST_FDS] = {container->channel[1],
                                               container->terminal,
                                               container->proc,
                                               container->pts,
                                               stdio[0],
                                               stdio[1],
                                               stdio[2]};
    size_t count = OWN_FDS;

    if (cl_plan_without(container->plan, CL_LAYER_STDIO))
        return 0;
    for (size_t i = 0; program != NULL && i < program->fd_count; i++)
        keep[count++] = program->fds[i];
    CL_CLEANUP_FD int null = cl_has_program(container)
                                 ? CL_TAKE_FD(container->null)
                                 : cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    if (null < 0)
        return cl_fail(err, null, "open /dev/null");
    for (int fd = 0; fd <= 2; fd++) {
        int r = cl_sys_dup3(null, fd, O_CLOEXEC);
        if (r < 0)
            return cl_fail(err, r, "put /dev/null in place of descriptor %d", fd);
    }
    int r = cl_fd_close_others(keep, count);
    if (r < 0)
        return cl_fail(err, r, "close foreign descriptors");
    (void)CL_TAKE_FD(null); /* closed with the rest */
    cl_layer_up(container, CL_LAYER_STDIO);
    return 0;
}

/* Securebits, like the bounding set, are inherited by everything that is born here. */
static int bound_privileges(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    const struct cl_plan *plan = container->plan;
    int r = 0;

    if (!cl_plan_without(plan, CL_LAYER_SECUREBITS))
        r = cl_securebits_lock(plan, err);
    if (r < 0)
        return r;
    cl_layer_up(container, CL_LAYER_SECUREBITS);
    if (cl_plan_without(plan, CL_LAYER_NO_NEW_PRIVS))
        return 0;
    r = cl_sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (r < 0)
        return cl_fail(err, r, "set no_new_privs");
    cl_layer_up(container, CL_LAYER_NO_NEW_PRIVS);
    return 0;
}

static const struct cl_step init_steps[] = {
    /* what needs no id maps, while the supervisor writes them */
    {"signals", reset_signals, NULL},
    {"priority", cl_priority_level, NULL},
    {"host name", set_hostname, NULL},
    {"loopback", cl_netns_raise_own, NULL},
    {"capabilities", bound_capabilities, NULL},
    {"wait for the id maps", wait_for_maps, NULL},
    {"take the sandbox's identity", take_identity, NULL},
    {"tie the sandbox to its supervisor", tie_to_supervisor, NULL},
    {"image and volumes", cl_sources_find, NULL},
    {"scratch", cl_scratch_make, NULL},
    {"root file system", cl_rootfs_make, NULL},
    {"/proc", cl_procfs_make, NULL},
    {"/dev", cl_devices_make, NULL},
    {"mask /proc", cl_procfs_mask, NULL},
    {"working directory", cl_rootfs_workdir, NULL},
    {"names", cl_names_make, NULL},
    {"volumes", cl_volumes_attach, NULL},
    {"working directory", ensure_workdir, NULL},
    {"terminal", cl_terminal_make, NULL},
    {"seal the root", cl_rootfs_seal, NULL},
    {"enter the root", cl_rootfs_enter, NULL},
    {"limits", join_limits, NULL},
    {"keyring", new_keyring, NULL},
    {"descriptors", close_foreign, NULL},
    {"privileges", bound_privileges, NULL},
    {"landlock", cl_landlock_restrict, NULL},
    {"network", enter_network, NULL},
    {"system calls", cl_seccomp_share, NULL},
};

/* --- the life of pid 1 ------------------------------------------------------------------ */

CL_NORETURN static void fail(struct cl_container *container, const struct cl_error *err)
{
    container->report->error = *err;
    container->report->stage = CL_REPORT_FAILED;
    _exit(1);
}

/* Main has its own. */
static void close_streams(struct cl_container *container)
{
    const struct cl_wall_program *program = container->start->program;

    if (!cl_plan_without(container->plan, CL_LAYER_STDIO)) {
        for (int i = 0; i < 3; i++) {
            int fd = container->start->stdio[i];
            cl_fd_close(&fd);
        }
    }
    cl_fd_close(&container->terminal);
    for (size_t i = 0; program != NULL && i < program->fd_count; i++) {
        int fd = program->fds[i];
        cl_fd_close(&fd);
    }
}

/* What init needs from here on: to send signals to processes that changed their uid, the
 * system calls of its loop, and what a newborn takes: its capabilities, the way to a pty, and
 * to the host's labels where there are any. */
static int shrink(struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    int r = 0;

    if (!plan->waits)
        close_streams(container);
    if (!container->has_apparmor && container->process_context[0] == '\0')
        cl_fd_close(&container->proc);
    if (!cl_plan_without(plan, CL_LAYER_CAPABILITIES))
        r = cl_capabilities_keep(cl_capabilities_kept(plan), 1ULL << CL_CAP_KILL, err);
    return r < 0 ? r : cl_seccomp_bind_init(container, err);
}

static uint64_t cpu_ns(const struct rusage *usage)
{
    const uint64_t us = (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);

    return (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * CL_NS_PER_S + us * 1000;
}

/* What init lives with. */
struct life {
    struct cl_container *container;
    int signals;
    pid_t main;  /* 0: it hasn't begun, or has ended */
    int is_over; /* it has ended, and init stays */
    int is_told; /* that all others have, too */
    struct cl_sessions sessions;
};

static void tell(const struct life *life, enum cl_message_kind kind)
{
    const struct cl_message message = {.kind = kind};

    (void)cl_message_send(life->container->channel[1], &message, NULL, 0); /* or we end with it */
}

/* With pid 1 everything in the pid namespace ends; where that stays, by our hand: the kernel
 * sends to all that are there at one moment, also to those about to be born (kill(2)). */
static void end(struct life *life, int status, const struct rusage *usage)
{
    struct cl_report *report = life->container->report;

    report->main_status = status;
    report->main_cpu_ns = cpu_ns(usage);
    report->ended_boot_ns = cl_clock_boot_ns();
    __atomic_store_n(&report->stage, CL_REPORT_ENDED, __ATOMIC_RELEASE);
    if (!life->container->plan->stays)
        _exit(0);
    life->main = 0;
    life->is_over = 1;
    life->sessions.only_copies = 1;
    (void)cl_sys_kill(-1, SIGKILL); /* fails where there is nobody */
}

static void reap(struct life *life)
{
    struct signalfd_siginfo info;
    struct rusage usage;
    int status;

    (void)cl_sys_read(life->signals, &info, sizeof(info)); /* only empties it */
    for (;;) {
        pid_t pid = cl_sys_wait4(-1, &status, WNOHANG, &usage);

        if (pid == -EINTR)
            continue;
        if (pid < 0 && pid != -ECHILD) { /* or nobody would notice the end */
            struct cl_error err = {0};

            (void)cl_fail(&err, pid, "wait for the sandbox's processes");
            fail(life->container, &err);
        }
        if (pid == -ECHILD && life->is_over && !life->is_told) {
            life->is_told = 1;
            tell(life, CL_MESSAGE_OVER);
        }
        if (pid <= 0)
            return;
        if (pid == life->main)
            end(life, status, &usage);
        cl_sessions_ended(&life->sessions, pid, status);
    }
}

/* The main process of a plan that waits, as a newborn's: init has given up what it had. */
static void begin(struct life *life)
{
    struct cl_container *container = life->container;
    struct cl_container newborn = *container;
    struct cl_error err = {0};

    newborn.kept = cl_capabilities_kept(container->plan);
    life->main = cl_newborn_start(&newborn, &err);
    if (life->main < 0)
        fail(container, &err);
    if (container->report->stage != CL_REPORT_STARTED)
        _exit(1); /* it has written why */
    close_streams(container);
    tell(life, CL_MESSAGE_STARTED);
}

/* A main process that is yet to begin ends by it as any other would. */
static void take_signal(struct life *life, int signal)
{
    const struct rusage none = {0};
    struct cl_report *report = life->container->report;

    if (life->main > 0) {
        (void)cl_sys_kill(life->main, signal); /* a dead main has been or will be reaped */
    } else if (report->stage == CL_REPORT_WAITING && signal > 0 && signal <= LAST_SIGNAL) {
        report->started_boot_ns = cl_clock_boot_ns();
        end(life, signal, &none);
    }
}

/* All but init, which kill(2) leaves out. Who is in the middle of continuing others (SIGCONT)
 * stops when that is done, and those others have been continued: they get no further than to
 * the next round, which comes before they run. */
static void pause_all(int is_paused)
{
    for (int i = 0; i < (is_paused ? STOP_ROUNDS : 1); i++)
        (void)cl_sys_kill(-1, is_paused ? SIGSTOP : SIGCONT); /* nobody left: it is ending */
}

static void take_message(struct life *life)
{
    struct cl_container *container = life->container;
    struct cl_message message = {0};
    int fds[CL_EXEC_MAX_FDS];
    int count =
        cl_message_receive(container->channel[1], &message, fds, CL_EXEC_MAX_FDS, MSG_DONTWAIT);

    if (count == -EPIPE)
        _exit(1); /* the supervisor is gone, and its death signal is on the way */
    if (count < 0)
        return;
    if (message.kind == CL_MESSAGE_EXEC)
        cl_sessions_begin(&life->sessions, container, &message, fds, (size_t)count);
    else if (message.kind == CL_MESSAGE_BEGIN && container->report->stage == CL_REPORT_WAITING)
        begin(life);
    else if (message.kind == CL_MESSAGE_PAUSE)
        pause_all(message.value);
    else if (message.kind == CL_MESSAGE_LEAVE)
        _exit(0);
    else if (message.kind == CL_MESSAGE_SIGNAL)
        take_signal(life, message.value);
}

CL_NORETURN static void live(struct life *life)
{
    struct pollfd polled[2 + CL_EXEC_MOST] = {
        {.fd = life->signals, .events = POLLIN},
        {.fd = life->container->channel[1], .events = POLLIN},
    };

    for (;;) {
        size_t count = cl_sessions_poll(&life->sessions, polled + 2);
        int r = cl_sys_poll(polled, 2 + count, -1);

        if (r == -EINTR) /* by a stop and continue */
            continue;
        if (r < 0) {
            struct cl_error err = {0};

            (void)cl_fail(&err, r, "wait for the sandbox's processes");
            fail(life->container, &err);
        }
        cl_sessions_serve(&life->sessions, polled + 2, count);
        if (polled[0].revents != 0)
            reap(life);
        if (polled[1].revents != 0)
            take_message(life);
    }
}

/* proc(5): /proc/PID/cmdline is open to everybody, and shows this memory. */
static void forget_arguments(const struct cl_container *container)
{
    const struct cl_arguments *arguments = &container->start->arguments;

    if (arguments->size > 0)
        memset(arguments->start, 0, arguments->size);
}

static int start_main(struct life *life, struct cl_error *err)
{
    struct cl_container *container = life->container;

    life->main = cl_main_start(container, err);
    if (life->main < 0)
        return life->main;
    if (container->start->tells_start) /* another supervisor doesn't ask */
        tell(life, CL_MESSAGE_STARTED);
    return shrink(container, err);
}

static int wait_for_begin(struct life *life, struct cl_error *err)
{
    struct cl_container *container = life->container;
    int r = shrink(container, err);

    if (r < 0)
        return r;
    __atomic_store_n(&container->report->stage, CL_REPORT_WAITING, __ATOMIC_RELEASE);
    tell(life, CL_MESSAGE_WAITING);
    return 0;
}

void cl_init_run(struct cl_container *container)
{
    const uint64_t sigchld = 1ULL << (SIGCHLD - 1);
    struct cl_error err = {0};
    int r;

    __atomic_store_n(&container->report->stage, CL_REPORT_BORN, __ATOMIC_RELAXED);
    forget_arguments(container);
    (void)cl_sys_umask(0); /* modes here are what we say; main sets its own */
    r = cl_steps_run(init_steps, CL_ARRAY_SIZE(init_steps), container, &err);
    if (r < 0)
        fail(container, &err);
    struct life life = {.container = container};
    life.signals = cl_sys_signalfd(&sigchld);
    if (life.signals < 0) {
        (void)cl_fail(&err, life.signals, "signalfd");
        fail(container, &err);
    }
    r = container->plan->waits ? wait_for_begin(&life, &err) : start_main(&life, &err);
    if (r < 0)
        fail(container, &err);
    live(&life);
}
