/* Tasks and their processes: what there is, and what becomes known of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cmd/containerd-shim-cloister-v2/calls.h"
#include "rpc/event_messages.h"

static char *copy_text(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = cl_calloc(1, size);

    return copy == NULL ? NULL : memcpy(copy, text, size);
}

/* --- by name --------------------------------------------------------------------------------- */

struct cl_shim_task *cl_shim_find_task(const struct cl_shim *shim, const char *id)
{
    struct cl_shim_task *task = shim->tasks;

    while (task != NULL && strcmp(task->id, id) != 0)
        task = task->next;
    return task;
}

struct cl_shim_process *cl_shim_find_process(struct cl_shim_task *task, const char *exec_id)
{
    struct cl_shim_process *process = task->execs;

    if (exec_id[0] == '\0')
        return &task->first;
    while (process != NULL && strcmp(process->exec_id, exec_id) != 0)
        process = process->next;
    return process;
}

struct cl_shim_process *cl_shim_need_process(const struct cl_shim *shim, const char *id,
                                             const char *exec_id, struct cl_error *err)
{
    struct cl_shim_task *task = cl_shim_find_task(shim, id);
    struct cl_shim_process *process = task == NULL ? NULL : cl_shim_find_process(task, exec_id);

    if (task == NULL)
        (void)cl_refuse(err, ENOENT, "container %.128s: there is none here", id);
    else if (process == NULL)
        (void)cl_refuse(err, ENOENT, "container %.128s has no process %.128s", id, exec_id);
    return process;
}

/* --- coming and going ------------------------------------------------------------------------ */

static void init_process(struct cl_shim_process *process, struct cl_shim_task *task)
{
    *process = (struct cl_shim_process){
        .task = task,
        .streams = {.loop = &task->shim->loop,
                    .paths = {"", "", ""},
                    .outer = {-1, -1, -1},
                    .theirs = {-1, -1, -1},
                    .ours = {-1, -1, -1},
                    .console = -1,
                    .master = -1,
                    .ready = -1,
                    .on_end = cl_shim_streams_have_ended,
                    .context = process},
    };
}

/* Whoever waits for it learns that it is no more. */
static void refuse_callers(struct cl_shim_process *process)
{
    struct cl_error gone = {0};
    struct cl_rpc_call *call;

    if (process->waiters == NULL && process->deleter == NULL)
        return;
    (void)cl_refuse(&gone, ENOENT, "container %.128s: the process is no more", process->task->id);
    while ((call = process->waiters) != NULL) {
        process->waiters = call->next;
        cl_rpc_refuse(call, &gone);
    }
    call = process->deleter;
    process->deleter = NULL;
    if (call != NULL)
        cl_rpc_refuse(call, &gone);
}

static void done_process(struct cl_shim_process *process)
{
    refuse_callers(process);
    cl_shim_streams_done(&process->streams);
    for (size_t i = 0; i < CL_SHIM_STREAMS; i++) {
        if (process->streams.paths[i][0] != '\0')
            free(cl_unconst(process->streams.paths[i]));
    }
    free(process->exec_id);
    free(process->spec);
}

int cl_shim_process_set_streams(struct cl_shim_process *process,
                                const char *const paths[CL_SHIM_STREAMS], int terminal,
                                struct cl_error *err)
{
    process->streams.terminal = terminal;
    for (size_t i = 0; i < CL_SHIM_STREAMS; i++) {
        char *copy = paths[i][0] == '\0' ? cl_unconst("") : copy_text(paths[i]);

        if (copy == NULL)
            return cl_fail_memory(err);
        process->streams.paths[i] = copy;
    }
    return 0;
}

int cl_shim_task_new(struct cl_shim *shim, const char *id, struct cl_shim_task **ret,
                     struct cl_error *err)
{
    struct cl_shim_task *task = cl_calloc(1, sizeof(*task));

    if (task == NULL)
        return cl_fail_memory(err);
    task->shim = shim;
    task->oom.fd = -1;
    init_process(&task->first, task);
    task->first.exec_id = copy_text("");
    task->id = copy_text(id);
    if (task->id == NULL || task->first.exec_id == NULL) {
        done_process(&task->first);
        free(task->id);
        free(task);
        return cl_fail_memory(err);
    }
    task->next = shim->tasks;
    shim->tasks = task;
    *ret = task;
    return 0;
}

int cl_shim_task_set_bundle(struct cl_shim_task *task, const char *bundle, struct cl_error *err)
{
    task->bundle = copy_text(bundle);
    return task->bundle == NULL ? cl_fail_memory(err) : 0;
}

