/* The jail of the helpers.
 *
 * What stands here parses bytes that somebody else wrote, with libraries written in
 * C. The jail assumes that such a library is taken over by its input, and leaves the
 * winner a process that can burn five seconds of CPU and write a wrong plan, which
 * the core then checks like any other bytes.
 *
 * Layers, from outside in, each enough to hide the host's files and network:
 *   no privilege   as root, a change to an id of its own; no capabilities; no new ones by exec
 *   namespaces     an own user, mount, network, IPC and UTS namespace; the root is an
 *                  empty read-only file system and the host's mounts are gone
 *   Landlock       every access handled, none allowed
 *   seccomp        calls on the open descriptors and on memory; no call that takes a
 *                  path, makes a descriptor, a process or executable memory
 * Namespaces and Landlock need the host's consent, and a helper that insisted on them
 * would make policy files useless where `--without landlock` is the accepted state of
 * things; so a host that has no such thing is passed over, while any other failure of
 * theirs, and each failure of the others, is an error. The call filter alone already
 * leaves no way to name a file, a socket or a process.
 */
#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/fd.h"
#include "base/steps.h"
#include "helpers/common/jail_parts.h"
#include "plan/format.h"

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static int close_descriptors(void *context, struct cl_error *err)
{
    const struct cl_jail *jail = context;
    int r = cl_sys_close_range(jail->keep_fds, ~0U, 0);

    return r < 0 ? cl_fail(err, r, "close_range") : 0;
}

static int drop_user(void *context, struct cl_error *err)
{
    const struct cl_jail *jail = context;

    return jail->root == CL_JAIL_TREE ? 0 : cl_jail_drop_user(err);
}

/* No user namespaces here, none left, or none that are worth something. */
static int host_declines(int r)
{
    return r == -EPERM || r == -EACCES || r == -ENOSYS || r == -ENOSPC || r == -EUSERS ||
           r == -EINVAL;
}

/* An empty read-only tmpfs, detached; returns its descriptor. */
static int make_empty_tree(void)
{
    int fs = cl_sys_fsopen("tmpfs", CL_FSOPEN_CLOEXEC);

    if (fs < 0)
        return fs;
    int r = cl_sys_fsconfig(fs, CL_FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    if (r == 0)
        r = cl_sys_fsmount(fs, CL_FSMOUNT_CLOEXEC,
                           CL_MOUNT_ATTR_RDONLY | CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV |
                               CL_MOUNT_ATTR_NOEXEC);
    (void)close(fs); /* only a handle */
    return r;
}

/* pivot_root(2) wants a mount point other than "/": /proc is on every host. */
int cl_jail_change_root(int tree)
{
    int r = cl_sys_move_mount(tree, "", AT_FDCWD, "/proc", CL_MOVE_MOUNT_F_EMPTY_PATH);

    if (r >= 0)
        r = cl_sys_fchdir(tree);
    if (r >= 0)
        r = cl_sys_pivot_root(".", ".");
    if (r >= 0)
        r = cl_sys_umount2(".", 2 /* MNT_DETACH */);
    if (r >= 0)
        r = cl_sys_chdir("/");
    return r;
}

static int enter_empty_root(void)
{
    CL_CLEANUP_FD int tree = make_empty_tree();

    return tree < 0 ? tree : cl_jail_change_root(tree);
}

static int enter_own_tree(struct cl_jail *jail, struct cl_error *err)
{
    int r = cl_jail_tree_unshare(jail, err);

    if (r == 0)
        r = cl_jail_tree_take_identity(err);
    return r < 0 ? r : cl_jail_tree_enter(jail, err);
}

static int enter_namespaces(void *context, struct cl_error *err)
{
    struct cl_jail *jail = context;

    if (jail->root == CL_JAIL_TREE)
        return enter_own_tree(jail, err);
    int r =
        cl_sys_unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS);

    if (r < 0)
        return host_declines(r) ? 0 : cl_fail(err, r, "unshare");
    r = enter_empty_root();
    if (r < 0 && !host_declines(r))
        return cl_fail(err, r, "enter an empty root");
    return 0;
}

#define NONE CL_RLIM_INFINITY
#define MEMORY (SANITIZED ? NONE : 256 << 20) /* the sanitizer maps terabytes */

/* A layer is as large as its image, and the time that it takes is its bytes': these have
 * bounds of their own. */
