#include "sandbox/result_file.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/out_file.h"

enum { RECORD_MAX = 1 << 20 };

int cl_result_file_open(const char *path, struct cl_error *err)
{
    return cl_out_file_open(path, "--result", "the result file", err);
}

/* A pipe that is full makes us wait, as any program: the sandbox is gone by then, and whoever
 * has enough of it can end us, whose signals were taken over for the sandbox. */
static int write_patiently(int fd, const char *data, size_t size)
{
    const uint64_t none = 0;
    struct pollfd room = {.fd = fd, .events = POLLOUT};

    while (size > 0) {
        ssize_t written = cl_sys_poll(&room, 1, 0);

        /* Never more than a pipe that polls writable takes: what could not be opened anew may
         * block (pipe(7)). */
        if (written > 0)
            written = cl_sys_write(fd, data, cl_min_u64(size, PIPE_BUF));
        else if (written == 0)
            written = -EAGAIN;
        if (written == -EAGAIN) {
            (void)cl_sys_rt_sigprocmask(SIG_SETMASK, &none, NULL); /* can't fail */
            int r = cl_sys_poll(&room, 1, -1); /* the next write tells what woke us */
            if (r < 0 && r != -EINTR)
                return r;
        } else if (written < 0 && written != -EINTR) {
            return (int)written;
        } else if (written > 0) {
            data += written;
            size -= (size_t)written;
        }
    }
    return 0;
}

int cl_result_file_write_text(int fd, const struct cl_buf *text, struct cl_error *err)
{
    int r = write_patiently(fd, text->data, text->size);

    return r < 0 ? cl_fail(err, r, "write the result") : 0;
}

int cl_result_file_write(int fd, const struct cl_result *result, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(RECORD_MAX);
    int r = cl_result_print(result, &text, err);

    return r < 0 ? r : cl_result_file_write_text(fd, &text, err);
}

void cl_result_file_refuse(const char *path, const struct cl_plan *plan, const struct cl_error *why)
{
    struct cl_error ignored = {0}; /* WHY is what is told */
    CL_CLEANUP_FD int fd = cl_result_file_open(path, &ignored);
    const uint64_t now = cl_clock_wall_ns();
    const struct cl_result result = {
        .plan = plan,
        .status = CL_STATUS_ERROR,
        .exit_code = -1,
        .error = why->msg,
        .created_wall_ns = now,
        .ended_wall_ns = now,
    };

    if (fd >= 0)
        (void)cl_result_file_write(fd, &result, &ignored);
}
