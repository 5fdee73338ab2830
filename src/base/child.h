/* child.h - another program, started and ended by us.
 *
 * Owner: whoever holds the struct; cl_child_done kills what still runs and reaps it, so that
 * nothing that was started here outlives its use. The program gets exactly the descriptors
 * that are named, no signal blocked or ignored, and the environment that is named.
 */
#ifndef CL_BASE_CHILD_H
#define CL_BASE_CHILD_H

#include <signal.h>
#include <sys/types.h>

#include "base/error.h"

enum { CL_CHILD_MAX_FDS = 16 };

struct cl_child_start {
    const char *path;
    char *const *argv;
    char *const *envp;
    const int *fds; /* fds[i] becomes descriptor i; -1: it has no such */
    size_t fd_count;
    int cwd; /* a descriptor of its working directory; -1: ours */
};

struct cl_child {
    pid_t pid; /* 0: none, or reaped */
    int pidfd;
};
#define CL_CHILD_INIT ((struct cl_child){.pidfd = -1})

void cl_child_done(struct cl_child *child);
#define CL_CLEANUP_CHILD CL_CLEANUP(cl_child_done)

/* Takes what *CHILD holds. */
struct cl_child cl_child_take(struct cl_child *child);

/* Only the core's three standard descriptors must be open. Errors are execve's and more. */
int cl_child_start(const struct cl_child_start *start, struct cl_child *ret, struct cl_error *err);

/* Waits for its end and reaps it. */
int cl_child_wait(struct cl_child *child, siginfo_t *ret, struct cl_error *err);

#endif