static const struct {
    int resource;
    uint64_t value;
    uint64_t of_streams;
    uint64_t of_trees;
} limits[] = {
    {RLIMIT_AS, MEMORY, MEMORY, MEMORY},
    {RLIMIT_CPU, 5, NONE, NONE},
    {RLIMIT_FSIZE, CL_PLAN_MAX_SIZE, CL_PLAN_MAX_SIZE, NONE},
    {RLIMIT_NOFILE, 8, 8, 64},
    {RLIMIT_NPROC, 0, 0, 0},
    {RLIMIT_CORE, 0, 0, 0},
    {RLIMIT_MEMLOCK, 0, 0, 0},
};

/* A caller's lower limit stays: raising it needs privilege. */
static int limit(int resource, uint64_t wanted, struct cl_error *err)
{
    struct cl_rlimit64 old = {0};
    int r = cl_sys_prlimit(0, resource, NULL, &old);
    struct cl_rlimit64 value = {cl_min_u64(wanted, old.max), cl_min_u64(wanted, old.max)};

    if (r == 0)
        r = cl_sys_prlimit(0, resource, &value, NULL);
    return r < 0 ? cl_fail(err, r, "set resource limit %d", resource) : 0;
}

/* What the helper asks for itself, or 0. */
static uint64_t bound_of(const struct cl_jail *jail, int resource)
{
    switch (resource) {
    case RLIMIT_AS:
        return SANITIZED ? 0 : jail->bounds.memory;
    case RLIMIT_CPU:
        return jail->bounds.cpu_seconds;
    case RLIMIT_FSIZE:
        return jail->bounds.file_size;
    default:
        return 0;
    }
}

static int limit_resources(void *context, struct cl_error *err)
{
    const struct cl_jail *jail = context;
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(limits); i++) {
        uint64_t own = bound_of(jail, limits[i].resource);
        uint64_t wanted = own != 0                     ? own
                          : jail->root == CL_JAIL_TREE ? limits[i].of_trees
                          : jail->streams              ? limits[i].of_streams
                                                       : limits[i].value;

        if (limits[i].resource != RLIMIT_NPROC || jail->start_threads == NULL)
            r = limit(limits[i].resource, wanted, err);
    }
    return r;
}

static int drop_capabilities(void *context, struct cl_error *err)
{
    const struct cl_jail *jail = context;
    const uint64_t mask = jail->root == CL_JAIL_TREE ? cl_jail_tree_capabilities() : 0;
    const struct cl_cap_header header = {.version = CL_CAP_VERSION_3};
    const struct cl_cap_data data[2] = {{.effective = (uint32_t)mask, .permitted = (uint32_t)mask},
                                        {0}};
    int r = cl_sys_capset(&header, data);

    return r < 0 ? cl_fail(err, r, "capset") : 0;
}

/* Not dumpable: no other process of the same user can trace it or read its memory.
 * The death signal is cleared by changes of the user, so it stands after them. */
static int seal_process(CL_UNUSED void *context, struct cl_error *err)
{
    int r = cl_sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);

    if (r == 0)
        r = cl_sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (r == 0)
        r = cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    return r < 0 ? cl_fail(err, r, "prctl") : 0;
}

/* What each ABI can handle: landlock(7). */
static struct cl_landlock_ruleset_attr handle_everything(int abi)
{
    struct cl_landlock_ruleset_attr attr = {
        .handled_access_fs = CL_LANDLOCK_FS_REFER - 1,
    };

    if (abi >= 2)
        attr.handled_access_fs |= CL_LANDLOCK_FS_REFER;
    if (abi >= 3)
        attr.handled_access_fs |= CL_LANDLOCK_FS_TRUNCATE;
    if (abi >= 4)
        attr.handled_access_net = 1 | 2; /* bind and connect TCP */
    if (abi >= 5)
        attr.handled_access_fs |= CL_LANDLOCK_FS_IOCTL_DEV;
    if (abi >= 6)
        attr.scoped = CL_LANDLOCK_SCOPE_ABSTRACT_UNIX | CL_LANDLOCK_SCOPE_SIGNAL;
    return attr;
}

