/* The main process: born of init, takes the sandbox's user, puts up the last layers
 * and becomes the command. So does what is born later (exec), by the same steps: its container
 * is a copy of the sandbox's, with words, streams and a report of its own (newborn.c). */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/processors.h"
#include "base/sys.h"
#include "limits/rlimits.h"
#include "walls/container/container.h"

/* What main is born with. It shares init's memory until it becomes the command. */
struct birth {
    struct cl_container *container;
    cpu_set_t all;    /* processors that both may run on */
    cpu_set_t others; /* those without the one of main's birth; it too, when there are none */
    int is_held;      /* on that one, by hold_here */
};

static int use_processors(const struct birth *birth, pid_t pid, const cpu_set_t *set,
                          struct cl_error *err)
{
    int r = birth->is_held ? cl_sys_sched_setaffinity(pid, set) : 0;

    return r < 0 ? cl_fail(err, r, "use all processors again") : 0;
}

/* Main's first act. Init, pid 1 here, wakes when main has become the command: on another
 * processor, or some schedulers would let it wait for the command there. */
static int part_from_init(const struct birth *birth, struct cl_error *err)
{
    int r = use_processors(birth, 0, &birth->all, err);

    return r < 0 ? r : use_processors(birth, 1, &birth->others, err);
}

/* --- steps --------------------------------------------------------------------------- */

/* Its dispositions are init's, which are the defaults. */
static int unblock_signals(CL_UNUSED void *context, struct cl_error *err)
{
    const uint64_t none = 0;
    int r = cl_sys_rt_sigprocmask(SIG_SETMASK, &none, NULL);

    return r < 0 ? cl_fail(err, r, "unblock signals") : 0;
}

/* Main is born with all that init has; a newborn takes what init kept for it. */
static int raise_kept(void *context, struct cl_error *err)
{
    const struct cl_container *container = context;

    if (container->kept == 0 || cl_plan_without(container->plan, CL_LAYER_CAPABILITIES))
        return 0;
    return cl_capabilities_set(container->kept, err);
}

static int new_session(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    int r = cl_sys_setsid();

    if (r < 0)
        return cl_fail(err, r, "setsid");
    if (container->terminal < 0)
        return 0;
    r = cl_sys_ioctl(container->terminal, TIOCSCTTY, NULL);
    return r < 0 ? cl_fail(err, r, "take the terminal") : 0;
}

static int set_stdio(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    if (cl_plan_without(container->plan, CL_LAYER_STDIO))
        return 0;
    for (int fd = 0; fd <= 2; fd++) {
        int from = container->terminal >= 0 ? container->terminal : container->start->stdio[fd];
        /* 0, 1 and 2 are /dev/null already; dup3 clears CLOEXEC of the copy. */
        int r = from >= 0 ? cl_sys_dup3(from, fd, 0) : cl_sys_fcntl(fd, F_SETFD, 0);

        if (r < 0)
            return cl_fail(err, r, "set descriptor %d", fd);
    }
    return 0;
}

/* All others, and not by the exec: for an instant of that the new memory, of the sandbox's user
 * namespace, is there and the old descriptors are too (begin_new_exec in fs/exec.c), and
 * /proc/PID/fd shows their numbers to a sandbox's root. */
static int close_others(void *context, struct cl_error *err)
{
    const struct cl_container *container = context;

    if (cl_plan_without(container->plan, CL_LAYER_STDIO))
        return 0;
    int r = cl_sys_close_range((unsigned int)cl_program_first_free(container), ~0U, 0);
    return r < 0 ? cl_fail(err, r, "close all other descriptors") : 0;
}

static int set_rlimits(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    const struct cl_plan *plan = container->plan;

    if (cl_plan_without(plan, CL_LAYER_RLIMITS))
        return 0;
    int r = cl_rlimits_apply(plan, cl_plan_without(plan, CL_LAYER_LIMITS), err);
    if (r == 0)
        cl_layer_up(container, CL_LAYER_RLIMITS);
    return r;
}

