/* What the daemon can be asked for, by whichever socket. */
#include "cmd/cloisterd/daemon.h"

#define CONTROLLER "containerd.services.sandbox.v1.Controller"
#define TASK(version, name, request, response, serve)                                              \
    {                                                                                              \
        "containerd.task." version ".Task", name, &(request), &(response), serve                   \
    }
#define TASKS(version)                                                                             \
    TASK(version, "State", cl_msg_name_shape, cl_msg_state_shape, cl_task_serve_state),            \
        TASK(version, "Create", cl_msg_create_shape, cl_msg_pid_shape, cl_task_serve_create),      \
        TASK(version, "Start", cl_msg_name_shape, cl_msg_pid_shape, cl_task_serve_start),          \
        TASK(version, "Delete", cl_msg_name_shape, cl_msg_deleted_shape, cl_task_serve_delete),    \
        TASK(version, "Pids", cl_msg_name_shape, cl_msg_pids_shape, cl_task_serve_pids),           \
        TASK(version, "Pause", cl_msg_name_shape, cl_msg_empty_shape, cl_task_serve_pause),        \
        TASK(version, "Resume", cl_msg_name_shape, cl_msg_empty_shape, cl_task_serve_resume),      \
        TASK(version, "Checkpoint", cl_msg_name_shape, cl_msg_empty_shape,                         \
             cl_task_serve_checkpoint),                                                            \
        TASK(version, "Kill", cl_msg_kill_shape, cl_msg_empty_shape, cl_task_serve_kill),          \
        TASK(version, "Exec", cl_msg_exec_shape, cl_msg_empty_shape, cl_task_serve_exec),          \
        TASK(version, "ResizePty", cl_msg_resize_shape, cl_msg_empty_shape, cl_task_serve_resize), \
        TASK(version, "CloseIO", cl_msg_close_io_shape, cl_msg_empty_shape,                        \
             cl_task_serve_close_io),                                                              \
        TASK(version, "Update", cl_msg_update_shape, cl_msg_empty_shape, cl_task_serve_update),    \
        TASK(version, "Wait", cl_msg_name_shape, cl_msg_waited_shape, cl_task_serve_wait),         \
        TASK(version, "Stats", cl_msg_name_shape, cl_msg_stats_shape, cl_task_serve_stats),        \
        TASK(version, "Connect", cl_msg_name_shape, cl_msg_connected_shape,                        \
             cl_task_serve_connect),                                                               \
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
