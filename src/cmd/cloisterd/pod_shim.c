/* The shim of a pod, containerd-shim-cloister-v2: how it is started, reached and removed. */
#include "cmd/cloisterd/pod_shim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"

enum { WORDS = 16 };

/* --- its places ------------------------------------------------------------------------------ */

void cl_pod_bundle(const struct cl_pod *pod, char ret[CL_BUNDLE_PATH])
{
    (void)snprintf(ret, CL_BUNDLE_PATH, "%s/bundles/%s,%s", pod->daemon->options->state, pod->space,
                   pod->id);
}

static int make_bundle(const struct cl_pod *pod, struct cl_error *err)
{
    char path[CL_BUNDLE_PATH];

    cl_pod_bundle(pod, path);
    int r = cl_dir_make_path(path, 0700, 0700);
    if (r < 0)
        return cl_fail(err, r, "make the sandbox's bundle");
    int fd = cl_sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    return fd < 0 ? cl_fail(err, fd, "open the sandbox's bundle") : fd;
}

/* What the shim has left, it has left: its files alone are known. */
void cl_pod_remove_bundle(const struct cl_pod *pod)
{
    static const char *const names[] = {"address", ".address", "log"};
    char path[CL_BUNDLE_PATH];

    cl_pod_bundle(pod, path);
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd < 0)
        return;
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++)
        (void)cl_sys_unlinkat(fd, names[i], 0); /* gone is fine */
    (void)cl_sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

static int read_address(struct cl_pod *pod, struct cl_error *err)
{
    static const char scheme[] = "unix://";
    char path[CL_BUNDLE_PATH + 16];
    char text[CL_DAEMON_ADDRESS + sizeof(scheme) - 1] = "";

    cl_pod_bundle(pod, path);
    (void)snprintf(path + strlen(path), sizeof(path) - strlen(path), "/address");
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    ssize_t size = fd < 0 ? fd : cl_sys_read(fd, text, sizeof(text) - 1);
    if (size < 0)
        return cl_fail(err, (int)size, "read the address of the sandbox's shim");
    if (strncmp(text, scheme, sizeof(scheme) - 1) != 0)
        return cl_refuse(err, EIO, "the sandbox's shim says no address");
    (void)snprintf(pod->shim, sizeof(pod->shim), "%s", text + sizeof(scheme) - 1);
    return 0;
}

int cl_pod_take_shim(struct cl_pod *pod, int status, struct cl_error *err)
{
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return cl_refuse(err, EIO, "the sandbox's shim can't be started");
    int r = read_address(pod, err);
    return r < 0 ? r : cl_pod_record(pod, err);
}

/* --- its shim -------------------------------------------------------------------------------- */

int cl_pod_run_shim(struct cl_pod *pod, const char *action, void (*on_end)(void *, int),
                    void *context, struct cl_error *err)
{
    char bundle[CL_BUNDLE_PATH];
    char *argv[WORDS] = {cl_unconst("containerd-shim-cloister-v2"),
                         cl_unconst("-namespace"),
                         pod->space,
                         cl_unconst("-address"),
                         cl_unconst(pod->daemon->options->address),
                         cl_unconst("-id"),
                         pod->id,
                         cl_unconst("-bundle"),
                         bundle,
                         cl_unconst(action)};
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    CL_CLEANUP_FD int cwd = make_bundle(pod, err);

    if (cwd < 0 || null < 0)
        return cwd < 0 ? cwd : cl_fail(err, null, "open /dev/null");
    cl_pod_bundle(pod, bundle);
    const int fds[] = {null, null, STDERR_FILENO};
    const struct cl_child_start start = {.path = pod->daemon->shim.path,
                                         .argv = argv,
                                         .envp = environ,
                                         .fds = fds,
                                         .fd_count = CL_ARRAY_SIZE(fds),
                                         .cwd = cwd};
    return cl_daemon_start_child(pod->daemon, &start, on_end, context, err);
}

int cl_pod_reach_shim(struct cl_pod *pod, struct cl_error *err)
{
    if (cl_rpc_client_is_there(pod->client))
        return 0;
    if (pod->shim[0] == '\0')
        return cl_refuse(err, EBUSY, "the sandbox %s is being created", pod->id);
    if (cl_rpc_client_is_telling(pod->client))
        return cl_refuse(err, EAGAIN, "the shim of the sandbox %s has just ended", pod->id);
    cl_rpc_client_free(pod->client);
    pod->client = NULL;
    return cl_rpc_client_new(&pod->daemon->loop, pod->shim, &pod->client, err);
}