static int enter_landlock(void *context, struct cl_error *err)
{
    const struct cl_jail *jail = context;
    int abi = cl_sys_landlock_create_ruleset(NULL, 0, CL_LANDLOCK_CREATE_RULESET_VERSION);

    if (abi == -ENOSYS || abi == -EOPNOTSUPP)
        return 0;
    if (abi < 0)
        return cl_fail(err, abi, "ask for Landlock");
    struct cl_landlock_ruleset_attr attr = handle_everything(abi);
    CL_CLEANUP_FD int ruleset = cl_sys_landlock_create_ruleset(&attr, sizeof(attr), 0);
    if (ruleset < 0)
        return cl_fail(err, ruleset, "landlock_create_ruleset");
    if (jail->root == CL_JAIL_TREE) {
        int r = cl_jail_tree_allow(ruleset, attr.handled_access_fs, err);

        if (r < 0)
            return r;
    }
    int r = cl_sys_landlock_restrict_self(ruleset);
    return r < 0 ? cl_fail(err, r, "landlock_restrict_self") : 0;
}

/* Calls that act on what the process already has. */
static const int allowed_calls[] = {
    SCMP_SYS(read),      SCMP_SYS(write),         SCMP_SYS(lseek),        SCMP_SYS(pread64),
    SCMP_SYS(munmap),    SCMP_SYS(brk),           SCMP_SYS(mremap),       SCMP_SYS(madvise),
    SCMP_SYS(exit),      SCMP_SYS(exit_group),    SCMP_SYS(futex),        SCMP_SYS(ftruncate),
    SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
};

/* What the sanitizers' runtime does on top, also to print what it found. */
static const int sanitizer_calls[] = {
    SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
    SCMP_SYS(getpid),      SCMP_SYS(gettid),
};

static int allow_calls(scmp_filter_ctx filter, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);

        if (r < 0)
            return r;
    }
    return 0;
}

/* What threads do for their memory (malloc's arenas are given out page by page), and to let
 * another one go first. */
static int add_thread_rules(scmp_filter_ctx filter)
{
    int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

    return r < 0 ? r : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sched_yield), 0);
}

static int add_rules(const struct cl_jail *jail, scmp_filter_ctx filter)
{
    int r = allow_calls(filter, allowed_calls, CL_ARRAY_SIZE(allowed_calls));

    if (r == 0)
        r = allow_calls(filter, jail->calls, jail->call_count);
    if (r == 0 && (SANITIZED || jail->start_threads != NULL)) /* a sanitizer does it, too */
        r = add_thread_rules(filter);
    if (r == 0 && SANITIZED)
        r = allow_calls(filter, sanitizer_calls, CL_ARRAY_SIZE(sanitizer_calls));
    /* Memory of any kind but the executable one. */
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return r;
}

static int enter_filter(void *context, struct cl_error *err)
{
    const struct cl_jail *jail = context;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);

    if (filter == NULL)
        return cl_fail_memory(err);
    int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0 && jail->start_threads != NULL)
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (r == 0)
        r = add_rules(jail, filter);
    if (r == 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r < 0 ? cl_fail(err, r, "load the call filter") : 0;
}

static const struct cl_step steps[] = {
    {"close descriptors", close_descriptors, NULL},
    {"drop the user", drop_user, NULL},
    {"namespaces", enter_namespaces, NULL},
    {"drop capabilities", drop_capabilities, NULL},
    {"resource limits", limit_resources, NULL},
    {"seal the process", seal_process, NULL},
    {"Landlock", enter_landlock, NULL},
};

/* They are born with all that was taken, and the last that are. */
static int start_threads(void *context, struct cl_error *err)
{
    const struct cl_jail *jail = context;

    if (jail->start_threads == NULL)
        return 0;
    int r = jail->start_threads(jail->context, err);
    return r < 0 ? r : limit(RLIMIT_NPROC, 0, err);
}

static const struct cl_step last_steps[] = {
    {"threads", start_threads, NULL},
    {"seccomp", enter_filter, NULL},
};

int cl_jail_enter_unfiltered(struct cl_jail *jail, struct cl_error *err)
{
    return cl_steps_run(steps, CL_ARRAY_SIZE(steps), jail, err);
}

int cl_jail_enter(struct cl_jail *jail, struct cl_error *err)
{
    int r = cl_jail_enter_unfiltered(jail, err);

    return r < 0 ? r : cl_steps_run(last_steps, CL_ARRAY_SIZE(last_steps), jail, err);
}
