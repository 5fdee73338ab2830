/* The maker of a bundle's container: see bundle.h. */
#include "walls/container/bundle.h"

#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/scope.h"

#include <sys/mount.h>
#include <sys/prctl.h>

/* --- steps -------------------------------------------------------------------------------- */

/* Now, so that the command's words are there before anything of the container is. */
int cl_bundle_make_vectors(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;
    const struct cl_spec *process = bundle->process;
    const size_t count = process->args.count + process->env.count + 3; /* two NULLs, HOME */

    bundle->argv = cl_calloc(count, sizeof(*bundle->argv));
    if (bundle->argv == NULL)
        return cl_fail_memory(err);
    bundle->envp = cl_vector_fill(bundle->argv, &process->args);
    (void)cl_vector_fill(bundle->envp, &process->env);
    return 0;
}

void cl_bundle_free_vectors(void *context)
{
    struct cl_bundle *bundle = context;

    free(bundle->argv);
    bundle->argv = NULL;
    bundle->envp = NULL;
}

/* Those whose options name no file of the host's. */
static int is_alone(const struct cl_spec_mount *mount)
{
    static const char *const types[] = {"",       "proc",   "sysfs",  "tmpfs",
                                        "devpts", "mqueue", "cgroup", "cgroup2"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(types); i++) {
        if (strcmp(types[i], mount->type) == 0)
            return 1;
    }
    return (mount->flags & CL_SPEC_BIND) != 0;
}

static int needs_host(const struct cl_bundle *bundle)
{
    const struct cl_spec *spec = bundle->spec;

    if (cl_spec_namespace(spec, CLONE_NEWNS)->path[0] != '\0')
        return 1;
    for (size_t i = 0; i < spec->mounts.count; i++) {
        if (!is_alone(&spec->mounts.items[i]))
            return 1;
    }
    return cl_bundle_has_userns(bundle) || bundle->start->no_pivot ||
           cl_spec_has_hook(spec, CL_HOOK_CREATE_CONTAINER) ||
           (cl_spec_has(spec, CL_SPEC_PROPAGATION) &&
            (spec->propagation & (MS_SHARED | MS_SLAVE)) != 0);
}

static int can_make_nodes(void)
{
    const struct cl_cap_header header = {.version = CL_CAP_VERSION_3};
    struct cl_cap_data data[2];

    return cl_sys_capget(&header, data) == 0 && (data[0].effective & 1U << CL_CAP_MKNOD) != 0;
}

/* The bare one, where nothing of the host's mounts is asked for: another's is named, hooks in the
 * container and an overlay's options find the host's files, a root that shares its mounts needs
 * peers, and in a user namespace, a new one or the one that we are in, sysfs is mounted only where
 * there is one, and devices are the host's; which they are as well for who may make no nodes. */
static int choose_origin(void *context, CL_UNUSED struct cl_error *err)
{
    struct cl_bundle *bundle = context;

    if (bundle->is_privileged && !needs_host(bundle) && cl_is_host_root() && can_make_nodes())
        bundle->bare = cl_bare_open();
    return 0;
}

static void close_origin(void *context)
{
    struct cl_bundle *bundle = context;

    cl_fd_close(&bundle->bare);
}

/* Who may not open trees here leaves them to the first process, which may, in a user namespace of
 * its own. */
static int open_trees(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;
    struct cl_error refusal;
    int r = cl_bundle_open_trees(bundle, &refusal);

    bundle->is_privileged = r == 0;
    if (r == -EPERM && (bundle->fresh & CLONE_NEWUSER) != 0) {
        cl_bundle_close_trees(bundle);
        return 0;
    }
    if (r < 0)
        *err = refusal;
    return r;
}

static void close_trees(void *context)
{
    cl_bundle_close_trees(context);
}

static int make_channel(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;
    int r = cl_sys_socketpair(SOCK_SEQPACKET, bundle->channel);

    return r < 0 ? cl_fail(err, r, "socketpair") : 0;
}

static void close_channel(void *context)
{
    struct cl_bundle *bundle = context;

    cl_fd_close(&bundle->channel[0]);
    cl_fd_close(&bundle->channel[1]);
}

/* Nothing can be written for who has ended, which has said why, or was killed. */
static int write_maps(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;
    struct pollfd said = {.fd = bundle->channel[0], .events = POLLIN};
    int r = cl_bundle_write_maps(bundle, err);

    if (r < 0 && cl_sys_poll(&said, 1, 0) == 1)
        return cl_bundle_expect(bundle->channel[0], CL_BUNDLE_READY, err);
    return r;
}

static int send_go(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    int r = cl_bundle_send(bundle->channel[0], CL_BUNDLE_GO, NULL);

    if (cl_message_has_no_reader(r)) /* it has said why */
        return 0;
    return r < 0 ? cl_fail(err, r, "send to the container's first process") : 0;
}