/* Where init is the sandbox's root and the plan says somebody else. */
static int take_user(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    const struct cl_plan *plan = container->plan;
    int r;

    if (plan->profile != CL_PROFILE_BUILD)
        return 0; /* init is the user */
    r = cl_sys_setresgid((gid_t)plan->gid);
    if (r < 0)
        return cl_fail(err, r, "take group id %u", (unsigned int)plan->gid);
    r = cl_sys_setresuid((uid_t)plan->uid);
    if (r < 0)
        return cl_fail(err, r, "take user id %u", (unsigned int)plan->uid);
    /* Init's memory is main's until the exec, and a change of ids makes of it what
     * fs.suid_dumpable says. */
    r = cl_sys_prctl(PR_SET_DUMPABLE, (unsigned long)cl_plan_without(plan, CL_LAYER_DUMPABLE), 0, 0,
                     0);
    return r < 0 ? cl_fail(err, r, "become non-dumpable") : 0;
}

static int enter_workdir(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    (void)cl_sys_umask(022);
    int r = cl_sys_chdir(container->plan->workdir);

    return r < 0 ? cl_fail(err, r, "change to %s", container->plan->workdir) : 0;
}

/* Ours came from init, by birth. */
static int install_filter(struct cl_container *container, struct cl_error *err)
{
    return cl_seccomp_is_users(container) ? cl_seccomp_take(container, err) : 0;
}

/* What no bounding set of ours has goes with the exec (capabilities(7), transformation of
 * capabilities). Until then it keeps the sandboxed code, which lacks it, from tracing a newborn,
 * were that ever dumpable (ptrace(2), access mode checking); as it keeps it from init. */
static uint64_t kept_until_exec(const struct cl_container *container)
{
    const struct cl_plan *plan = container->plan;
    const int has_changed = plan->profile == CL_PROFILE_BUILD && plan->uid != 0;

    return has_changed ? 0 : container->kept & 1ULL << CL_CAP_KILL; /* that took all */
}

/* A newborn is no worker. */
static int last_capabilities(struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    const uint64_t lasting = container->kept == 0 ? cl_capabilities_lasting(plan) : 0;
    const uint64_t capabilities = plan->uid == 0 ? plan->capabilities : 0;

    if (cl_plan_without(plan, CL_LAYER_CAPABILITIES))
        return 0;
    int r = lasting != 0 ? cl_capabilities_last(lasting, err)
                         : cl_capabilities_keep(capabilities | kept_until_exec(container),
                                                capabilities, err);
    if (r < 0)
        return r;
    cl_layer_up(container, CL_LAYER_CAPABILITIES);
    if (lasting != 0)
        cl_layer_up(container, CL_LAYER_GUEST_USERS);
    return 0;
}

/* Without no_new_privs (test builds) the filter needs capabilities to be installed. */
static int last_layers(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    int filter_first = cl_plan_without(container->plan, CL_LAYER_NO_NEW_PRIVS);
    int r = filter_first ? install_filter(container, err) : 0;

    if (r == 0)
        r = last_capabilities(container, err);
    if (r == 0 && !filter_first)
        r = install_filter(container, err);
    return r;
}

static int take_label(void *context, struct cl_error *err)
{
    int r = cl_label_take(context, err);

    return r < 0 ? r : cl_selinux_take(context, err);
}

/* Before the filter, which may be a user's that knows no clock. */
static int note_start(void *context, CL_UNUSED struct cl_error *err)
{
    struct cl_container *container = context;

    container->report->started_boot_ns = cl_clock_boot_ns();
    return 0;
}

static const struct cl_step main_steps[] = {
    {"signals", unblock_signals, NULL},
    {"capabilities", raise_kept, NULL},
    {"session", new_session, NULL},
    {"standard descriptors", set_stdio, NULL},
    {"resource limits", set_rlimits, NULL},
    {"user", take_user, NULL},
    {"working directory", enter_workdir, NULL},
    {"label", take_label, NULL},
    {"descriptors of our program", cl_program_place, NULL},
    {"other descriptors", close_others, NULL},
    {"start time", note_start, NULL},
    {"capabilities and system calls", last_layers, NULL},
};

/* --- exec ------------------------------------------------------------------------------ */

