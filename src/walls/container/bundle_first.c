/* The first process of a bundle's container: its life from the clone to the command. See bundle.h.
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/bundle.h"

/* --- steps ---------------------------------------------------------------------------------------
 */

static int wait_for_maps(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;

    return cl_bundle_expect(bundle->channel[1], CL_BUNDLE_GO, err);
}

/* Who comes into a user namespace is nobody in it until he takes an id that it maps. */
static int become_root(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;

    if (!cl_bundle_has_userns(bundle))
        return 0;
    int r = cl_sys_setresgid(0);
    if (r < 0)
        return cl_fail(err, r, "linux.gidMappings: become the container's group 0");
    r = cl_sys_setresuid(0);
    if (r < 0)
        return cl_fail(err, r, "linux.uidMappings: become the container's user 0");
    /* Its own files in /proc belong to it only while it is dumpable: where nobody else is. */
    r = cl_sys_prctl(PR_SET_DUMPABLE, !cl_bundle_is_seen(bundle), 0, 0, 0);
    return r < 0 ? cl_fail(err, r, "open the own files in /proc") : 0;
}

static int enter_cgroup_namespace(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    int r = 0;

    if ((bundle->fresh & CLONE_NEWCGROUP) != 0)
        r = cl_sys_unshare(CLONE_NEWCGROUP);
    for (size_t i = 0; r == 0 && i < bundle->spec->namespaces.count; i++) {
        if (bundle->spec->namespaces.items[i].kind == CLONE_NEWCGROUP && bundle->joined[i] >= 0)
            r = cl_sys_setns(bundle->joined[i], CLONE_NEWCGROUP);
    }
    return r < 0 ? cl_fail(err, r, "enter the cgroup namespace") : 0;
}

static int new_session(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    int r = cl_sys_setsid();

    if (r < 0)
        return cl_fail(err, r, "setsid");
    if (bundle->start->no_keyring)
        return 0;
    long key = cl_sys_keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0);
    if (key == -ENOSYS)
        return 0; /* a kernel without keys */
    return key < 0 ? cl_fail(err, (int)key, "make a session keyring") : 0;
}

static int set_names(void *context, struct cl_error *err)
{
    const struct cl_spec *spec = ((const struct cl_bundle *)context)->spec;
    int r = 0;

    if (cl_spec_has(spec, CL_SPEC_HOSTNAME) && spec->hostname[0] != '\0')
        r = cl_sys_sethostname(spec->hostname, strlen(spec->hostname));
    if (r < 0)
        return cl_fail(err, r, "hostname: set it");
    if (cl_spec_has(spec, CL_SPEC_DOMAINNAME) && spec->domainname[0] != '\0')
        r = cl_sys_setdomainname(spec->domainname, strlen(spec->domainname));
    return r < 0 ? cl_fail(err, r, "domainname: set it") : 0;
}

static int raise_loopback(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const char *what = "";

    if ((bundle->fresh & CLONE_NEWNET) == 0)
        return 0;
    int r = cl_netns_raise_loopback(&what);
    return r < 0 ? cl_fail(err, r, "%s", what) : 0;
}

static int ask_for_hooks(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const struct cl_spec *spec = bundle->spec;

    if (!cl_spec_has_hook(spec, CL_HOOK_PRESTART) &&
        !cl_spec_has_hook(spec, CL_HOOK_CREATE_RUNTIME))
        return 0;
    int r = cl_bundle_send(bundle->channel[1], CL_BUNDLE_HOOKS, NULL);
    return r < 0 ? cl_fail(err, r, "send to the runtime")
                 : cl_bundle_expect(bundle->channel[1], CL_BUNDLE_HOOKS, err);
}

static int run_hooks(const struct cl_bundle *bundle, enum cl_hook_kind kind, const char *status,
                     struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    const struct cl_bundle_state state = {
        .spec = bundle->spec,
        .id = bundle->start->id,
        .status = status,
        .path = bundle->start->path,
        .pid = getpid(), /* as the container sees it */
    };

    if (!cl_spec_has_hook(bundle->spec, kind))
        return 0;
    int r = cl_bundle_write_state(&state, &text, err);
    return r < 0 ? r : cl_bundle_hooks(bundle->spec, kind, &text, err);
}

static int run_create_hooks(void *context, struct cl_error *err)
{
    return run_hooks(context, CL_HOOK_CREATE_CONTAINER, "creating", err);
}

/* The directory is made where the image has none, as engines expect. */
static int make_cwd(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;

    if (!cl_spec_has(bundle->spec, CL_SPEC_CWD))
        return 0;
    CL_CLEANUP_FD int fd = cl_open_in_root(bundle->root, bundle->spec->cwd, O_PATH | O_DIRECTORY);
    if (fd == -ENOTDIR)
        return cl_refuse(err, ENOTDIR, "process.cwd: %s is not a directory", bundle->spec->cwd);
    if (fd != -ENOENT)
        return 0; /* whether it may be entered shows when it is */
    CL_CLEANUP_FD int made = cl_bundle_target(bundle, bundle->spec->cwd, 1, err);
    return made < 0 ? cl_prefix(err, "process.cwd") : 0;
}

