#include "rpc/task_messages.h"

static const struct cl_wire_field create_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_create, id),
    CL_WIRE_ROW(2, TEXT, cl_msg_create, bundle),
    CL_WIRE_INNER(3, MESSAGES, cl_msg_create, rootfs, &cl_msg_mount_shape),
    CL_WIRE_ROW(4, U32, cl_msg_create, terminal),
    CL_WIRE_ROW(5, TEXT, cl_msg_create, in),
    CL_WIRE_ROW(6, TEXT, cl_msg_create, out),
    CL_WIRE_ROW(7, TEXT, cl_msg_create, error),
    CL_WIRE_ROW(8, TEXT, cl_msg_create, checkpoint),
    CL_WIRE_ROW(9, TEXT, cl_msg_create, parent_checkpoint),
    CL_WIRE_INNER(10, MESSAGE, cl_msg_create, options, &cl_msg_any_shape),
};
const struct cl_wire_shape cl_msg_create_shape =
    CL_WIRE_SHAPE("CreateTaskRequest", cl_msg_create, create_rows);

static const struct cl_wire_field pid_rows[] = {CL_WIRE_ROW(1, U32, cl_msg_pid, pid)};
const struct cl_wire_shape cl_msg_pid_shape = CL_WIRE_SHAPE("a process", cl_msg_pid, pid_rows);

static const struct cl_wire_field name_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_name, id),
    CL_WIRE_ROW(2, TEXT, cl_msg_name, exec_id),
};
const struct cl_wire_shape cl_msg_name_shape =
    CL_WIRE_SHAPE("a process's name", cl_msg_name, name_rows);

static const struct cl_wire_field deleted_rows[] = {
    CL_WIRE_ROW(1, U32, cl_msg_deleted, pid),
    CL_WIRE_ROW(2, U32, cl_msg_deleted, exit_status),
    CL_WIRE_INNER(3, MESSAGE, cl_msg_deleted, exited_at, &cl_msg_time_shape),
};
const struct cl_wire_shape cl_msg_deleted_shape =
    CL_WIRE_SHAPE("DeleteResponse", cl_msg_deleted, deleted_rows);

static const struct cl_wire_field exec_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_exec, id),
    CL_WIRE_ROW(2, TEXT, cl_msg_exec, exec_id),
    CL_WIRE_ROW(3, U32, cl_msg_exec, terminal),
    CL_WIRE_ROW(4, TEXT, cl_msg_exec, in),
    CL_WIRE_ROW(5, TEXT, cl_msg_exec, out),
    CL_WIRE_ROW(6, TEXT, cl_msg_exec, error),
    CL_WIRE_INNER(7, MESSAGE, cl_msg_exec, spec, &cl_msg_any_shape),
};
const struct cl_wire_shape cl_msg_exec_shape =
    CL_WIRE_SHAPE("ExecProcessRequest", cl_msg_exec, exec_rows);

static const struct cl_wire_field resize_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_resize, id),
    CL_WIRE_ROW(2, TEXT, cl_msg_resize, exec_id),
    CL_WIRE_ROW(3, U32, cl_msg_resize, width),
    CL_WIRE_ROW(4, U32, cl_msg_resize, height),
};
const struct cl_wire_shape cl_msg_resize_shape =
    CL_WIRE_SHAPE("ResizePtyRequest", cl_msg_resize, resize_rows);

static const struct cl_wire_field state_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_state, id),
    CL_WIRE_ROW(2, TEXT, cl_msg_state, bundle),
    CL_WIRE_ROW(3, U32, cl_msg_state, pid),
    CL_WIRE_ROW(4, U32, cl_msg_state, status),
    CL_WIRE_ROW(5, TEXT, cl_msg_state, in),
    CL_WIRE_ROW(6, TEXT, cl_msg_state, out),
    CL_WIRE_ROW(7, TEXT, cl_msg_state, error),
    CL_WIRE_ROW(8, U32, cl_msg_state, terminal),
    CL_WIRE_ROW(9, U32, cl_msg_state, exit_status),
    CL_WIRE_INNER(10, MESSAGE, cl_msg_state, exited_at, &cl_msg_time_shape),
    CL_WIRE_ROW(11, TEXT, cl_msg_state, exec_id),
};
const struct cl_wire_shape cl_msg_state_shape =
    CL_WIRE_SHAPE("StateResponse", cl_msg_state, state_rows);