static void explain_no_exec(struct cl_container *container, int errnum)
{
    struct cl_error *err = &container->report->error;
    const char *name = container->plan->command.items[0];

    if (cl_has_program(container)) {
        (void)cl_fail(err, errnum, "execute %s", container->start->program->name);
        return;
    }
    /* ENOENT also says that the file is there, and what it needs to run isn't. */
    const int is_missing = errnum == -ENOENT && !cl_program_is_there(name, &container->plan->env);

    if (errnum == -ENOENT && !is_missing)
        (void)cl_refuse(err, errnum,
                        "execute %s: the file is there, but not the interpreter (#!) or loader "
                        "that it names",
                        name);
    else if (is_missing && strchr(name, '/') == NULL)
        (void)cl_refuse(err, errnum, "%s: command not found in the image's PATH", name);
    else
        (void)cl_selinux_hint(container, cl_fail(err, errnum, "execute %s", name), err);
    if (errnum == -ENOEXEC)
        (void)cl_hint(err, "it is no program for this machine, and a script begins with #!");
    if (is_missing && name[0] == '-')
        (void)cl_hint(err, "options of cloister stand before the image");
    if (is_missing && strchr(name, '/') != NULL && container->plan->image_kind == CL_IMAGE_HOST)
        (void)cl_hint(err, "of the host's other files only what --volume names is inside");
}

/* The filter may be a user's that refuses this too, and libc would ask for ever; no filter sees
 * the signal that the trap is. */
CL_NORETURN static void leave(void)
{
    (void)cl_sys_exit_group(1);
    __builtin_trap();
}

static int become_command(void *context)
{
    struct birth *birth = context;
    struct cl_container *container = birth->container;
    const struct cl_plan *plan = container->plan;
    struct cl_report *report = container->report;
    const char *name = plan->command.items[0];
    int r = part_from_init(birth, &report->error);

    if (r == 0)
        r = cl_steps_run(main_steps, CL_ARRAY_SIZE(main_steps), container, &report->error);
    if (r < 0) {
        report->stage = CL_REPORT_FAILED;
        leave();
    }
    report->stage = CL_REPORT_STARTED; /* now: the command may have ended before init runs again */
    r = cl_has_program(container)
            ? cl_program_start(container->start->program, container->argv, container->envp)
            : cl_program_execute(name, &plan->env, container->argv, container->envp);
    report->exec_errno = -r;
    explain_no_exec(container, r);
    report->stage = CL_REPORT_NO_EXEC;
    leave();
}

/* Init sleeps until main is the command, so that no other processor could do anything at
 * the same time; but to wake one that idles takes 0.05 ms and more. Only a matter of time:
 * where it can't be done, main is born wherever the kernel likes. On a machine with other
 * things to do that is better: they may come to this very processor while another idles. */
static void hold_here(struct birth *birth)
{
    cpu_set_t one;

    if (!cl_processors_are_quiet(&birth->container->start->processors))
        return;
    int here = cl_processors_split(&birth->all, &birth->others);
    if (here < 0)
        return;
    if (CPU_COUNT(&birth->others) == 0)
        birth->others = birth->all;
    CPU_ZERO(&one);
    CPU_SET((size_t)here, &one);
    birth->is_held = cl_sys_sched_setaffinity(0, &one) == 0;
}

/* In init's memory but on a stack of its own, with init asleep (CLONE_VFORK) until it has
 * become the command or written down why not: no page is copied (80 us) and no pipe has to
 * tell. Descriptors, signals and credentials are its own. */
static pid_t give_birth(struct birth *birth)
{
    static _Alignas(16) char stack[32768];

    return cl_sys_clone_beside(become_command, stack + sizeof(stack),
                               CLONE_VM | CLONE_VFORK | SIGCHLD, birth);
}

pid_t cl_newborn_start(struct cl_container *newborn, struct cl_error *err)
{
    struct birth birth = {.container = newborn};
    pid_t pid = give_birth(&birth);

    return pid < 0 ? cl_fail(err, pid, "clone a process") : pid;
}

int cl_main_start(struct cl_container *container, struct cl_error *err)
{
    struct birth birth = {.container = container};

    hold_here(&birth);
    pid_t pid = give_birth(&birth);
    int r = use_processors(&birth, 0, &birth.all, err);
    if (pid < 0)
        return cl_fail(err, pid, "clone the main process");
    if (container->report->stage != CL_REPORT_STARTED)
        _exit(1); /* main has written why */
    return r < 0 ? r : pid;
}
