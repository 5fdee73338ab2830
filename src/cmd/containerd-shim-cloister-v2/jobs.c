/* What cloister-oci does for us, one process each; and the ends of all our children. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/child.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/sandbox.h"
#include "cmd/containerd-shim-cloister-v2/shim.h"

enum { MESSAGE_MOST = 4096, GLOBAL_WORDS = 9, PID_TEXT = 16 };

/* --- one ------------------------------------------------------------------------------------ */

static void free_job(struct cl_shim_job *job)
{
    cl_fd_close(&job->log);
    free(job);
}

static int spawn(struct cl_shim_job *job, const char *const words[CL_SHIM_JOB_WORDS],
                 const int fds[CL_SHIM_STREAMS], struct cl_error *err)
{
    char pid[PID_TEXT];
    /* When we are killed, who removes what there is finds nobody at work. */
    char *argv[GLOBAL_WORDS + CL_SHIM_JOB_WORDS + 1] = {
        cl_unconst("cloister-oci"), cl_unconst("--root"),          job->shim->state,
        cl_unconst("--log"),        cl_unconst("/proc/self/fd/3"), cl_unconst("--log-format"),
        cl_unconst("plain"),        cl_unconst("--parent"),        pid};
    size_t count = GLOBAL_WORDS;
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    struct cl_child child = CL_CHILD_INIT;

    if (null < 0)
        return cl_fail(err, null, "open /dev/null");
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    job->log = cl_sys_memfd_create("log", 1 /* MFD_CLOEXEC */);
    if (job->log < 0)
        return cl_fail(err, job->log, "make a job's log");
    for (size_t i = 0; i < CL_SHIM_JOB_WORDS && words[i] != NULL; i++)
        argv[count++] = cl_unconst(words[i]);
    const int given[] = {fds[0] < 0 ? null : fds[0], fds[1] < 0 ? null : fds[1],
                         fds[2] < 0 ? null : fds[2], job->log};
    const struct cl_child_start start = {.path = job->shim->runtime.path,
                                         .argv = argv,
                                         .envp = environ,
                                         .fds = given,
                                         .fd_count = CL_ARRAY_SIZE(given),
                                         .cwd = -1};
    int r = cl_child_start(&start, &child, err);
    if (r < 0)
        return r;
    job->pid = child.pid;
    cl_fd_close(&child.pidfd); /* SIGCHLD tells of its end */
    return 0;
}

int cl_shim_job_start(struct cl_shim_job *job, const char *const words[CL_SHIM_JOB_WORDS],
                      const int fds[CL_SHIM_STREAMS], struct cl_error *err)
{
    int r = spawn(job, words, fds, err);

    if (r < 0) {
        free_job(job);
        return r;
    }
    job->next = job->shim->jobs;
    job->shim->jobs = job;
    return 0;
}

/* The last line of its log is why it failed. */
static int read_reason(const struct cl_shim_job *job, struct cl_error *err)
{
    char text[MESSAGE_MOST];
    struct stat st = {0};
    ssize_t size = 0;

    if (cl_sys_fstat(job->log, &st) == 0 && st.st_size > 0) {
        const off_t from = st.st_size < MESSAGE_MOST ? 0 : st.st_size - (MESSAGE_MOST - 1);

        size = cl_sys_pread(job->log, text, sizeof(text) - 1, from);
    }
    while (size > 0 && text[size - 1] == '\n')
        size--;
    if (size <= 0)
        return cl_refuse(err, EIO, "cloister-oci failed without a word");
    text[size] = '\0';
    const char *line = strrchr(text, '\n');
    return cl_refuse(err, EIO, "%s", line == NULL ? text : line + 1);
}

int cl_shim_job_ended(struct cl_shim *shim, pid_t pid, int status)
{
    struct cl_shim_job **at = &shim->jobs;
    struct cl_error err = {0};

    while (*at != NULL && (*at)->pid != pid)
        at = &(*at)->next;
    struct cl_shim_job *job = *at;
    if (job == NULL)
        return 0;
    *at = job->next;
    int r = 0;
    if (WIFSIGNALED(status))
        r = cl_refuse(&err, EIO, "cloister-oci was ended by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        r = read_reason(job, &err);
    if (job->task != NULL && job->task->job == job)
        job->task->job = NULL;
    job->on_end(job, r, &err);
    free_job(job);
    return 1;
}

void cl_shim_jobs_forget(struct cl_shim *shim, const struct cl_shim_task *task)
{
    for (struct cl_shim_job *job = shim->jobs; job != NULL; job = job->next) {
        if (job->task == task) {
            job->task = NULL;
            job->process = NULL;
        }
    }
}

/* --- all of them ----------------------------------------------------------------------------- */

/* A process may end before we are told that there is one. */
struct cl_shim_early {
    struct cl_shim_early *next;
    pid_t pid;
    int status;
};

static void keep_early(struct cl_shim *shim, pid_t pid, int status)
{
    struct cl_shim_early *early = shim->jobs == NULL ? NULL : cl_calloc(1, sizeof(*early));

    if (early == NULL)
        return; /* nobody's, then: of the sandboxed code's own making */
    *early = (struct cl_shim_early){shim->early, pid, status};
    shim->early = early;
}

static void forget_early(struct cl_shim *shim)
{
    struct cl_shim_early *early;

    while ((early = shim->early) != NULL) {
        shim->early = early->next;
        free(early);
    }
}

void cl_shim_process_is(struct cl_shim_process *process, pid_t pid)
{
    struct cl_shim *shim = process->task->shim;

    process->pid = pid;
    for (struct cl_shim_early **at = &shim->early; *at != NULL; at = &(*at)->next) {
        struct cl_shim_early *early = *at;

        if (early->pid != pid)
            continue;
        *at = early->next;
        (void)cl_shim_process_ended(shim, pid, early->status);
        free(early);
        return;
    }
}

void cl_shim_reap(struct cl_shim *shim)
{
    int status = 0;
    pid_t pid;

    while ((pid = cl_sys_wait4(-1, &status, WNOHANG, NULL)) > 0 || pid == -EINTR) {
        if (pid == -EINTR || cl_shim_job_ended(shim, pid, status) ||
            cl_shim_process_ended(shim, pid, status) || cl_shim_logger_ended(shim, pid) ||
            cl_shim_sandbox_ended(shim, pid, status))
            continue;
        keep_early(shim, pid, status);
    }
    if (shim->jobs == NULL)
        forget_early(shim);
}