/* What it still needs, and what is to be passed on: nothing else of the runtime's waits with it,
 * its lock on the container's directory least of all. */
static int close_others(void *context, struct cl_error *err)
{
    static int held[CL_BUNDLE_PRESERVED_MOST + 8];
    const struct cl_bundle *bundle = context;
    const struct cl_bundle_start *start = bundle->start;
    size_t count = 0;

    for (unsigned int i = 0; i < start->preserved; i++)
        held[count++] = (int)(3 + i);
    held[count++] = start->listener;
    held[count++] = bundle->channel[1];
    held[count++] = bundle->root;
    held[count++] = bundle->proc;
    held[count++] = bundle->terminal;
    int r = cl_fd_close_others(held, count);
    return r < 0 ? cl_fail(err, r, "close all other descriptors") : 0;
}

static const struct cl_step steps[] = {
    {"signals", cl_bundle_reset_signals, NULL},
    {NULL, wait_for_maps, NULL},
    {NULL, cl_bundle_set_early, NULL},
    {NULL, become_root, NULL},
    {NULL, cl_bundle_join_cgroups, NULL},
    {"cgroup namespace", enter_cgroup_namespace, NULL},
    {"session", new_session, NULL},
    {NULL, set_names, NULL},
    {"loopback", raise_loopback, NULL},
    {NULL, cl_bundle_make_root, NULL},
    {NULL, cl_bundle_make_mounts, NULL},
    {"/proc", cl_bundle_find_proc, NULL},
    {NULL, cl_bundle_make_devices, NULL},
    {NULL, cl_bundle_make_terminal, NULL},
    {NULL, make_cwd, NULL},
    {NULL, ask_for_hooks, NULL},
    {NULL, run_create_hooks, NULL},
    {"change of root", cl_bundle_enter_root, NULL},
    {NULL, cl_bundle_write_sysctls, NULL},
    {NULL, cl_bundle_make_read_only, NULL},
    {NULL, cl_bundle_mask, NULL},
    {NULL, cl_bundle_seal_root, NULL},
    {NULL, cl_bundle_take_stdio, NULL},
    {NULL, cl_bundle_set_scheduling, NULL},
    {NULL, cl_bundle_set_rlimits, NULL},
    {"bounding set", cl_bundle_bound, NULL},
    {NULL, cl_bundle_check_program, NULL},
    {"memory", cl_bundle_close_memory, NULL},
    {"descriptors", close_others, NULL},
};

/* --- life ---------------------------------------------------------------------------------------
 */

CL_NORETURN static void fail(int channel, const struct cl_error *err)
{
    (void)cl_bundle_send(channel, CL_BUNDLE_FAILED, err);
    _exit(1);
}

/* Until somebody connects who says so; another who connects and says nothing is let go. */
static int wait_for_begin(struct cl_bundle *bundle, struct cl_error *err)
{
    for (;;) {
        CL_CLEANUP_FD int memory = -1;
        CL_CLEANUP_FD int connection = cl_sys_accept(bundle->start->listener, SOCK_CLOEXEC);

        if (connection == -EINTR || connection == -ECONNABORTED)
            continue;
        if (connection < 0)
            return cl_fail(err, connection, "wait for the beginning");
        if (cl_bundle_receive_begin(connection, &memory) < 0)
            continue;
        int r = memory < 0 ? 0 : cl_agent_map(memory, &bundle->agent, err);
        return r < 0 ? r : CL_TAKE_FD(connection);
    }
}

CL_NORETURN void cl_bundle_first(struct cl_bundle *bundle)
{
    struct cl_error err = {0};

    cl_fd_close(&bundle->channel[0]);
    (void)cl_sys_umask(0); /* modes here are what we say */
    int r = cl_steps_run(steps, CL_ARRAY_SIZE(steps), bundle, &err);
    if (r < 0)
        fail(bundle->channel[1], &err);
    if (cl_bundle_send(bundle->channel[1], CL_BUNDLE_READY, NULL) < 0)
        _exit(1); /* the runtime has been killed: nobody knows of us */
    if (cl_bundle_expect(bundle->channel[1], CL_BUNDLE_KEEP, &err) < 0)
        _exit(1); /* the same */
    cl_fd_close(&bundle->channel[1]);
    int connection = wait_for_begin(bundle, &err);
    if (connection < 0)
        _exit(1); /* nobody is there to hear why */
    r = run_hooks(bundle, CL_HOOK_START_CONTAINER, "created", &err);
    if (r < 0)
        fail(connection, &err);
    cl_bundle_become(bundle, connection);
}
