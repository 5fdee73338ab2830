/* One more command in a bundle's container: `exec`. Its process is born in the container's pid
 * namespace, does with the runtime's privilege what takes that, and only then enters the other
 * namespaces of the container's first process.
 *
 * Whoever is inside may be hostile and may trace what is born there: from before it enters until it
 * is the command the process is non-dumpable, as soon as it has entered it holds no descriptor of
 * the host's but its channel, the console's and what is the command's, and the program that it runs
 * can't be written (cmd/cloister-oci seals it). Source: setns(2), ptrace(2) on
 * PTRACE_MODE_READ_FSCREDS. */
#include <errno.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/processors.h"
#include "base/sys.h"
#include "walls/container/bundle.h"

/* --- the newborn's steps ---------------------------------------------------------------------- */

struct newborn {
    struct cl_bundle bundle;
    struct cl_agent agent;
    int init;         /* pidfd */
    int first;        /* that one's number */
    uint32_t entered; /* of them, before its birth */
    uint32_t kinds;   /* of namespaces that the container has of its own */
};

static int join_cgroups(void *context, struct cl_error *err)
{
    struct newborn *newborn = context;

    return cl_bundle_join_cgroups(&newborn->bundle, err);
}

/* NULL leaves the affinity as it is. */
static int set_affinity(const char *field, const char *wanted, struct cl_error *err)
{
    cpu_set_t set;

    if (wanted == NULL)
        return 0;
    int r = cl_processors_parse(wanted, &set);
    if (r == 0)
        r = cl_sys_sched_setaffinity(0, &set);
    return r < 0
               ? cl_fail(err, r, "process.execCPUAffinity.%s: run on processors %s", field, wanted)
               : 0;
}

/* As only now it is in the container's cpuset. */
static int set_final_affinity(void *context, struct cl_error *err)
{
    const struct newborn *newborn = context;

    return set_affinity("final", newborn->bundle.process->affinity_final, err);
}

/* Only where something is to be written there: it can't be made in a user namespace that sees a
 * masked /proc. */
static int find_proc(void *context, struct cl_error *err)
{
    struct newborn *newborn = context;
    const struct cl_spec *process = newborn->bundle.process;
    const int has_label =
        (cl_spec_has(process, CL_SPEC_APPARMOR) && process->apparmor[0] != '\0') ||
        (cl_spec_has(process, CL_SPEC_SELINUX) && process->selinux[0] != '\0');

    return has_label ? cl_bundle_find_proc(&newborn->bundle, err) : 0;
}

static int set_scheduling(void *context, struct cl_error *err)
{
    struct newborn *newborn = context;

    return cl_bundle_set_scheduling(&newborn->bundle, err);
}

static int set_rlimits(void *context, struct cl_error *err)
{
    struct newborn *newborn = context;

    return cl_bundle_set_rlimits(&newborn->bundle, err);
}

static int enter(void *context, struct cl_error *err)
{
    struct newborn *newborn = context;
    const uint32_t kinds = newborn->kinds & ~newborn->entered;
    int r = kinds == 0 ? 0 : cl_sys_setns(newborn->init, (int)kinds);

    if (r < 0)
        return cl_fail(err, r, "enter the container's namespaces");
    newborn->bundle.root = cl_sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
    if (newborn->bundle.root < 0)
        return cl_fail(err, newborn->bundle.root, "open the container's root");
    r = cl_sys_setsid();
    return r < 0 ? cl_fail(err, r, "setsid") : 0;
}

/* Before any path of the container's is followed, which might lead to one (CVE-2024-21626). */
static int close_others(void *context, struct cl_error *err)
{
    static int held[CL_BUNDLE_PRESERVED_MOST + 4];
    struct newborn *newborn = context;
    const struct cl_bundle *bundle = &newborn->bundle;
    size_t count = 0;

    for (unsigned int i = 0; i < bundle->start->preserved; i++)
        held[count++] = (int)(3 + i);
    held[count++] = bundle->start->console;
    held[count++] = bundle->channel[1];
    held[count++] = bundle->root;
    held[count++] = bundle->proc;
    int r = cl_fd_close_others(held, count);
    return r < 0 ? cl_fail(err, r, "close all other descriptors") : 0;
}

static int become_root(void *context, struct cl_error *err)
{
    struct newborn *newborn = context;

    if ((newborn->kinds & CLONE_NEWUSER) == 0)
        return 0;
    int r = cl_sys_setresgid(0);
    if (r == 0)
        r = cl_sys_setresuid(0);
    if (r < 0)
        return cl_fail(err, r, "become root of the container's user namespace");
    return cl_bundle_close_memory(context, err); /* which a change of ids opens */
}

static int make_terminal(void *context, struct cl_error *err)
{
    struct newborn *newborn = context;
    int r = cl_bundle_make_terminal(&newborn->bundle, err);

    return r < 0 ? r : cl_bundle_take_stdio(&newborn->bundle, err);
}

static int bound(void *context, struct cl_error *err)
{
    struct newborn *newborn = context;

    return cl_bundle_bound(&newborn->bundle, err);
}

static int check_program(void *context, struct cl_error *err)
{
    struct newborn *newborn = context;

    return cl_bundle_check_program(&newborn->bundle, err);
}

