/* delete: removes what is left of a container that has ended; with --force also one that runs. */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"

enum { END_MS = 10000 };

struct context {
    int force;
};

static const struct cl_option options[] = {
    CL_OCI_FLAG(context, "force", 'f',
                "kill it first, when it runs; and an id that is gone is none", force),
    CL_OCI_HELP,
};

/* As start's: what fails is told and changes nothing. */
void cl_oci_say_stopped(const struct cl_oci *oci, const struct cl_oci_container *container)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    const struct cl_bundle_state state = {
        .spec = &container->spec,
        .id = container->id,
        .status = "stopped",
        .path = container->record.bundle,
    };
    struct cl_error err = {0};
    int r = 0;

    if (!cl_spec_has_hook(&container->spec, CL_HOOK_POSTSTOP))
        return;
    r = cl_bundle_write_state(&state, &text, &err);
    if (r == 0)
        r = cl_bundle_hooks(&container->spec, CL_HOOK_POSTSTOP, &text, &err);
    if (r < 0)
        cl_oci_say(oci, "warning", err.msg);
}

static int stop_at_first(CL_UNUSED void *context, CL_UNUSED pid_t pid)
{
    return -EEXIST;
}

/* Of a cgroup that is gone, or never came to be, those above it may be there. */
__attribute__((noinline)) /* its place must not lie in its caller's frame */
static void
forget_group(const struct cl_oci_container *container)
{
    struct cl_group_place place;

    cl_container_place(container, &place);
    cl_group_forget(&place);
}

/* With all that is left in its cgroup: those who share its pid namespace with others don't end with
 * its first process. */
static int remove_group(struct cl_oci_container *container, struct cl_error *err)
{
    struct cl_group group = {.count = 0};
    struct cl_error refusal;
    struct cl_error unused;

    int r = cl_container_group(container, &group, &refusal);
    if (r == -ENOENT) {
        forget_group(container);
        return 0;
    }
    if (r < 0) {
        *err = refusal;
        return r;
    }
    if (cl_group_pids(&group, stop_at_first, NULL, &unused) != 0)
        (void)cl_group_kill(&group, SIGKILL, &unused); /* who is left shows when it is removed */
    return cl_group_remove(&group, err);
}

int cl_oci_find_class(const struct cl_oci_container *container, struct cl_resctrl *ret,
                      struct cl_error *err)
{
    *ret = CL_RESCTRL_NONE;
    if (!cl_spec_has(&container->spec, CL_SPEC_INTEL_RDT))
        return 0;
    CL_CLEANUP_FD int top = cl_resctrl_open(err);
    int r = top < 0 ? top : cl_resctrl_read(top, &container->spec, container->id, ret, err);
    if (r == 0)
        ret->top = CL_TAKE_FD(top);
    return r;
}

/* When its processes are dead; with the file system itself all classes have gone. */
static int remove_class(const struct cl_oci_container *container, struct cl_error *err)
{
    struct cl_resctrl resctrl;
    int r = cl_oci_find_class(container, &resctrl, err);

    if (r < 0)
        return r == -ENOTSUP ? 0 : r;
    r = cl_resctrl_remove(&resctrl, err);
    cl_resctrl_close(&resctrl);
    return r;
}

int cl_oci_remove(struct cl_oci *oci, struct cl_oci_container *container, struct cl_error *err)
{
    int r = remove_group(container, err);

    if (r == 0)
        r = remove_class(container, err);
    if (r < 0)
        return r;
    if (container->record.set != 0 && container->record.pid != 0)
        cl_oci_say_stopped(oci, container);
    return cl_container_remove(container, err);
}

/* Until the process is dead, whoever reaps it. */
static int end(const struct cl_oci_container *container, struct cl_error *err)
{
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    CL_CLEANUP_FD int pidfd = cl_container_pidfd(container);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    struct cl_error unused;

    if (pidfd == -ESRCH)
        return 0;
    if (pidfd < 0)
        return cl_fail(err, pidfd, "look at the first process of container %s", container->id);
    if (cl_container_group(container, &group, &unused) == 0)
        (void)cl_group_kill(&group, SIGKILL, &unused); /* frozen ones too */
    int r = cl_sys_pidfd_send_signal(pidfd, SIGKILL);
    if (r < 0 && r != -ESRCH)
        return cl_fail(err, r, "kill container %s", container->id);
    do
        r = cl_sys_poll(&ended, 1, END_MS);
    while (r == -EINTR);
    if (r == 0)
        return cl_refuse(err, EBUSY, "container %s doesn't die within %d s", container->id,
                         END_MS / 1000);
    return r < 0 ? cl_fail(err, r, "wait for the end of container %s", container->id) : 0;
}

static int run(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    struct context context = {0};
    int r = cl_oci_parse_id(self, argc, argv, &context, err);

    if (r < 0)
        return r;
    const char *id = argv[r];
    r = cl_oci_find(oci, id, 1, &container, err);
    if (r == -ENOENT && context.force)
        return 0;
    if (r < 0)
        return r;
    const int status = cl_container_status(&container, err);
    if (status < 0)
        return status;
    if (status != CL_CONTAINER_STOPPED && status != CL_CONTAINER_CREATED && !context.force)
        return cl_refuse(err, EBUSY,
                         "cannot delete container %s that is not stopped: %s; kill it, or say "
                         "--force",
                         id, cl_container_status_name(status));
    r = end(&container, err);
    return r < 0 ? r : cl_oci_remove(oci, &container, err);
}

const struct cl_oci_command cl_oci_delete = {
    .name = "delete",
    .usage = "[--force] ID",
    .help = "Remove a container that has ended",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
