/* The last of a bundle's steps: from a process of the runtime's to the command, for the first
 * process and for those of `exec` alike. Source: OCI runtime specification, config.md, "Process";
 * capabilities(7), seccomp(2), credentials(7). */
#include <errno.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/apparmor.h"
#include "base/fd.h"
#include "base/selinux.h"
#include "base/signals.h"
#include "base/sys.h"
#include "limits/rlimits.h"
#include "walls/container/bundle.h"

enum { CAP_SYS_ADMIN_BIT = 21, PATH_SIZE = 4096 };

/* --- what has to be done first, and the cgroup
 * ----------------------------------------------------------- */

int cl_bundle_reset_signals(CL_UNUSED void *context, struct cl_error *err)
{
    const uint64_t none = 0;

    cl_signals_reset();
    int r = cl_sys_rt_sigprocmask(SIG_SETMASK, &none, NULL);
    return r < 0 ? cl_fail(err, r, "unblock signals") : 0;
}

int cl_bundle_close_memory(CL_UNUSED void *context, struct cl_error *err)
{
    int r = cl_sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);

    return r < 0 ? cl_fail(err, r, "become non-dumpable") : 0;
}

int cl_bundle_open_tasks(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;

    if (bundle->start->group == NULL)
        return 0;
    int r = cl_group_tasks(bundle->start->group, bundle->tasks, CL_ARRAY_SIZE(bundle->tasks), err);
    if (r < 0)
        return r;
    bundle->task_count = (size_t)r;
    return 0;
}

void cl_bundle_close_tasks(void *context)
{
    struct cl_bundle *bundle = context;

    for (size_t i = 0; i < bundle->task_count; i++)
        cl_fd_close(&bundle->tasks[i]);
    bundle->task_count = 0;
}

int cl_bundle_join_cgroups(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;

    for (size_t i = 0; i < bundle->task_count; i++) {
        int r = cl_write_all(bundle->tasks[i], "0", 1);

        if (r < 0)
            return cl_fail(err, r, "join the container's cgroup");
    }
    cl_bundle_close_tasks(bundle);
    return 0;
}

/* --- what needs the runtime's privilege
 * ----------------------------------------------------------- */

/* The bundle's, where it has one; else one that is mounted nowhere. */
int cl_bundle_find_proc(void *context, struct cl_error *err)
{
    static const char *const no_options[] = {NULL, NULL};
    struct cl_bundle *bundle = context;

    if (bundle->proc >= 0)
        return 0;
    bundle->proc = cl_fs_make(
        "proc", no_options, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV | CL_MOUNT_ATTR_NOEXEC, err);
    return bundle->proc < 0 ? bundle->proc : 0;
}

/* A link of the image's may lead a volume there, which would get the label that the kernel is to
 * have (CVE-2019-16884). */
int cl_bundle_write_proc(const struct cl_bundle *bundle, const char *path, const char *text)
{
    return cl_write_file_here(bundle->proc, path, text);
}

int cl_bundle_fail_proc(int r, struct cl_error *err)
{
    return r == -EXDEV ? cl_hint(err, "a mount of the bundle's is mounted over it") : r;
}

/* To lower it takes a privilege; what it is already costs none. */
static int write_oom_score(const struct cl_bundle *bundle, int is_early, struct cl_error *err)
{
    const int wanted = (int)bundle->process->oom_score - CL_SPEC_OOM_BIAS;
    char text[16];

    if (!cl_spec_has(bundle->process, CL_SPEC_OOM_SCORE) || bundle->has_oom_score)
        return 0;
    (void)snprintf(text, sizeof(text), "%d", wanted);
    int r = is_early ? cl_write_file(AT_FDCWD, "/proc/self/oom_score_adj", text)
                     : cl_bundle_write_proc(bundle, "self/oom_score_adj", text);
    return r < 0 ? cl_bundle_fail_proc(cl_fail(err, r, "process.oomScoreAdj: set it to %d", wanted),
                                       err)
                 : 0;
}

int cl_bundle_set_own_score(struct cl_bundle *bundle, struct cl_error *err)
{
    int r = write_oom_score(bundle, 1, err);

    bundle->has_oom_score = r == 0;
    return r;
}

int cl_bundle_set_early(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;

    return cl_bundle_is_seen(bundle) ? cl_bundle_set_own_score(bundle, err) : 0;
}

static int set_scheduler(const struct cl_spec *process, struct cl_error *err)
{
    struct cl_sched_attr attr = {.size = sizeof(attr)};

    if (process->scheduler.count == 0)
        return 0;
    const struct cl_spec_scheduler *wanted = &process->scheduler.items[0];
    attr.policy = wanted->policy;
    attr.flags = wanted->flags;
    attr.nice = wanted->nice;
    attr.priority = wanted->priority;
    attr.runtime_ns = wanted->runtime_ns;
    attr.deadline_ns = wanted->deadline_ns;
    attr.period_ns = wanted->period_ns;
    int r = cl_sys_sched_setattr(&attr);
    return r < 0 ? cl_fail(err, r, "process.scheduler: take it") : 0;
}