static const struct cl_step steps[] = {
    {"signals", cl_bundle_reset_signals, NULL},
    {NULL, join_cgroups, NULL},
    {NULL, set_final_affinity, NULL},
    {"/proc", find_proc, NULL},
    {NULL, set_scheduling, NULL},
    {NULL, set_rlimits, NULL},
    {NULL, enter, NULL},
    {"descriptors", close_others, NULL},
    {NULL, become_root, NULL},
    {NULL, make_terminal, NULL},
    {"bounding set", bound, NULL},
    {NULL, check_program, NULL},
};

CL_NORETURN static void live(struct newborn *newborn)
{
    struct cl_error err = {0};
    const int channel = newborn->bundle.channel[1];

    cl_fd_close(&newborn->bundle.channel[0]);
    if (cl_steps_run(steps, CL_ARRAY_SIZE(steps), newborn, &err) < 0) {
        (void)cl_bundle_send(channel, CL_BUNDLE_FAILED, &err);
        _exit(1);
    }
    cl_bundle_become(&newborn->bundle, channel);
}

/* --- the maker's -------------------------------------------------------------------------------
 */

static int clone_newborn(struct newborn *newborn, struct cl_error *err)
{
    struct cl_bundle *bundle = &newborn->bundle;
    struct cl_clone_args args = {
        .flags = CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&bundle->pidfd,
        .exit_signal = SIGCHLD,
    };
    const int group = bundle->start->group == NULL ? -1 : cl_group_dir(bundle->start->group);

    if (group >= 0) {
        args.flags |= CL_CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)group;
    }
    pid_t pid = cl_sys_clone3(&args);
    if (pid == 0)
        live(newborn);
    if (pid < 0)
        return cl_fail(err, pid, "clone a process");
    bundle->pid = pid;
    return 0;
}

/* Born in the container's pid and time namespaces; who bears it stays where it is, and ends soon.
 * An ordinary user has the right to that in the user namespace alone, and so enters it first, for
 * good: what is left to do takes no other right. There his capabilities are no more than those of
 * who may trace inside: the newborn is seen from its birth on, and has to be non-dumpable by then.
 */
static int bear(struct newborn *newborn, struct cl_error *err)
{
    const uint32_t first = geteuid() == 0 ? 0 : CLONE_NEWUSER;
    const uint32_t kinds = newborn->kinds & (CLONE_NEWPID | CLONE_NEWTIME | first);
    int r = kinds == 0 ? 0 : cl_sys_setns(newborn->init, (int)kinds);

    newborn->entered = kinds;
    if (r < 0)
        return cl_fail(err, r, "enter the container's pid namespace");
    r = cl_bundle_close_memory(newborn, err);
    return r < 0 ? r : clone_newborn(newborn, err);
}

static int run(struct newborn *newborn, struct cl_error *err)
{
    struct cl_bundle *bundle = &newborn->bundle;
    int r = cl_sys_socketpair(SOCK_SEQPACKET, bundle->channel);

    if (r < 0)
        return cl_fail(err, r, "socketpair");
    CL_CLEANUP_FD int own = bundle->channel[0];
    r = bear(newborn, err);
    cl_fd_close(&bundle->channel[1]);
    const struct cl_bundle_process process = {bundle->pid, bundle->pidfd, -1};
    const struct cl_bundle_state state = {
        .spec = bundle->spec,
        .id = bundle->start->id,
        .status = "running",
        .path = bundle->start->path,
        .pid = newborn->first,
    };
    if (r == 0)
        r = cl_agent_serve(&newborn->agent, own, &state, &process, err);
    if (r == 0)
        r = cl_bundle_await(own, err);
    if (r < 0)
        cl_bundle_end(bundle);
    return r;
}

int cl_bundle_exec(const struct cl_bundle_join *join, struct cl_bundle_process *ret,
                   struct cl_error *err)
{
    struct newborn newborn = {
        .bundle = {.start = join->start,
                   .spec = join->start->spec,
                   .process = join->process,
                   .pidfd = -1,
                   .bare = -1,
                   .root = -1,
                   .proc = -1,
                   .null = -1,
                   .terminal = -1},
        .agent = CL_AGENT_INIT,
        .init = join->init,
        .first = join->first,
    };
    struct cl_bundle *bundle = &newborn.bundle;

    for (size_t i = 0; i < bundle->spec->namespaces.count; i++)
        newborn.kinds |= bundle->spec->namespaces.items[i].kind;
    int r = cl_bundle_check_labels(join->process, err);
    if (r == 0)
        r = cl_bundle_make_vectors(bundle, err);
    if (r == 0)
        r = cl_bundle_set_own_score(bundle, err); /* ours, which the newborn inherits */
    if (r == 0)                                   /* ours too */
        r = set_affinity("initial", join->process->affinity_initial, err);
    if (r == 0)
        r = cl_bundle_open_tasks(bundle, err);
    if (r == 0)
        r = cl_agent_open(bundle->spec, &newborn.agent, err);
    bundle->agent = newborn.agent.memory;
    if (r == 0)
        r = run(&newborn, err);
    cl_agent_close(&newborn.agent);
    cl_bundle_close_tasks(bundle);
    cl_bundle_free_vectors(bundle);
    if (r == 0)
        *ret = (struct cl_bundle_process){bundle->pid, bundle->pidfd, -1};
    return r;
}
