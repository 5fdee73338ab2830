/* kill: a signal for a container's first process, or with --all for each of its processes. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/fd.h"
#include "base/signals.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"

struct context {
    int all;
};

static const struct cl_option options[] = {
    CL_OCI_FLAG(context, "all", 'a', "to all of its processes", all),
    CL_OCI_HELP,
};

/* v1's freezer holds processes against SIGKILL (freezer-subsystem.rst). */
__attribute__((noinline)) /* its cgroup must not lie in its caller's frame */
static void
let_die(const struct cl_oci_container *container)
{
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    struct cl_error unused;

    if (cl_container_group(container, &group, &unused) == 0)
        (void)cl_group_thaw_v1(&group); /* who isn't frozen dies without */
}

static int send_signal(const struct cl_oci_container *container, int signal, struct cl_error *err)
{
    CL_CLEANUP_FD int pidfd = cl_container_pidfd(container);
    int r = pidfd < 0 ? pidfd : cl_sys_pidfd_send_signal(pidfd, signal);

    if (r == 0 && signal == SIGKILL)
        let_die(container);

    if (r == -ESRCH) /* in these words engines know it */
        return cl_refuse(err, ESRCH, "container not running: the process of %s has finished",
                         container->id);
    return r < 0 ? cl_fail(err, r, "send signal %d to container %s", signal, container->id) : 0;
}

/* Also when the first process has ended, and others live on that share its pid namespace. */
static int send_to_all(const struct cl_oci_container *container, int signal, struct cl_error *err)
{
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    struct cl_error unused;

    if (cl_container_group(container, &group, &unused) < 0)
        return send_signal(container, signal, err);
    return cl_group_kill(&group, signal, err);
}

static int run(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    struct context context = {0};
    int signal = SIGTERM;
    int first = cl_oci_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (argc - first < 1 || argc - first > 2)
        return cl_refuse(err, EINVAL, "kill: expected an id and a signal: cloister-oci kill %s",
                         self->usage);
    if (argc - first == 2 && strcmp(argv[first + 1], "0") == 0)
        signal = 0; /* asks whether it is there: kill(2) */
    else if (argc - first == 2 && cl_signal_parse(argv[first + 1], &signal, err) < 0)
        return cl_prefix(err, "kill");
    int r = cl_oci_find(oci, argv[first], 0, &container, err);
    if (r < 0)
        return r;
    return context.all ? send_to_all(&container, signal, err)
                       : send_signal(&container, signal, err);
}

const struct cl_oci_command cl_oci_kill = {
    .name = "kill",
    .usage = "[--all] ID [SIGNAL]",
    .help = "Send a signal (TERM) to a container's first process",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