static int run_hooks(struct cl_bundle *bundle, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    const struct cl_bundle_state state = {
        .spec = bundle->spec,
        .id = bundle->start->id,
        .status = "creating",
        .path = bundle->start->path,
        .pid = bundle->pid,
    };
    int r = cl_bundle_write_state(&state, &text, err);

    if (r == 0)
        r = cl_bundle_hooks(bundle->spec, CL_HOOK_PRESTART, &text, err);
    if (r == 0)
        r = cl_bundle_hooks(bundle->spec, CL_HOOK_CREATE_RUNTIME, &text, err);
    return r;
}

/* The runtime's hooks when the first process says so, and its word that it is ready. */
static int wait_for_first(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;
    const struct cl_spec *spec = bundle->spec;

    if (cl_spec_has_hook(spec, CL_HOOK_PRESTART) ||
        cl_spec_has_hook(spec, CL_HOOK_CREATE_RUNTIME)) {
        int r = cl_bundle_expect(bundle->channel[0], CL_BUNDLE_HOOKS, err);

        if (r == 0)
            r = run_hooks(bundle, err);
        if (r < 0)
            return r;
        r = cl_bundle_send(bundle->channel[0], CL_BUNDLE_HOOKS, NULL);
        if (r < 0 && !cl_message_has_no_reader(r))
            return cl_fail(err, r, "send to the container's first process");
    }
    return cl_bundle_expect(bundle->channel[0], CL_BUNDLE_READY, err);
}

static const struct cl_step create_steps[] = {
    {"lay out the command", cl_bundle_make_vectors, cl_bundle_free_vectors},
    {NULL, cl_bundle_open_namespaces, cl_bundle_close_namespaces},
    {NULL, open_trees, close_trees},
    {"choose a mount namespace", choose_origin, close_origin},
    {"open the cgroup", cl_bundle_open_tasks, cl_bundle_close_tasks},
    {"make the channel", make_channel, close_channel},
    {"make the container", cl_bundle_clone, cl_bundle_end},
    {NULL, write_maps, NULL},
    {"let the first process go", send_go, NULL},
    {NULL, wait_for_first, NULL},
};

/* --- the interface ------------------------------------------------------------------------------
 */

static int set_up(struct cl_bundle *bundle, const struct cl_bundle_start *start,
                  struct cl_error *err)
{
    *bundle = (struct cl_bundle){
        .start = start,
        .spec = start->spec,
        .process = start->spec,
        .channel = {-1, -1},
        .pidfd = -1,
        .bare = -1,
        .root = -1,
        .proc = -1,
        .null = -1,
        .terminal = -1,
    };
    for (size_t i = 0; i < CL_ARRAY_SIZE(bundle->joined); i++)
        bundle->joined[i] = -1;
    for (size_t i = 0; i < CL_ARRAY_SIZE(bundle->group_trees); i++)
        bundle->group_trees[i] = -1;
    bundle->trees = cl_calloc(start->spec->mounts.count + 1, sizeof(*bundle->trees));
    if (bundle->trees == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < start->spec->mounts.count; i++)
        bundle->trees[i] = -1;
    return 0;
}

int cl_bundle_create(const struct cl_bundle_start *start, struct cl_bundle_process *ret,
                     struct cl_error *err)
{
    struct cl_bundle bundle;
    int r = set_up(&bundle, start, err);

    if (r < 0)
        return r;
    r = cl_steps_run(create_steps, CL_ARRAY_SIZE(create_steps), &bundle, err);
    if (r < 0)
        cl_bundle_close_trees(&bundle); /* of the step that failed half way, too */
    if (r == 0) {
        *ret = (struct cl_bundle_process){.pid = bundle.pid,
                                          .pidfd = CL_TAKE_FD(bundle.pidfd),
                                          .channel = CL_TAKE_FD(bundle.channel[0])};
        bundle.pid = 0; /* it lives on */
        cl_steps_undo(create_steps, CL_ARRAY_SIZE(create_steps), &bundle);
    }
    free(bundle.trees);
    return r;
}

static int fail_killed(struct cl_error *err)
{
    return cl_refuse(err, ESRCH, "the container's first process was killed");
}

int cl_bundle_keep(struct cl_bundle_process *process, struct cl_error *err)
{
    CL_CLEANUP_FD int channel = CL_TAKE_FD(process->channel);
    int r = cl_bundle_send(channel, CL_BUNDLE_KEEP, NULL);

    if (cl_message_has_no_reader(r))
        return fail_killed(err);
    return r < 0 ? cl_fail(err, r, "send to the container's first process") : 0;
}

int cl_bundle_begin(int connection, const struct cl_bundle_state *state,
                    const struct cl_bundle_process *process, struct cl_error *err)
{
    CL_CLEANUP_AGENT struct cl_agent agent = CL_AGENT_INIT;
    int r = cl_agent_open(state->spec, &agent, err);

    if (r < 0)
        return r;
    r = cl_bundle_send_begin(connection, agent.file);
    if (cl_message_has_no_reader(r))
        return fail_killed(err);
    if (r < 0)
        return cl_fail(err, r, "send to the container's first process");
    r = cl_agent_serve(&agent, connection, state, process, err);
    return r < 0 ? r : cl_bundle_await(connection, err);
}
