#include "rpc/sandbox_messages.h"

static const struct cl_wire_field name_rows[] = {CL_WIRE_ROW(1, TEXT, cl_msg_sandbox_name, id)};
const struct cl_wire_shape cl_msg_sandbox_name_shape =
    CL_WIRE_SHAPE("a sandbox's name", cl_msg_sandbox_name, name_rows);

static const struct cl_wire_field create_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_sandbox_create, id),
    CL_WIRE_ROW(2, TEXT, cl_msg_sandbox_create, bundle),
    CL_WIRE_INNER(3, MESSAGES, cl_msg_sandbox_create, rootfs, &cl_msg_mount_shape),
    CL_WIRE_INNER(4, MESSAGE, cl_msg_sandbox_create, options, &cl_msg_any_shape),
    CL_WIRE_ROW(5, TEXT, cl_msg_sandbox_create, netns),
    CL_WIRE_INNER(6, MESSAGES, cl_msg_sandbox_create, annotations, &cl_msg_pair_shape),
};
const struct cl_wire_shape cl_msg_sandbox_create_shape =
    CL_WIRE_SHAPE("CreateSandboxRequest", cl_msg_sandbox_create, create_rows);

static const struct cl_wire_field runtime_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_sandbox_runtime, name),
    CL_WIRE_INNER(2, MESSAGE, cl_msg_sandbox_runtime, options, &cl_msg_any_shape),
};
const struct cl_wire_shape cl_msg_sandbox_runtime_shape =
    CL_WIRE_SHAPE("Runtime", cl_msg_sandbox_runtime, runtime_rows);

static const struct cl_wire_field sandbox_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_sandbox, id),
    CL_WIRE_INNER(2, MESSAGE, cl_msg_sandbox, runtime, &cl_msg_sandbox_runtime_shape),
};
const struct cl_wire_shape cl_msg_sandbox_shape =
    CL_WIRE_SHAPE("Sandbox", cl_msg_sandbox, sandbox_rows);

static const struct cl_wire_field controller_create_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_controller_create, id),
    CL_WIRE_INNER(2, MESSAGES, cl_msg_controller_create, rootfs, &cl_msg_mount_shape),
    CL_WIRE_INNER(3, MESSAGE, cl_msg_controller_create, options, &cl_msg_any_shape),
    CL_WIRE_ROW(4, TEXT, cl_msg_controller_create, netns),
    CL_WIRE_INNER(5, MESSAGES, cl_msg_controller_create, annotations, &cl_msg_pair_shape),
    CL_WIRE_INNER(6, MESSAGE, cl_msg_controller_create, sandbox, &cl_msg_sandbox_shape),
};
const struct cl_wire_shape cl_msg_controller_create_shape =
    CL_WIRE_SHAPE("ControllerCreateRequest", cl_msg_controller_create, controller_create_rows);

static const struct cl_wire_field started_rows[] = {
    CL_WIRE_ROW(1, U32, cl_msg_sandbox_started, pid),
    CL_WIRE_INNER(2, MESSAGE, cl_msg_sandbox_started, created_at, &cl_msg_time_shape),
};
const struct cl_wire_shape cl_msg_sandbox_started_shape =
    CL_WIRE_SHAPE("StartSandboxResponse", cl_msg_sandbox_started, started_rows);

static const struct cl_wire_field controller_started_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_controller_started, id),
    CL_WIRE_ROW(2, U32, cl_msg_controller_started, pid),
    CL_WIRE_INNER(3, MESSAGE, cl_msg_controller_started, created_at, &cl_msg_time_shape),
    CL_WIRE_INNER(4, MESSAGES, cl_msg_controller_started, labels, &cl_msg_pair_shape),
    CL_WIRE_ROW(5, TEXT, cl_msg_controller_started, address),
    CL_WIRE_ROW(6, U32, cl_msg_controller_started, version),
};
const struct cl_wire_shape cl_msg_controller_started_shape =
    CL_WIRE_SHAPE("ControllerStartResponse", cl_msg_controller_started, controller_started_rows);

