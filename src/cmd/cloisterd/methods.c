/* What the daemon can be asked for, by whichever socket. */
#include "cmd/cloisterd/daemon.h"

#define CONTROLLER "containerd.services.sandbox.v1.Controller"
/* Of a container that is a guest of ours the method is served here; of another its pod's shim does.
 */
#define GUESTS_OR_OTHERS(name)                                                                     \
    static int name##_or_elsewhere(struct cl_rpc_call *call, struct cl_error *err)                 \
    {                                                                                              \
        struct cl_task *task = find_elsewhere(call);                                               \
        return task == NULL ? name(call, err) : cl_sidecar_pass_on(task, call, err);               \
    }

/* All requests of the task service begin with the container's name. */
static struct cl_task *find_elsewhere(const struct cl_rpc_call *call)
{
    const struct cl_msg_name *request = call->request;
    struct cl_task *task = cl_daemon_find_task(call->context, call->space, request->id);

    return task != NULL && task->state == CL_TASK_ELSEWHERE ? task : NULL;
}

GUESTS_OR_OTHERS(cl_task_serve_state)
GUESTS_OR_OTHERS(cl_task_serve_start)
GUESTS_OR_OTHERS(cl_task_serve_delete)
GUESTS_OR_OTHERS(cl_task_serve_pids)
GUESTS_OR_OTHERS(cl_task_serve_pause)
GUESTS_OR_OTHERS(cl_task_serve_resume)
GUESTS_OR_OTHERS(cl_task_serve_checkpoint)
GUESTS_OR_OTHERS(cl_task_serve_kill)
GUESTS_OR_OTHERS(cl_task_serve_exec)
GUESTS_OR_OTHERS(cl_task_serve_resize)
GUESTS_OR_OTHERS(cl_task_serve_close_io)
GUESTS_OR_OTHERS(cl_task_serve_update)
GUESTS_OR_OTHERS(cl_task_serve_wait)
GUESTS_OR_OTHERS(cl_task_serve_stats)
GUESTS_OR_OTHERS(cl_task_serve_connect)

#define TASK(version, name, request, response, serve)                                              \
    {                                                                                              \
        "containerd.task." version ".Task", name, &(request), &(response), serve                   \
    }
#define TASKS(version)                                                                             \
    TASK(version, "State", cl_msg_name_shape, cl_msg_state_shape,                                  \
         cl_task_serve_state_or_elsewhere),                                                        \
        TASK(version, "Create", cl_msg_create_shape, cl_msg_pid_shape, cl_task_serve_create),      \
        TASK(version, "Start", cl_msg_name_shape, cl_msg_pid_shape,                                \
             cl_task_serve_start_or_elsewhere),                                                    \
        TASK(version, "Delete", cl_msg_name_shape, cl_msg_deleted_shape,                           \
             cl_task_serve_delete_or_elsewhere),                                                   \
        TASK(version, "Pids", cl_msg_name_shape, cl_msg_pids_shape,                                \
             cl_task_serve_pids_or_elsewhere),                                                     \
        TASK(version, "Pause", cl_msg_name_shape, cl_msg_empty_shape,                              \
             cl_task_serve_pause_or_elsewhere),                                                    \
        TASK(version, "Resume", cl_msg_name_shape, cl_msg_empty_shape,                             \
             cl_task_serve_resume_or_elsewhere),                                                   \
        TASK(version, "Checkpoint", cl_msg_name_shape, cl_msg_empty_shape,                         \
             cl_task_serve_checkpoint_or_elsewhere),                                               \
        TASK(version, "Kill", cl_msg_kill_shape, cl_msg_empty_shape,                               \
             cl_task_serve_kill_or_elsewhere),                                                     \
        TASK(version, "Exec", cl_msg_exec_shape, cl_msg_empty_shape,                               \
             cl_task_serve_exec_or_elsewhere),                                                     \
        TASK(version, "ResizePty", cl_msg_resize_shape, cl_msg_empty_shape,                        \
             cl_task_serve_resize_or_elsewhere),                                                   \
        TASK(version, "CloseIO", cl_msg_close_io_shape, cl_msg_empty_shape,                        \
             cl_task_serve_close_io_or_elsewhere),                                                 \
        TASK(version, "Update", cl_msg_update_shape, cl_msg_empty_shape,                           \
             cl_task_serve_update_or_elsewhere),                                                   \
        TASK(version, "Wait", cl_msg_name_shape, cl_msg_waited_shape,                              \
             cl_task_serve_wait_or_elsewhere),                                                     \
        TASK(version, "Stats", cl_msg_name_shape, cl_msg_stats_shape,                              \
             cl_task_serve_stats_or_elsewhere),                                                    \
        TASK(version, "Connect", cl_msg_name_shape, cl_msg_connected_shape,                        \
             cl_task_serve_connect_or_elsewhere),                                                  \
        TASK(version, "Shutdown", cl_msg_shutdown_shape, cl_msg_empty_shape,                       \
             cl_task_serve_shutdown)

const struct cl_rpc_method cl_daemon_methods[] = {
    TASKS("v2"),
    TASKS("v3"),
    {CONTROLLER, "Create", &cl_msg_controller_create_shape, &cl_msg_sandbox_name_shape,
     cl_controller_create},
    {CONTROLLER, "Start", &cl_msg_sandbox_name_shape, &cl_msg_controller_started_shape,
     cl_controller_start},
    {CONTROLLER, "Platform", &cl_msg_sandbox_name_shape, &cl_msg_platform_told_shape,
     cl_controller_platform},
    {CONTROLLER, "Stop", &cl_msg_sandbox_stop_shape, &cl_msg_empty_shape, cl_controller_stop},
    {CONTROLLER, "Wait", &cl_msg_sandbox_name_shape, &cl_msg_waited_shape, cl_controller_wait},
    {CONTROLLER, "Status", &cl_msg_sandbox_ask_shape, &cl_msg_sandbox_status_shape,
     cl_controller_status},
    {CONTROLLER, "Shutdown", &cl_msg_sandbox_name_shape, &cl_msg_empty_shape,
     cl_controller_shutdown},
    {CONTROLLER, "Metrics", &cl_msg_sandbox_name_shape, &cl_msg_metrics_shape,
     cl_controller_metrics},
};
const size_t cl_daemon_method_count = CL_ARRAY_SIZE(cl_daemon_methods);
