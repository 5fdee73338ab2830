/* Calls that are kept: for their turn, for a job, for an end. */
#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/calls.h"
#include "rpc/event_messages.h"

const int cl_shim_no_streams[CL_SHIM_STREAMS] = {-1, -1, -1};

/* --- keeping calls --------------------------------------------------------------------------- */

static void leave_list(struct cl_rpc_call **list, struct cl_rpc_call *call)
{
    while (*list != NULL && *list != call)
        list = &(*list)->next;
    if (*list != NULL)
        *list = call->next;
}

static void leave_pending(struct cl_rpc_call *call)
{
    struct cl_shim_task *task = call->keeper;

    leave_list(&task->pending, call);
}

void cl_shim_leave_waiters(struct cl_rpc_call *call)
{
    struct cl_shim_process *process = call->keeper;

    leave_list(&process->waiters, call);
}

static void leave_job(struct cl_rpc_call *call)
{
    struct cl_shim_job *job = call->keeper;

    job->call = NULL;
}

void cl_shim_leave_deleter(struct cl_rpc_call *call)
{
    struct cl_shim_process *process = call->keeper;

    process->deleter = NULL;
}

/* Until what is being done to TASK has been. */
int cl_shim_wait_for_turn(struct cl_shim_task *task, struct cl_rpc_call *call)
{
    struct cl_rpc_call **at = &task->pending;

    while (*at != NULL)
        at = &(*at)->next;
    call->next = NULL;
    call->keeper = task;
    call->on_gone = leave_pending;
    *at = call;
    return CL_RPC_KEPT;
}

int cl_shim_take_turn(struct cl_rpc_call *call, const char *id, const char *exec_id,
                      struct cl_shim_process **ret, struct cl_error *err)
{
    struct cl_shim_process *process = cl_shim_need_process(call->context, id, exec_id, err);

    if (process == NULL)
        return -ENOENT;
    *ret = process;
    return process->task->job == NULL ? 0 : cl_shim_wait_for_turn(process->task, call);
}

void cl_shim_go_on(struct cl_shim_task *task)
{
    struct cl_error err = {0};

    if (task->job == NULL)
        cl_shim_process_settle(&task->first);
    while (task->job == NULL && task->pending != NULL) {
        struct cl_rpc_call *call = task->pending;
        struct cl_shim *shim = task->shim;
        const struct cl_msg_name *name = call->request; /* each begins like that */
        char id[CL_SHIM_ID_MOST + 1];

        (void)snprintf(id, sizeof(id), "%s", name->id);
        task->pending = call->next;
        int r = call->method->serve(call, &err);
        if (r < 0)
            cl_rpc_refuse(call, &err);
        task = cl_shim_find_task(shim, id); /* it may be gone */
        if (task == NULL)
            return;
    }
}

/* --- jobs ------------------------------------------------------------------------------------ */

struct cl_shim_job *cl_shim_new_job(struct cl_shim_process *process, struct cl_rpc_call *call,
                                    void (*on_end)(struct cl_shim_job *, int, struct cl_error *))
{
    struct cl_shim_job *job = cl_calloc(1, sizeof(*job));

    if (job == NULL)
        return NULL;
    *job = (struct cl_shim_job){.shim = process->task->shim,
                                .log = -1,
                                .task = process->task,
                                .process = process,
                                .call = call,
                                .on_end = on_end};
    return job;
}

/* On success CALL is kept, by the job. */
static int start_kept(struct cl_shim_job *job, const char *const words[CL_SHIM_JOB_WORDS],
                      const int fds[CL_SHIM_STREAMS], struct cl_error *err)
{
    if (job == NULL)
        return cl_fail_memory(err);
    struct cl_rpc_call *call = job->call;
    int r = cl_shim_job_start(job, words, fds, err);
    if (r < 0)
        return r;
    if (call != NULL) {
        call->keeper = job;
        call->on_gone = leave_job;
    }
    return CL_RPC_KEPT;
}

int cl_shim_start_job(struct cl_shim_job *job, const char *const words[CL_SHIM_JOB_WORDS],
                      const int fds[CL_SHIM_STREAMS], struct cl_error *err)
{
    struct cl_shim_task *task = job == NULL ? NULL : job->task;
    int r = start_kept(job, words, fds, err);

    if (r >= 0)
        task->job = job;
    return r;
}

int cl_shim_start_beside(struct cl_shim_job *job, const char *const words[CL_SHIM_JOB_WORDS],
                         struct cl_error *err)
{
    return start_kept(job, words, cl_shim_no_streams, err);
}

void cl_shim_answer_job(struct cl_shim_job *job, int r, const void *response, struct cl_error *err)
{
    if (job->call == NULL)
        return;
    if (r < 0)
        cl_rpc_refuse(job->call, err);
    else
        cl_rpc_answer(job->call, response);
    job->call = NULL;
}

void cl_shim_answer_empty(struct cl_shim_job *job, int r, struct cl_error *err)
{
    cl_shim_answer_job(job, r, &(struct cl_msg_empty){0}, err);
    cl_shim_go_on(job->task);
}

/* The number that cloister-oci has written for a process. */
int cl_shim_read_pid(const char *bundle, const char *name, pid_t *ret, struct cl_error *err)
{
    char path[CL_SHIM_PATH];
    char text[32] = "";
    uint64_t pid = 0;

    (void)snprintf(path, sizeof(path), "%s/%s.pid", bundle, name);
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY, 0);
    ssize_t size = fd < 0 ? fd : cl_sys_read(fd, text, sizeof(text) - 1);
    if (size <= 0 || cl_parse_u64(text, &pid) < 0 || pid == 0 || pid > INT32_MAX)
        return cl_refuse(err, EIO, "cloister-oci has left no number of a process in %.200s", path);
    *ret = (pid_t)pid;
    return 0;
}

void cl_shim_publish_changed(const struct cl_shim_task *task, const char *topic, const char *type,
                             const struct cl_shim_process *process)
{
    const struct cl_msg_task_changed event = {
        .container_id = task->id,
        .exec_id = process == NULL ? "" : process->exec_id,
        .pid = process == NULL ? 0 : (uint32_t)process->pid,
    };

    (void)cl_publish(&task->shim->publisher, topic, type, &cl_msg_task_changed_shape,
                     &event); /* or the state tells it */
}

void cl_shim_forget(struct cl_shim_task *task)
{
    struct cl_error gone = {0};
    struct cl_rpc_call *call;

    (void)cl_refuse(&gone, ENOENT, "container %.128s: there is none here", task->id);
    while ((call = task->pending) != NULL) {
        task->pending = call->next;
        cl_rpc_refuse(call, &gone);
    }
    if (task->is_mounted)
        cl_bundle_unmount(task->bundle);
    cl_shim_task_free(task);
}
