/* The task service, versions 2 and 3: what each call asks for, and what is done for it; and the
 * table of all methods.
 *
 * What cloister-oci has to do is a job; its call is kept until that has ended. A call that finds
 * its task busy with another waits for its turn, in the order in which they came.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/calls.h"
#include "cmd/containerd-shim-cloister-v2/sandbox.h"
#include "rpc/event_messages.h"
#include "rpc/sandbox_messages.h"

/* For output that is still to be carried when its process is deleted. */
static const uint64_t PATIENCE_NS = 2 * CL_NS_PER_S;

/* --- kill ------------------------------------------------------------------------------------ */

/* Whether it has ended, maybe only just: then we don't know it yet. */
static int has_ended(const struct cl_shim_process *process)
{
    siginfo_t info = {0};

    return process->state == CL_SHIM_STOPPED || process->has_exit ||
           (cl_sys_waitid(P_PID, process->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid == process->pid);
}

/* That it ended by itself meanwhile is an answer that its callers look for. */
static void on_killed(struct cl_shim_job *job, int r, struct cl_error *err)
{
    /* The task may be gone: it wasn't held up by this. */
    if (r < 0 && (job->process == NULL || has_ended(job->process)))
        r = cl_refuse(err, ESRCH, "process already finished");
    cl_shim_answer_job(job, r, &(struct cl_msg_empty){0}, err);
}

static int serve_kill(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_kill *request = call->request;
    struct cl_shim_process *process =
        cl_shim_need_process(call->context, request->id, request->exec_id, err);

    if (process == NULL)
        return -ENOENT;
    struct cl_shim_task *task = process->task;
    if (request->signal > 64)
        return cl_refuse(err, EINVAL, "signal: there is none of the number %u", request->signal);
    if (process->state == CL_SHIM_STOPPED)
        return cl_refuse(err, ESRCH, "process already finished");
    if (process != &task->first) {
        if (process->pid == 0 || process->has_exit)
            return cl_refuse(err, EALREADY, "the process hasn't been started");
        int r = cl_sys_kill(process->pid, (int)request->signal); /* our child: it is that one */
        if (r < 0)
            return cl_fail(err, r, "kill process %s", request->exec_id);
        cl_rpc_answer(call, &(struct cl_msg_empty){0});
        return 0;
    }
    if (process->state == CL_SHIM_NEW)
        return cl_shim_wait_for_turn(task, call); /* it is being created */
    const char *number = cl_arena_printf(&call->arena, "%u", request->signal);
    const char *of_all[CL_SHIM_JOB_WORDS] = {"kill", "--all", task->id, number};
    const char *of_one[CL_SHIM_JOB_WORDS] = {"kill", task->id, number};
    if (number == NULL)
        return cl_fail_memory(err);
    return cl_shim_start_beside(cl_shim_new_job(process, call, on_killed),
                                request->all ? of_all : of_one, err);
}

/* --- pause, resume, update -------------------------------------------------------------------- */

static void on_paused(struct cl_shim_job *job, int r, struct cl_error *err)
{
    struct cl_shim_task *task = job->task;

    if (r == 0) {
        task->is_paused = !task->is_paused;
        cl_shim_publish_changed(task, task->is_paused ? "/tasks/paused" : "/tasks/resumed",
                                task->is_paused ? "containerd.events.TaskPaused"
                                                : "containerd.events.TaskResumed",
                                NULL);
    }
    cl_shim_answer_empty(job, r, err);
}

static int pause_or_resume(struct cl_rpc_call *call, int is_pause, struct cl_error *err)
{
    const struct cl_msg_name *request = call->request;
    struct cl_shim_process *process;
    int r = cl_shim_take_turn(call, request->id, "", &process, err);

    if (r != 0)
        return r;
    struct cl_shim_task *task = process->task;
    if (process->state != CL_SHIM_RUNNING || task->is_paused == is_pause)
        return cl_refuse(err, EALREADY,
                         is_pause ? "the container doesn't run" : "the container isn't paused");
    const char *words[CL_SHIM_JOB_WORDS] = {is_pause ? "pause" : "resume", task->id};
    return cl_shim_start_job(cl_shim_new_job(process, call, on_paused), words, cl_shim_no_streams,
                             err);
}

static int serve_pause(struct cl_rpc_call *call, struct cl_error *err)
{
    return pause_or_resume(call, 1, err);
}

static int serve_resume(struct cl_rpc_call *call, struct cl_error *err)
{
    return pause_or_resume(call, 0, err);
}

static int serve_update(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_update *request = call->request;
    struct cl_shim_process *process;
    int r = cl_shim_take_turn(call, request->id, "", &process, err);

    if (r != 0)
        return r;
    struct cl_shim_task *task = process->task;
    if (request->resources == NULL)
        return cl_refuse(err, EINVAL, "update: no resources are named");
    CL_CLEANUP_FD int fd = cl_sys_memfd_create("resources", 1 /* MFD_CLOEXEC */);
    r = fd < 0 ? fd
               : cl_write_all(fd, request->resources->value.data, request->resources->value.size);
    if (r == 0)
        r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
    if (r < 0)
        return cl_fail(err, r, "hand on the resources");
    const int fds[CL_SHIM_STREAMS] = {fd, -1, -1};
    const char *words[CL_SHIM_JOB_WORDS] = {"update", "--resources", "-", task->id};
    return cl_shim_start_job(cl_shim_new_job(process, call, cl_shim_answer_empty), words, fds, err);
}

/* --- delete ---------------------------------------------------------------------------------- */

static void describe_end(const struct cl_shim_process *process, struct cl_msg_time *at,
                         struct cl_msg_deleted *ret)
{
    *at = cl_msg_time_of(process->exited_ns);
    *ret = (struct cl_msg_deleted){(uint32_t)process->pid, process->exit_status, at};
}

/* One that was never started was ended by its deletion: maybe its end comes only behind that. */
static void end_now(struct cl_shim_process *process)
{
    int status = SIGKILL;

    if (process->has_exit) {
        cl_shim_process_tell_end(process);
        return;
    }
    if (process->pid != 0 && cl_sys_wait_for(process->pid, &status) < 0)
        status = SIGKILL; /* it has been waited for */
    (void)cl_shim_process_ended(process->task->shim, process->pid, status);
}

static void publish_delete(const struct cl_shim_task *task, const struct cl_msg_deleted *deleted)
{
    const struct cl_msg_task_delete event = {.container_id = task->id,
                                             .pid = deleted->pid,
                                             .exit_status = deleted->exit_status,
                                             .exited_at = deleted->exited_at};

    (void)cl_publish(&task->shim->publisher, "/tasks/delete", "containerd.events.TaskDelete",
                     &cl_msg_task_delete_shape, &event); /* its caller is told as well */
}

static void settle_deleted(struct cl_shim_task *task, struct cl_msg_time *at,
                           struct cl_msg_deleted *ret)
{
    if (task->first.state != CL_SHIM_STOPPED)
        end_now(&task->first);
    describe_end(&task->first, at, ret);
    publish_delete(task, ret);
}

void cl_shim_task_is_removed(struct cl_shim_task *task)
{
    struct cl_msg_deleted deleted;
    struct cl_msg_time at;

    settle_deleted(task, &at, &deleted);
    cl_shim_forget(task);
}

static void on_deleted(struct cl_shim_job *job, int r, struct cl_error *err)
{
    struct cl_msg_deleted deleted;
    struct cl_msg_time at;

    if (r < 0) {
        cl_shim_answer_empty(job, r, err);
        return;
    }
    settle_deleted(job->task, &at, &deleted);
    struct cl_shim_task *task = job->task;
    cl_shim_answer_job(job, 0, &deleted, err);
    cl_shim_forget(task);
}

static int delete_now(struct cl_shim_process *process, struct cl_rpc_call *call,
                      struct cl_error *err)
{
    struct cl_shim_task *task = process->task;
    struct cl_msg_deleted deleted;
    struct cl_msg_time at;

    if (process == &task->first) {
        const char *words[CL_SHIM_JOB_WORDS] = {"delete", task->id};
        return cl_shim_start_job(cl_shim_new_job(process, call, on_deleted), words,
                                 cl_shim_no_streams, err);
    }
    describe_end(process, &at, &deleted);
    cl_rpc_answer(call, &deleted);
    cl_shim_process_free(process);
    return 0;
}

/* In the loop's next round: a relay that has just ended is still in use. */
void cl_shim_streams_have_ended(void *context)
{
    const struct cl_shim_process *process = context;

    cl_shim_ring(process->task->shim, 1);
}

static int may_go(struct cl_shim_process *process, uint64_t now_ns)
{
    return process->deleter != NULL &&
           (!cl_shim_streams_are_busy(&process->streams) || process->patience_ns <= now_ns);
}

/* The first of TASK's that somebody waits to delete, and can. */
static struct cl_shim_process *find_deleted(struct cl_shim_task *task, uint64_t now_ns)
{
    struct cl_shim_process *process = task->execs;

    if (may_go(&task->first, now_ns))
        return &task->first;
    while (process != NULL && !may_go(process, now_ns))
        process = process->next;
    return process;
}

static struct cl_shim_process *find_any_deleted(const struct cl_shim *shim, uint64_t now_ns)
{
    struct cl_shim_process *process = NULL;

    for (struct cl_shim_task *task = shim->tasks; task != NULL && process == NULL;
         task = task->next)
        process = find_deleted(task, now_ns);
    return process;
}

static void tidy_tasks(struct cl_shim *shim, uint64_t now_ns)
{
    for (struct cl_shim_task *task = shim->tasks; task != NULL; task = task->next) {
        if (task->looks_ns != 0 && task->looks_ns <= now_ns) {
            task->looks_ns = 0;
            cl_shim_task_look(task);
        }
        cl_shim_streams_tidy(&task->first.streams);
        for (struct cl_shim_process *one = task->execs; one != NULL; one = one->next)
            cl_shim_streams_tidy(&one->streams);
    }
}

int cl_shim_task_waits(const struct cl_shim_task *task)
{
    const struct cl_shim_process *process = task->execs;

    while (process != NULL && process->deleter == NULL)
        process = process->next;
    return process != NULL || task->first.deleter != NULL || task->looks_ns != 0;
}

void cl_shim_tidy(struct cl_shim *shim)
{
    const uint64_t now_ns = cl_clock_mono_ns();
    struct cl_shim_process *process;

    tidy_tasks(shim, now_ns);
    while ((process = find_any_deleted(shim, now_ns)) != NULL) {
        struct cl_rpc_call *call = process->deleter;
        struct cl_error err = {0};

        process->deleter = NULL;
        int r = call->method->serve(call, &err);
        if (r < 0)
            cl_rpc_refuse(call, &err);
    }
}

static int serve_delete(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_name *request = call->request;
    struct cl_shim_process *process;
    int r = cl_shim_take_turn(call, request->id, request->exec_id, &process, err);

    if (r != 0)
        return r;
    if (process->state == CL_SHIM_STARTING || process->state == CL_SHIM_RUNNING)
        return cl_refuse(err, EALREADY, "the process still runs");
    if (process->deleter != NULL)
        return cl_refuse(err, EALREADY, "the process is being deleted");
    if (cl_shim_streams_are_busy(&process->streams) && process->patience_ns == 0) {
        call->keeper = process;
        call->on_gone = cl_shim_leave_deleter;
        process->deleter = call;
        process->patience_ns = cl_clock_mono_ns() + PATIENCE_NS;
        cl_shim_ring(process->task->shim, PATIENCE_NS);
        return CL_RPC_KEPT;
    }
    return delete_now(process, call, err);
}

static int serve_checkpoint(CL_UNUSED struct cl_rpc_call *call, struct cl_error *err)
{
    return cl_refuse(err, ENOSYS, "no container can be saved");
}

/* As long as it has containers, or a sandbox, it stays. */
static int serve_shutdown(struct cl_rpc_call *call, CL_UNUSED struct cl_error *err)
{
    const struct cl_msg_shutdown *request = call->request;
    struct cl_shim *shim = call->context;
    const int leaves_all = request->now != 0;
    const int is_leaving = (shim->tasks == NULL && shim->sandbox == NULL) || leaves_all;

    cl_rpc_answer(call, &(struct cl_msg_empty){0}); /* the request is no more */
    shim->is_leaving = is_leaving;
    shim->leaves_all = leaves_all;
    if (is_leaving && cl_publisher_is_idle(&shim->publisher))
        cl_loop_stop(&shim->loop);
    return 0;
}

#define TASK(version, name, request, response, serve)                                              \
    {                                                                                              \
        "containerd.task." version ".Task", name, &(request), &(response), serve                   \
    }
#define TASKS(version)                                                                             \
    TASK(version, "State", cl_msg_name_shape, cl_msg_state_shape, cl_shim_serve_state),            \
        TASK(version, "Create", cl_msg_create_shape, cl_msg_pid_shape, cl_shim_serve_create),      \
        TASK(version, "Start", cl_msg_name_shape, cl_msg_pid_shape, cl_shim_serve_start),          \
        TASK(version, "Delete", cl_msg_name_shape, cl_msg_deleted_shape, serve_delete),            \
        TASK(version, "Pids", cl_msg_name_shape, cl_msg_pids_shape, cl_shim_serve_pids),           \
        TASK(version, "Pause", cl_msg_name_shape, cl_msg_empty_shape, serve_pause),                \
        TASK(version, "Resume", cl_msg_name_shape, cl_msg_empty_shape, serve_resume),              \
        TASK(version, "Checkpoint", cl_msg_name_shape, cl_msg_empty_shape, serve_checkpoint),      \
        TASK(version, "Kill", cl_msg_kill_shape, cl_msg_empty_shape, serve_kill),                  \
        TASK(version, "Exec", cl_msg_exec_shape, cl_msg_empty_shape, cl_shim_serve_exec),          \
        TASK(version, "ResizePty", cl_msg_resize_shape, cl_msg_empty_shape, cl_shim_serve_resize), \
        TASK(version, "CloseIO", cl_msg_close_io_shape, cl_msg_empty_shape,                        \
             cl_shim_serve_close_io),                                                              \
        TASK(version, "Update", cl_msg_update_shape, cl_msg_empty_shape, serve_update),            \
        TASK(version, "Wait", cl_msg_name_shape, cl_msg_waited_shape, cl_shim_serve_wait),         \
        TASK(version, "Stats", cl_msg_name_shape, cl_msg_stats_shape, cl_shim_serve_stats),        \
        TASK(version, "Connect", cl_msg_name_shape, cl_msg_connected_shape,                        \
             cl_shim_serve_connect),                                                               \
        TASK(version, "Shutdown", cl_msg_shutdown_shape, cl_msg_empty_shape, serve_shutdown)

#define SANDBOX(name, request, response, serve)                                                    \
    {                                                                                              \
        "containerd.runtime.sandbox.v1.Sandbox", name, &cl_msg_##request##_shape,                  \
            &cl_msg_##response##_shape, cl_shim_sandbox_##serve                                    \
    }

const struct cl_rpc_method cl_shim_methods[] = {
    TASKS("v2"),
    TASKS("v3"),
    SANDBOX("CreateSandbox", sandbox_create, empty, create),
    SANDBOX("StartSandbox", sandbox_name, sandbox_started, start),
    SANDBOX("Platform", sandbox_name, platform_told, platform),
    SANDBOX("StopSandbox", sandbox_stop, empty, stop),
    SANDBOX("WaitSandbox", sandbox_name, waited, wait),
    SANDBOX("SandboxStatus", sandbox_ask, sandbox_status, status),
    SANDBOX("PingSandbox", sandbox_name, empty, ping),
    SANDBOX("ShutdownSandbox", sandbox_name, empty, shutdown),
    SANDBOX("SandboxMetrics", sandbox_name, metrics, metrics),
};
const size_t cl_shim_method_count = CL_ARRAY_SIZE(cl_shim_methods);
