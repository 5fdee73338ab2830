#include "cmd/cloister/streams.h"

#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/out_file.h"

/* As a shell's "<": a FIFO waits for who writes. */
static int open_input(const char *path, struct cl_error *err)
{
    int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY, 0);

    return fd < 0 ? cl_fail(err, fd, "open the file %s", path) : fd;
}

static int open_error(const struct cl_run_request *request, int output, struct cl_error *err)
{
    const char *path = request->stderr_path;

    if (request->stdout_path == NULL || strcmp(path, request->stdout_path) != 0)
        return cl_out_file_open(path, "--stderr", "the file", err);
    int fd = cl_sys_fcntl(output, F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? cl_fail(err, fd, "duplicate a descriptor") : fd;
}

int cl_streams_open(const struct cl_run_request *request, struct cl_streams *ret,
                    struct cl_error *err)
{
    CL_CLEANUP_STREAMS struct cl_streams streams = CL_STREAMS_INIT;
    int *fds = streams.fds;

    if (request->stdin_path != NULL && (fds[0] = open_input(request->stdin_path, err)) < 0)
        return fds[0];
    if (request->stdout_path != NULL &&
        (fds[1] = cl_out_file_open(request->stdout_path, "--stdout", "the file", err)) < 0)
        return fds[1];
    if (request->stderr_path != NULL && (fds[2] = open_error(request, fds[1], err)) < 0)
        return fds[2];
    *ret = streams;
    streams = CL_STREAMS_INIT; // NOLINT(clang-analyzer-deadcode.DeadStores): the cleanup reads it
    return 0;
}

void cl_streams_done(struct cl_streams *streams)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(streams->fds); i++)
        cl_fd_close(&streams->fds[i]);
}