static const struct cl_wire_field kill_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_kill, id),
    CL_WIRE_ROW(2, TEXT, cl_msg_kill, exec_id),
    CL_WIRE_ROW(3, U32, cl_msg_kill, signal),
    CL_WIRE_ROW(4, U32, cl_msg_kill, all),
};
const struct cl_wire_shape cl_msg_kill_shape = CL_WIRE_SHAPE("KillRequest", cl_msg_kill, kill_rows);

static const struct cl_wire_field close_io_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_close_io, id),
    CL_WIRE_ROW(2, TEXT, cl_msg_close_io, exec_id),
    CL_WIRE_ROW(3, U32, cl_msg_close_io, in),
};
const struct cl_wire_shape cl_msg_close_io_shape =
    CL_WIRE_SHAPE("CloseIORequest", cl_msg_close_io, close_io_rows);

static const struct cl_wire_field process_rows[] = {
    CL_WIRE_ROW(1, U32, cl_msg_process, pid),
    CL_WIRE_INNER(2, MESSAGE, cl_msg_process, info, &cl_msg_any_shape),
};
const struct cl_wire_shape cl_msg_process_shape =
    CL_WIRE_SHAPE("ProcessInfo", cl_msg_process, process_rows);

static const struct cl_wire_field pids_rows[] = {
    CL_WIRE_INNER(1, MESSAGES, cl_msg_pids, processes, &cl_msg_process_shape),
};
const struct cl_wire_shape cl_msg_pids_shape =
    CL_WIRE_SHAPE("PidsResponse", cl_msg_pids, pids_rows);

static const struct cl_wire_field process_details_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_process_details, exec_id),
};
const struct cl_wire_shape cl_msg_process_details_shape =
    CL_WIRE_SHAPE("ProcessDetails", cl_msg_process_details, process_details_rows);

static const struct cl_wire_field update_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_update, id),
    CL_WIRE_INNER(2, MESSAGE, cl_msg_update, resources, &cl_msg_any_shape),
    CL_WIRE_INNER(3, MESSAGES, cl_msg_update, annotations, &cl_msg_pair_shape),
};
const struct cl_wire_shape cl_msg_update_shape =
    CL_WIRE_SHAPE("UpdateTaskRequest", cl_msg_update, update_rows);

static const struct cl_wire_field waited_rows[] = {
    CL_WIRE_ROW(1, U32, cl_msg_waited, exit_status),
    CL_WIRE_INNER(2, MESSAGE, cl_msg_waited, exited_at, &cl_msg_time_shape),
};
const struct cl_wire_shape cl_msg_waited_shape =
    CL_WIRE_SHAPE("WaitResponse", cl_msg_waited, waited_rows);

static const struct cl_wire_field stats_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, cl_msg_stats, stats, &cl_msg_any_shape),
};
const struct cl_wire_shape cl_msg_stats_shape =
    CL_WIRE_SHAPE("StatsResponse", cl_msg_stats, stats_rows);

static const struct cl_wire_field connected_rows[] = {
    CL_WIRE_ROW(1, U32, cl_msg_connected, shim_pid),
    CL_WIRE_ROW(2, U32, cl_msg_connected, task_pid),
    CL_WIRE_ROW(3, TEXT, cl_msg_connected, version),
};
const struct cl_wire_shape cl_msg_connected_shape =
    CL_WIRE_SHAPE("ConnectResponse", cl_msg_connected, connected_rows);

static const struct cl_wire_field shutdown_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_shutdown, id),
    CL_WIRE_ROW(2, U32, cl_msg_shutdown, now),
};
const struct cl_wire_shape cl_msg_shutdown_shape =
    CL_WIRE_SHAPE("ShutdownRequest", cl_msg_shutdown, shutdown_rows);
