#include "sandbox/copy_apart.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/control.h"

/* What the process says at its end. */
struct outcome {
    int r; /* 0 or -errno, with why */
    struct cl_copy_end end;
    struct cl_error why;
};
_Static_assert(sizeof(struct outcome) <= 4096, "written whole (pipe(7))");

struct counted {
    const struct cl_copy_job *job;
    uint32_t left_out;
};

static void count_left_out(void *context, const char *path, int why)
{
    struct counted *counted = context;

    counted->left_out++;
    if (counted->job->left_out != NULL)
        counted->job->left_out(counted->job->context, path, why);
}

static int tie_to(pid_t parent, struct cl_error *err)
{
    int r = cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

    if (r < 0)
        return cl_fail(err, r, "prepare to copy files");
    if (getppid() != parent)
        _exit(1);
    return 0;
}

CL_NORETURN static void copy(const struct cl_copy_job *job, enum cl_copy_way way, pid_t parent,
                             int to)
{
    struct counted counted = {.job = job};
    struct cl_copy_job own = *job;
    struct outcome outcome = {0};

    own.is_last = 1;
    own.left_out = count_left_out;
    own.context = &counted;
    outcome.r = tie_to(parent, &outcome.why);
    if (outcome.r == 0)
        outcome.r = way == CL_COPY_IN ? cl_copy_into(&own, &outcome.why)
                                      : cl_copy_out_of(&own, &outcome.end.done, &outcome.why);
    outcome.end.left_out = counted.left_out;
    (void)cl_write_all(to, &outcome, sizeof(outcome)); /* who isn't there any more misses it */
    _exit(0);
}

int cl_copy_apart_start(const struct cl_copy_job *job, enum cl_copy_way way,
                        struct cl_copy_apart *ret, struct cl_error *err)
{
    struct cl_copy_apart apart = {.dir = job->found->entry.dir};
    struct cl_copy_job named = *job;
    const pid_t parent = getpid();
    int ends[2];
    int r = job->client == NULL ? cl_id_make(apart.client, err) : 0;

    if (r < 0)
        return r;
    if (job->client != NULL)
        (void)snprintf(apart.client, CL_ID_SIZE, "%s", job->client);
    named.client = apart.client;
    r = cl_sys_pipe2(ends, 0);
    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    CL_CLEANUP_FD int from = ends[0];
    CL_CLEANUP_FD int to = ends[1];
    apart.pid = fork();
    if (apart.pid < 0)
        return cl_fail(err, -errno, "make a process that copies files");
    if (apart.pid == 0) {
        cl_fd_close(&from);
        copy(&named, way, parent, to);
    }
    apart.from = CL_TAKE_FD(from);
    *ret = apart;
    return 0;
}

int cl_copy_apart_hear(const struct cl_copy_apart *apart, struct cl_copy_end *ret,
                       struct cl_error *err)
{
    struct outcome outcome = {0};
    ssize_t got;

    do
        got = cl_sys_read(apart->from, &outcome, sizeof(outcome));
    while (got == -EINTR);
    if (got != (ssize_t)sizeof(outcome))
        return cl_refuse(err, ECHILD, "the process that copies files was ended");
    *ret = outcome.end;
    if (outcome.r == 0)
        return 0;
    *err = outcome.why;
    return cl_error_check(err);
}

void cl_copy_apart_done(struct cl_copy_apart *apart)
{
    int status = 0;

    cl_fd_close(&apart->from);
    if (apart->pid <= 0)
        return;
    (void)cl_sys_kill(apart->pid, SIGKILL); /* ours until we reap it */
    (void)cl_sys_wait_for(apart->pid, &status);
    if (WIFSIGNALED(status))
        cl_control_forget(apart->dir, apart->client);
    apart->pid = 0;
}