int cl_bundle_set_scheduling(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const struct cl_spec *process = bundle->process;
    int r = write_oom_score(bundle, 0, err);

    if (r == 0)
        r = set_scheduler(process, err);
    if (r == 0 && cl_spec_has(process, CL_SPEC_IO_PRIORITY)) {
        r = cl_sys_ioprio_set((int)process->io_priority);
        if (r < 0)
            return cl_fail(err, r, "process.ioPriority: take it");
    }
    if (r == 0 && cl_spec_has(bundle->spec, CL_SPEC_PERSONALITY)) {
        r = cl_sys_personality(bundle->spec->personality);
        if (r < 0)
            return cl_fail(err, r, "linux.personality: take it");
    }
    return r < 0 ? r : 0;
}

int cl_bundle_set_rlimits(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const struct cl_rlimits *limits = &bundle->process->rlimits;

    for (size_t i = 0; i < limits->count; i++) {
        const struct cl_plan_rlimit *limit = &limits->items[i];
        const struct cl_rlimit64 both = {.cur = limit->soft, .max = limit->hard};
        int r = cl_sys_prlimit(0, (int)limit->resource, &both, NULL);

        if (r < 0)
            return cl_fail(err, r, "process.rlimits[%zu]: set %s to %llu, %llu at most", i,
                           cl_rlimit_name(limit->resource), (unsigned long long)limit->soft,
                           (unsigned long long)limit->hard);
    }
    return 0;
}

int cl_bundle_take_stdio(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;

    if (bundle->terminal < 0)
        return 0;
    int r = cl_sys_ioctl(bundle->terminal, TIOCSCTTY, NULL);
    if (r < 0)
        return cl_fail(err, r, "process.terminal: take the terminal");
    if (bundle->process->uid != 0)
        r = cl_sys_fchown(bundle->terminal, (uid_t)bundle->process->uid, (gid_t)-1);
    if (r < 0 && r != -EPERM && r != -EINVAL) /* of an id that isn't mapped */
        return cl_fail(err, r, "process.terminal: give it to the user");
    for (int fd = 0; fd <= 2; fd++) {
        r = cl_sys_dup3(bundle->terminal, fd, 0);
        if (r < 0)
            return cl_fail(err, r, "process.terminal: set descriptor %d", fd);
    }
    return 0;
}

int cl_bundle_bound(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;

    return cl_capabilities_bound(bundle->process->bounding, err);
}

/* Engines look for the kernel's words for it, in small letters, and tell their users by them that
 * there is no such program, or that it can't be executed. */
static int fail_execute(const char *name, int errnum, struct cl_error *err)
{
    const char *why = strerror(-errnum); // NOLINT(concurrency-mt-unsafe): single-threaded

    return cl_refuse(err, -errnum, "process.args[0]: execute %.200s: %c%s", name,
                     why[0] >= 'A' && why[0] <= 'Z' ? why[0] - 'A' + 'a' : why[0], why + 1);
}

int cl_bundle_check_program(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const struct cl_strlist *args = &bundle->process->args;

    if (args->count == 0)
        return 0;
    int r = cl_program_check(args->items[0], &bundle->process->env);
    if (r == -ENOENT && args->items[0][0] != '\0' && strchr(args->items[0], '/') == NULL)
        return cl_refuse(err, ENOENT, "process.args[0]: %.200s: executable file not found in $PATH",
                         args->items[0]);
    return r < 0 ? fail_execute(args->items[0], r, err) : 0;
}

/* --- labels -------------------------------------------------------------------------------------
 */

static int write_label(const struct cl_bundle *bundle, const char *file, const char *text,
                       struct cl_error *err)
{
    int r = cl_bundle_write_proc(bundle, file, text);

    return r < 0 ? cl_bundle_fail_proc(cl_fail(err, r, "write \"%.100s\" to /proc/%s", text, file),
                                       err)
                 : 0;
}

/* Before anything is made of the container: a kernel without the module can't do it. */
int cl_bundle_check_labels(const struct cl_spec *process, struct cl_error *err)
{
    if (cl_spec_has(process, CL_SPEC_APPARMOR) && process->apparmor[0] != '\0' &&
        strcmp(process->apparmor, "unconfined") != 0 && cl_apparmor_look() == CL_APPARMOR_NONE)
        return cl_refuse(err, ENOTSUP,
                         "process.apparmorProfile: \"%.100s\" is asked for, and AppArmor is not on "
                         "here",
                         process->apparmor);
    if (cl_spec_has(process, CL_SPEC_MOUNT_LABEL) && process->mount_label[0] != '\0' &&
        cl_selinux_mode() == CL_SELINUX_NONE)
        return cl_refuse(err, ENOTSUP, "linux.mountLabel: SELinux is not on here");
    if (cl_spec_has(process, CL_SPEC_SELINUX) && process->selinux[0] != '\0' &&
        cl_selinux_mode() == CL_SELINUX_NONE)
        return cl_refuse(
            err, ENOTSUP,
            "process.selinuxLabel: \"%.100s\" is asked for, and SELinux is not on here",
            process->selinux);
    return 0;
}