static const struct cl_wire_field platform_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_platform, os),
    CL_WIRE_ROW(2, TEXT, cl_msg_platform, architecture),
    CL_WIRE_ROW(3, TEXT, cl_msg_platform, variant),
};
const struct cl_wire_shape cl_msg_platform_shape =
    CL_WIRE_SHAPE("Platform", cl_msg_platform, platform_rows);

static const struct cl_wire_field platform_told_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, cl_msg_platform_told, platform, &cl_msg_platform_shape),
};
const struct cl_wire_shape cl_msg_platform_told_shape =
    CL_WIRE_SHAPE("PlatformResponse", cl_msg_platform_told, platform_told_rows);

static const struct cl_wire_field stop_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_sandbox_stop, id),
    CL_WIRE_ROW(2, U32, cl_msg_sandbox_stop, timeout_s),
};
const struct cl_wire_shape cl_msg_sandbox_stop_shape =
    CL_WIRE_SHAPE("StopSandboxRequest", cl_msg_sandbox_stop, stop_rows);

static const struct cl_wire_field ask_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_sandbox_ask, id),
    CL_WIRE_ROW(2, U32, cl_msg_sandbox_ask, verbose),
};
const struct cl_wire_shape cl_msg_sandbox_ask_shape =
    CL_WIRE_SHAPE("SandboxStatusRequest", cl_msg_sandbox_ask, ask_rows);

static const struct cl_wire_field status_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_sandbox_status, id),
    CL_WIRE_ROW(2, U32, cl_msg_sandbox_status, pid),
    CL_WIRE_ROW(3, TEXT, cl_msg_sandbox_status, state),
    CL_WIRE_INNER(4, MESSAGES, cl_msg_sandbox_status, info, &cl_msg_pair_shape),
    CL_WIRE_INNER(5, MESSAGE, cl_msg_sandbox_status, created_at, &cl_msg_time_shape),
    CL_WIRE_INNER(6, MESSAGE, cl_msg_sandbox_status, exited_at, &cl_msg_time_shape),
    CL_WIRE_INNER(7, MESSAGE, cl_msg_sandbox_status, extra, &cl_msg_any_shape),
    CL_WIRE_ROW(8, TEXT, cl_msg_sandbox_status, address),
    CL_WIRE_ROW(9, U32, cl_msg_sandbox_status, version),
};
const struct cl_wire_shape cl_msg_sandbox_status_shape =
    CL_WIRE_SHAPE("SandboxStatusResponse", cl_msg_sandbox_status, status_rows);

static const struct cl_wire_field metric_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, cl_msg_metric, at, &cl_msg_time_shape),
    CL_WIRE_ROW(2, TEXT, cl_msg_metric, id),
    CL_WIRE_INNER(3, MESSAGE, cl_msg_metric, data, &cl_msg_any_shape),
};
const struct cl_wire_shape cl_msg_metric_shape =
    CL_WIRE_SHAPE("Metric", cl_msg_metric, metric_rows);

static const struct cl_wire_field metrics_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, cl_msg_metrics, metrics, &cl_msg_metric_shape),
};
const struct cl_wire_shape cl_msg_metrics_shape =
    CL_WIRE_SHAPE("SandboxMetricsResponse", cl_msg_metrics, metrics_rows);

static const struct cl_wire_field pod_options_rows[] = {
    CL_WIRE_ROW(1, U32, cl_msg_pod_options, stand_in),
    CL_WIRE_INNER(2, MESSAGE, cl_msg_pod_options, options, &cl_msg_any_shape),
};
const struct cl_wire_shape cl_msg_pod_options_shape =
    CL_WIRE_SHAPE("PodOptions", cl_msg_pod_options, pod_options_rows);
