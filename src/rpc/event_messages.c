#include "rpc/event_messages.h"

static const struct cl_wire_field io_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_task_io, in),
    CL_WIRE_ROW(2, TEXT, cl_msg_task_io, out),
    CL_WIRE_ROW(3, TEXT, cl_msg_task_io, error),
    CL_WIRE_ROW(4, U32, cl_msg_task_io, terminal),
};
const struct cl_wire_shape cl_msg_task_io_shape = CL_WIRE_SHAPE("TaskIO", cl_msg_task_io, io_rows);

static const struct cl_wire_field create_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_task_create, container_id),
    CL_WIRE_ROW(2, TEXT, cl_msg_task_create, bundle),
    CL_WIRE_INNER(3, MESSAGES, cl_msg_task_create, rootfs, &cl_msg_mount_shape),
    CL_WIRE_INNER(4, MESSAGE, cl_msg_task_create, io, &cl_msg_task_io_shape),
    CL_WIRE_ROW(5, TEXT, cl_msg_task_create, checkpoint),
    CL_WIRE_ROW(6, U32, cl_msg_task_create, pid),
};
const struct cl_wire_shape cl_msg_task_create_shape =
    CL_WIRE_SHAPE("TaskCreate", cl_msg_task_create, create_rows);

static const struct cl_wire_field start_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_task_start, container_id),
    CL_WIRE_ROW(2, U32, cl_msg_task_start, pid),
};
const struct cl_wire_shape cl_msg_task_start_shape =
    CL_WIRE_SHAPE("TaskStart", cl_msg_task_start, start_rows);

static const struct cl_wire_field exit_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_task_exit, container_id),
    CL_WIRE_ROW(2, TEXT, cl_msg_task_exit, id),
    CL_WIRE_ROW(3, U32, cl_msg_task_exit, pid),
    CL_WIRE_ROW(4, U32, cl_msg_task_exit, exit_status),
    CL_WIRE_INNER(5, MESSAGE, cl_msg_task_exit, exited_at, &cl_msg_time_shape),
};
const struct cl_wire_shape cl_msg_task_exit_shape =
    CL_WIRE_SHAPE("TaskExit", cl_msg_task_exit, exit_rows);

static const struct cl_wire_field delete_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_task_delete, container_id),
    CL_WIRE_ROW(2, U32, cl_msg_task_delete, pid),
    CL_WIRE_ROW(3, U32, cl_msg_task_delete, exit_status),
    CL_WIRE_INNER(4, MESSAGE, cl_msg_task_delete, exited_at, &cl_msg_time_shape),
    CL_WIRE_ROW(5, TEXT, cl_msg_task_delete, id),
};
const struct cl_wire_shape cl_msg_task_delete_shape =
    CL_WIRE_SHAPE("TaskDelete", cl_msg_task_delete, delete_rows);

static const struct cl_wire_field changed_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_task_changed, container_id),
    CL_WIRE_ROW(2, TEXT, cl_msg_task_changed, exec_id),
    CL_WIRE_ROW(3, U32, cl_msg_task_changed, pid),
};
const struct cl_wire_shape cl_msg_task_changed_shape =
    CL_WIRE_SHAPE("TaskPaused", cl_msg_task_changed, changed_rows);

static const struct cl_wire_field envelope_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, cl_msg_envelope, at, &cl_msg_time_shape),
    CL_WIRE_ROW(2, TEXT, cl_msg_envelope, space),
    CL_WIRE_ROW(3, TEXT, cl_msg_envelope, topic),
    CL_WIRE_INNER(4, MESSAGE, cl_msg_envelope, event, &cl_msg_any_shape),
};
const struct cl_wire_shape cl_msg_envelope_shape =
    CL_WIRE_SHAPE("Envelope", cl_msg_envelope, envelope_rows);

static const struct cl_wire_field forward_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, cl_msg_forward, envelope, &cl_msg_envelope_shape),
};
const struct cl_wire_shape cl_msg_forward_shape =
    CL_WIRE_SHAPE("ForwardRequest", cl_msg_forward, forward_rows);