static int take_labels(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const struct cl_spec *process = bundle->process;
    char text[PATH_SIZE];
    int r = 0;

    if (cl_spec_has(process, CL_SPEC_APPARMOR) && process->apparmor[0] != '\0' &&
        cl_apparmor_look() != CL_APPARMOR_NONE) {
        (void)snprintf(text, sizeof(text), "exec %s", process->apparmor);
        r = write_label(bundle, "self/attr/apparmor/exec", text, err);
        if (r < 0)
            return cl_prefix(err, "process.apparmorProfile");
    }
    if (cl_spec_has(process, CL_SPEC_SELINUX) && process->selinux[0] != '\0') {
        r = write_label(bundle, "self/attr/exec", process->selinux, err);
        if (r < 0)
            return cl_prefix(err, "process.selinuxLabel");
    }
    return 0;
}

/* --- credentials --------------------------------------------------------------------------------
 */

/* A link to /proc/self/fd may lead out by a descriptor that is passed on (CVE-2024-21626). */
static int check_cwd(const char *cwd, struct cl_error *err)
{
    char place[PATH_SIZE];
    int r = cl_sys_getcwd(place, sizeof(place));

    if (r < 0)
        return cl_fail(err, r, "process.cwd: find out where %s is", cwd);
    return place[0] == '/'
               ? 0
               : cl_refuse(err, EPERM, "process.cwd: %s leads out of the container", cwd);
}

/* As root first: it may be a directory that only root may enter. */
static int enter_cwd(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const char *cwd = bundle->process->cwd;
    int r = cl_sys_chdir(cwd);

    if (r == -EACCES && !bundle->has_user)
        return 0; /* the user may be let in */
    return r < 0 ? cl_fail(err, r, "process.cwd: change to %s", cwd) : check_cwd(cwd, err);
}

static int set_groups(const struct cl_bundle *bundle, struct cl_error *err)
{
    const struct cl_numbers *groups = &bundle->process->groups;
    int r = cl_sys_setgroups(groups->count, groups->items);

    if (r == -EPERM && groups->count == 0)
        return 0; /* in a user namespace whose maker may set none */
    return r < 0 ? cl_fail(err, r, "process.user.additionalGids: take them") : 0;
}

static int take_user(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;
    const struct cl_spec *process = bundle->process;
    int r = cl_sys_prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);

    if (r < 0)
        return cl_fail(err, r, "keep capabilities");
    r = set_groups(bundle, err);
    if (r < 0)
        return r;
    r = cl_sys_setresgid((gid_t)process->gid);
    if (r < 0)
        return cl_fail(err, r, "process.user.gid: take group id %u", (unsigned int)process->gid);
    r = cl_sys_setresuid((uid_t)process->uid);
    if (r < 0)
        return cl_fail(err, r, "process.user.uid: take user id %u", (unsigned int)process->uid);
    bundle->has_user = 1;
    /* What a change of ids makes dumpable or not is fs.suid_dumpable's affair. */
    r = cl_sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return r < 0 ? cl_fail(err, r, "become non-dumpable") : 0;
}

static int set_umask(void *context, CL_UNUSED struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const struct cl_spec *process = bundle->process;

    (void)cl_sys_umask(cl_spec_has(process, CL_SPEC_UMASK) ? (mode_t)process->umask : 022);
    return 0;
}

static int install_filter(const struct cl_bundle *bundle, struct cl_error *err)
{
    const struct cl_spec *spec = bundle->spec;
    const struct sock_fprog_of_ours {
        unsigned short count;
        const void *instructions;
    } program = {(unsigned short)(spec->seccomp.size / 8), spec->seccomp.data};

    if (!cl_spec_has(spec, CL_SPEC_SECCOMP))
        return 0;
    const unsigned int asks = bundle->agent != NULL ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
    /* The runtime of an ordinary user takes the descriptor from who is dumpable alone (ptrace(2)).
     * In its own pid namespace nobody else is there yet. */
    if (asks != 0 && bundle->process == spec && (bundle->fresh & CLONE_NEWPID) != 0)
        (void)cl_sys_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    int r =
        cl_sys_seccomp(SECCOMP_SET_MODE_FILTER, (unsigned int)spec->seccomp_flags | asks, &program);
    if (r < 0)
        return cl_fail(err, r, "linux.seccomp: install the filter");
    if (asks != 0)
        cl_agent_tell(bundle->agent, r);
    return 0;
}

