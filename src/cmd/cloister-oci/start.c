/* start: a container that was made becomes its command. */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"

enum { END_MS = 1000 };

static const struct cl_option options[] = {CL_OCI_HELP};

static int run_hooks(const struct cl_oci_container *container, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    const struct cl_bundle_state state = {
        .spec = &container->spec,
        .id = container->id,
        .status = "running",
        .path = container->record.bundle,
        .pid = (int)container->record.pid,
    };

    if (!cl_spec_has_hook(&container->spec, CL_HOOK_POSTSTART))
        return 0;
    int r = cl_bundle_write_state(&state, &text, err);
    return r < 0 ? r : cl_bundle_hooks(&container->spec, CL_HOOK_POSTSTART, &text, err);
}

/* And waits a moment, so that who asks next is told that it has ended. */
static void kill_first(int pidfd)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};

    if (cl_sys_pidfd_send_signal(pidfd, SIGKILL) == 0)
        (void)cl_sys_poll(&ended, 1, END_MS);
}

int cl_oci_begin(struct cl_oci_container *container, struct cl_error *err)
{
    if (!cl_spec_has(&container->spec, CL_SPEC_ARGS))
        return cl_refuse(err, EINVAL, "process: the bundle has no command to start");
    CL_CLEANUP_FD int pidfd = cl_container_pidfd(container);
    if (pidfd == -ESRCH)
        return cl_refuse(err, ESRCH, "the container's first process was killed");
    if (pidfd < 0)
        return cl_fail(err, pidfd, "open the container's first process");
    CL_CLEANUP_FD int connection = cl_container_connect(container, err);
    if (connection < 0)
        return connection;
    const struct cl_bundle_state state = {
        .spec = &container->spec,
        .id = container->id,
        .status = "created",
        .path = container->record.bundle,
        .pid = (int)container->record.pid,
    };
    const struct cl_bundle_process process = {(int)container->record.pid, pidfd, -1};
    int r = cl_oci_watch(container, err);
    if (r == 0)
        r = cl_bundle_begin(connection, &state, &process, err);
    if (r < 0) /* it may wait still, for who can't be reached */
        kill_first(pidfd);
    struct cl_error other;
    int forgotten = cl_container_forget_start(container, &other); /* it has begun, or ends */
    if (r < 0)
        return r;
    if (forgotten < 0)
        *err = other; /* what begins once more must not seem to wait for it */
    r = forgotten < 0 ? forgotten : run_hooks(container, err);
    if (r < 0) /* runtime.md, "Lifecycle": the container is stopped then */
        kill_first(pidfd);
    return r;
}

static int run(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    int r = cl_oci_parse_id(self, argc, argv, oci, err);

    if (r < 0)
        return r;
    const char *id = argv[r];
    r = cl_oci_find(oci, id, 1, &container, err);
    if (r < 0)
        return r;
    const int status = cl_container_status(&container, err);
    if (status < 0)
        return status;
    if (status != CL_CONTAINER_CREATED)
        return cl_refuse(err, EINVAL, "cannot start a container that is %s",
                         cl_container_status_name(status));
    return cl_oci_begin(&container, err);
}

const struct cl_oci_command cl_oci_start = {
    .name = "start",
    .usage = "ID",
    .help = "Start a container that was created",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