void cl_shim_task_free(struct cl_shim_task *task)
{
    struct cl_shim_task **at = &task->shim->tasks;

    while (task->execs != NULL)
        cl_shim_process_free(task->execs);
    while (*at != task)
        at = &(*at)->next;
    *at = task->next;
    cl_shim_task_unwatch(task);
    cl_shim_jobs_forget(task->shim, task);
    done_process(&task->first);
    free(task->id);
    free(task->bundle);
    free(task);
}

int cl_shim_process_new(struct cl_shim_task *task, const char *exec_id,
                        struct cl_shim_process **ret, struct cl_error *err)
{
    struct cl_shim_process *process = cl_calloc(1, sizeof(*process));

    if (process == NULL)
        return cl_fail_memory(err);
    init_process(process, task);
    process->exec_id = copy_text(exec_id);
    if (process->exec_id == NULL) {
        free(process);
        return cl_fail_memory(err);
    }
    process->next = task->execs;
    task->execs = process;
    *ret = process;
    return 0;
}

void cl_shim_process_free(struct cl_shim_process *process)
{
    struct cl_shim_process **at = &process->task->execs;

    while (*at != process)
        at = &(*at)->next;
    *at = process->next;
    done_process(process);
    free(process);
}

/* --- ends ------------------------------------------------------------------------------------ */

static void publish_exit(const struct cl_shim_process *process)
{
    const struct cl_shim_task *task = process->task;
    const struct cl_msg_time at = cl_msg_time_of(process->exited_ns);
    const struct cl_msg_task_exit event = {
        .container_id = task->id,
        .id = process->exec_id[0] == '\0' ? task->id : process->exec_id,
        .pid = (uint32_t)process->pid,
        .exit_status = process->exit_status,
        .exited_at = &at,
    };

    (void)cl_publish(&task->shim->publisher, "/tasks/exit", "containerd.events.TaskExit",
                     &cl_msg_task_exit_shape, &event); /* or the state tells it */
}

void cl_shim_process_tell_end(struct cl_shim_process *process)
{
    const struct cl_msg_time at = cl_msg_time_of(process->exited_ns);
    const struct cl_msg_waited waited = {process->exit_status, &at};
    struct cl_rpc_call *call;

    process->has_exit = 0;
    process->state = CL_SHIM_STOPPED;
    cl_shim_streams_finish(&process->streams);
    if (process->exit_status != 0)
        cl_shim_task_look(process->task);
    publish_exit(process);
    while ((call = process->waiters) != NULL) {
        process->waiters = call->next;
        cl_rpc_answer(call, &waited);
    }
}

void cl_shim_process_settle(struct cl_shim_process *process)
{
    if (process->has_exit &&
        (process->state == CL_SHIM_CREATED || process->state == CL_SHIM_RUNNING))
        cl_shim_process_tell_end(process);
}

static int note_end(struct cl_shim_process *process, int status)
{
    process->exit_status =
        WIFSIGNALED(status) ? 128 + (uint32_t)WTERMSIG(status) : (uint32_t)WEXITSTATUS(status);
    process->exited_ns = cl_clock_wall_ns();
    process->has_exit = 1;
    /* Who waits to hear of its creation or start hears of that first; and that it has been paused,
     * or something executed in it, isn't told behind its end. */
    if (process != &process->task->first || process->task->job == NULL)
        cl_shim_process_settle(process);
    return 1;
}

static int is_its(const struct cl_shim_process *process, pid_t pid)
{
    return process->pid == pid && !process->has_exit && process->state != CL_SHIM_STOPPED;
}

int cl_shim_process_ended(struct cl_shim *shim, pid_t pid, int status)
{
    for (struct cl_shim_task *task = shim->tasks; task != NULL; task = task->next) {
        if (is_its(&task->first, pid))
            return note_end(&task->first, status);
        for (struct cl_shim_process *one = task->execs; one != NULL; one = one->next) {
            if (is_its(one, pid))
                return note_end(one, status);
        }
    }
    return 0;
}

static int is_logger(struct cl_shim_process *process, pid_t pid)
{
    if (process->streams.logger != pid)
        return 0;
    process->streams.logger = 0;
    cl_shim_streams_have_ended(process);
    return 1;
}

int cl_shim_logger_ended(struct cl_shim *shim, pid_t pid)
{
    for (struct cl_shim_task *task = shim->tasks; task != NULL; task = task->next) {
        if (is_logger(&task->first, pid))
            return 1;
        for (struct cl_shim_process *one = task->execs; one != NULL; one = one->next) {
            if (is_logger(one, pid))
                return 1;
        }
    }
    return 0;
}