static int set_capabilities(const struct cl_spec *process, struct cl_error *err)
{
    int r = cl_capabilities_take(process->permitted, process->effective, process->inheritable, err);

    if (r < 0)
        return cl_prefix(err, "process.capabilities");
    for (unsigned int cap = 0; cap < 64; cap++) {
        /* What isn't both permitted and inheritable can't be ambient, and is passed over. */
        if ((process->ambient & process->permitted & process->inheritable & 1ULL << cap) == 0)
            continue;
        r = cl_sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
        if (r < 0)
            return cl_fail(err, r, "process.capabilities.ambient: raise capability %u", cap);
    }
    return 0;
}

/* They take no_new_privs or CAP_SYS_ADMIN: without the first this comes while the capabilities of
 * before are still ours. Ours is over the bundle's and comes last: under it no other is loaded. */
static int install_filters(const struct cl_bundle *bundle, struct cl_error *err)
{
    int r = cl_bundle_raise_landlock(bundle, err);

    if (r == 0)
        r = install_filter(bundle, err);
    return r < 0 ? r : cl_bundle_raise_filter(bundle, err);
}

/* Whether anything is installed that takes a privilege. */
static int is_filtered(const struct cl_bundle *bundle)
{
    struct cl_bundle_raise raise = {0};
    struct cl_error unused;

    return cl_spec_has(bundle->spec, CL_SPEC_SECCOMP) ||
           (cl_bundle_read_raise(bundle->spec, &raise, &unused) == 0 &&
            (raise.landlock || raise.seccomp != NULL));
}

static int last_layers(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const struct cl_spec *process = bundle->process;
    const uint64_t admin = 1ULL << CAP_SYS_ADMIN_BIT;
    int r = 0;

    if (process->no_new_privileges) {
        r = cl_sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (r < 0)
            return cl_fail(err, r, "process.noNewPrivileges: set it");
        r = set_capabilities(process, err);
        return r < 0 ? r : install_filters(bundle, err);
    }
    if (is_filtered(bundle)) {
        r = cl_capabilities_take(process->permitted | admin, process->effective | admin,
                                 process->inheritable, err);
        if (r == 0)
            r = install_filters(bundle, err);
    }
    return r < 0 ? r : set_capabilities(process, err);
}

/* --- the command
 * ---------------------------------------------------------------------------------- */

/* Engines count on it. The image's /etc/passwd is read as who may read no more than the command. */
static int set_home(void *context, struct cl_error *err)
{
    static char home[PATH_SIZE];
    struct cl_bundle *bundle = context;
    const struct cl_spec *process = bundle->process;

    if (cl_env_find(&process->env, "HOME") != NULL)
        return 0;
    memcpy(home, "HOME=", 6);
    int r = cl_bundle_find_home((uint32_t)process->uid, home + 5, sizeof(home) - 5);
    if (r < 0)
        return cl_fail(err, r, "read the image's /etc/passwd for HOME");
    bundle->envp[process->env.count] = home;
    return 0;
}

static const struct cl_step last_steps[] = {
    {NULL, enter_cwd, NULL},   {NULL, take_labels, NULL}, {NULL, take_user, NULL},
    {NULL, enter_cwd, NULL},   {NULL, set_home, NULL},    {NULL, set_umask, NULL},
    {NULL, last_layers, NULL},
};

CL_NORETURN static void leave(void)
{
    (void)cl_sys_exit_group(1);
    __builtin_trap();
}

/* All that isn't the command's, and the channel, which the exec closes. */
static void close_others(const struct cl_bundle *bundle, int channel)
{
    const unsigned int first = 3 + bundle->start->preserved;

    if (channel > 3 && (unsigned int)channel > first)
        (void)cl_sys_close_range(first, (unsigned int)channel - 1, 0);
    if ((unsigned int)channel >= first)
        (void)cl_sys_close_range((unsigned int)channel + 1, ~0U, 0);
}

CL_NORETURN void cl_bundle_become(struct cl_bundle *bundle, int channel)
{
    const struct cl_spec *process = bundle->process;
    struct cl_error err = {0};
    int r = cl_steps_run(last_steps, CL_ARRAY_SIZE(last_steps), bundle, &err);

    if (r == 0) {
        close_others(bundle, channel);
        r = cl_bundle_send(channel, CL_BUNDLE_EXEC, NULL);
        if (r < 0)
            leave(); /* who asked is gone */
        r = cl_program_execute(process->args.items[0], &process->env, bundle->argv, bundle->envp);
        (void)fail_execute(process->args.items[0], r, &err);
    }
    (void)cl_bundle_send(channel, CL_BUNDLE_FAILED, &err);
    leave();
}
