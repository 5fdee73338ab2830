/* What containerd asks about tasks and processes, and small things that it wants at once. */
#include <errno.h>
#include <unistd.h>

#include "cmd/containerd-shim-cloister-v2/calls.h"

/* --- what is asked --------------------------------------------------------------------------- */

int cl_shim_serve_wait(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_name *request = call->request;
    struct cl_shim_process *process =
        cl_shim_need_process(call->context, request->id, request->exec_id, err);

    if (process == NULL)
        return -ENOENT;
    if (process->state == CL_SHIM_STOPPED) {
        const struct cl_msg_time at = cl_msg_time_of(process->exited_ns);

        cl_rpc_answer(call, &(struct cl_msg_waited){process->exit_status, &at});
        return 0;
    }
    call->keeper = process;
    call->on_gone = cl_shim_leave_waiters;
    call->next = process->waiters;
    process->waiters = call;
    return CL_RPC_KEPT;
}

static enum cl_task_status status_of(const struct cl_shim_process *process)
{
    static const enum cl_task_status statuses[] = {
        [CL_SHIM_NEW] = CL_TASK_CREATED,      [CL_SHIM_CREATED] = CL_TASK_CREATED,
        [CL_SHIM_STARTING] = CL_TASK_CREATED, [CL_SHIM_RUNNING] = CL_TASK_RUNNING,
        [CL_SHIM_STOPPED] = CL_TASK_STOPPED,
    };

    return process->state == CL_SHIM_RUNNING && process->task->is_paused ? CL_TASK_PAUSED
                                                                         : statuses[process->state];
}

int cl_shim_serve_state(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_name *request = call->request;
    const struct cl_shim_process *process =
        cl_shim_need_process(call->context, request->id, request->exec_id, err);

    if (process == NULL)
        return -ENOENT;
    const struct cl_msg_time at = cl_msg_time_of(process->exited_ns);
    cl_rpc_answer(call, &(struct cl_msg_state){
                            .id = process->task->id,
                            .bundle = process->task->bundle,
                            .pid = (uint32_t)process->pid,
                            .status = status_of(process),
                            .in = process->streams.paths[CL_SHIM_IN],
                            .out = process->streams.paths[CL_SHIM_OUT],
                            .error = process->streams.paths[CL_SHIM_ERR],
                            .terminal = (uint32_t)process->streams.terminal,
                            .exit_status = process->exit_status,
                            .exited_at = process->state == CL_SHIM_STOPPED ? &at : NULL,
                            .exec_id = process->exec_id,
                        });
    return 0;
}

int cl_shim_serve_resize(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_resize *request = call->request;
    const struct cl_shim_process *process =
        cl_shim_need_process(call->context, request->id, request->exec_id, err);

    if (process == NULL)
        return -ENOENT;
    int r = cl_shim_streams_resize(&process->streams, request->width, request->height, err);
    if (r == 0)
        cl_rpc_answer(call, &(struct cl_msg_empty){0});
    return r;
}

int cl_shim_serve_close_io(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_close_io *request = call->request;
    struct cl_shim_process *process =
        cl_shim_need_process(call->context, request->id, request->exec_id, err);

    if (process == NULL)
        return -ENOENT;
    if (request->in)
        cl_shim_streams_close_input(&process->streams);
    cl_rpc_answer(call, &(struct cl_msg_empty){0});
    return 0;
}

int cl_shim_serve_connect(struct cl_rpc_call *call, CL_UNUSED struct cl_error *err)
{
    const struct cl_msg_name *request = call->request;
    const struct cl_shim_task *task = cl_shim_find_task(call->context, request->id);

    cl_rpc_answer(
        call, &(struct cl_msg_connected){.shim_pid = (uint32_t)getpid(),
                                         .task_pid = task == NULL ? 0 : (uint32_t)task->first.pid,
                                         .version = CL_VERSION});
    return 0;
}
