/* stdio.h - a command's standard streams: pipes of ours, and whether there is input at all. */
#ifndef CL_SANDBOX_STDIO_H
#define CL_SANDBOX_STDIO_H

#include "base/error.h"
#include "plan/plan.h"

/* Whether FD, a caller's standard input, is input without -i: a terminal is none, and /dev/null is
 * what the command gets anyway. */
int cl_stdio_has_input(int fd);

/* Makes the pipe for the command's standard descriptor FD: our end, non-blocking, and theirs, which
 * PLAN's user of the sandbox whose uids begin at UID_BASE (0: rootless) can open again. What is
 * made is set when it fails half way, too. */
struct cl_stdio_pipe {
    int ours;
    int theirs;
};
#define CL_STDIO_PIPE_INIT ((struct cl_stdio_pipe){-1, -1})
int cl_stdio_make_pipe(int fd, uint32_t uid_base, const struct cl_plan *plan,
                       struct cl_stdio_pipe *ret, struct cl_error *err);

#endif
