/* sandbox_messages.h - the messages of containerd's sandbox services: that of a shim, which has one
 * sandbox, and that of a controller, which has many and is told whose by a name of its own besides
 * (`sandboxer`, which isn't read).
 * Source: containerd api/runtime/sandbox/v1/sandbox.proto, api/services/sandbox/v1/sandbox.proto,
 * api/types/{sandbox,platform,metrics}.proto.
 */
#ifndef CL_RPC_SANDBOX_MESSAGES_H
#define CL_RPC_SANDBOX_MESSAGES_H

#include "rpc/message.h"

/* As the CRI names them: "SANDBOX_READY", "SANDBOX_NOTREADY". */
#define CL_SANDBOX_READY "SANDBOX_READY"
#define CL_SANDBOX_NOT_READY "SANDBOX_NOTREADY"

/* Names a sandbox: StartSandboxRequest, PlatformRequest, WaitSandboxRequest, PingRequest,
 * ShutdownSandboxRequest, SandboxMetricsRequest; and those of the controller. Also
 * ControllerCreateResponse. */
struct cl_msg_sandbox_name {
    const char *id;
};
extern const struct cl_wire_shape cl_msg_sandbox_name_shape;

/* CreateSandboxRequest */
struct cl_msg_sandbox_create {
    const char *id;
    const char *bundle;               /* the shim's alone */
    struct cl_wire_list rootfs;       /* of struct cl_msg_mount */
    const struct cl_msg_any *options; /* of the CRI: runtime.v1.PodSandboxConfig */
    const char *netns;                /* a path; "": the host's, or none */
    struct cl_wire_list annotations;  /* of struct cl_msg_pair */
};
extern const struct cl_wire_shape cl_msg_sandbox_create_shape;

/* containerd.types.Sandbox.Runtime */
struct cl_msg_sandbox_runtime {
    const char *name; /* "io.containerd.cloister.v2" */
    const struct cl_msg_any *options;
};
extern const struct cl_wire_shape cl_msg_sandbox_runtime_shape;

/* containerd.types.Sandbox: what of it is read. */
struct cl_msg_sandbox {
    const char *id;
    const struct cl_msg_sandbox_runtime *runtime;
};
extern const struct cl_wire_shape cl_msg_sandbox_shape;

/* ControllerCreateRequest */
struct cl_msg_controller_create {
    const char *id;
    struct cl_wire_list rootfs; /* as above */
    const struct cl_msg_any *options;
    const char *netns;
    struct cl_wire_list annotations;
    const struct cl_msg_sandbox *sandbox;
};
extern const struct cl_wire_shape cl_msg_controller_create_shape;

/* StartSandboxResponse */
struct cl_msg_sandbox_started {
    uint32_t pid;
    const struct cl_msg_time *created_at;
};
extern const struct cl_wire_shape cl_msg_sandbox_started_shape;

/* ControllerStartResponse */
struct cl_msg_controller_started {
    const char *id;
    uint32_t pid;
    const struct cl_msg_time *created_at;
    struct cl_wire_list labels; /* of struct cl_msg_pair */
    const char *address;        /* of its task service: "ttrpc+unix:///..." */
    uint32_t version;           /* of that */
};
extern const struct cl_wire_shape cl_msg_controller_started_shape;

/* containerd.types.Platform, and the response that has it. */
struct cl_msg_platform {
    const char *os;
    const char *architecture;
    const char *variant;
};
extern const struct cl_wire_shape cl_msg_platform_shape;

struct cl_msg_platform_told {
    const struct cl_msg_platform *platform;
};
extern const struct cl_wire_shape cl_msg_platform_told_shape;

/* StopSandboxRequest, ControllerStopRequest */
struct cl_msg_sandbox_stop {
    const char *id;
    uint32_t timeout_s; /* 0: none is named */
};
extern const struct cl_wire_shape cl_msg_sandbox_stop_shape;

/* SandboxStatusRequest, ControllerStatusRequest */
struct cl_msg_sandbox_ask {
    const char *id;
    uint32_t verbose;
};
extern const struct cl_wire_shape cl_msg_sandbox_ask_shape;

/* ControllerStatusResponse; SandboxStatusResponse is without the last two. */
struct cl_msg_sandbox_status {
    const char *id;
    uint32_t pid;
    const char *state;
    struct cl_wire_list info; /* of struct cl_msg_pair */
    const struct cl_msg_time *created_at;
    const struct cl_msg_time *exited_at;
    const struct cl_msg_any *extra;
    const char *address;
    uint32_t version;
};
extern const struct cl_wire_shape cl_msg_sandbox_status_shape;

/* containerd.types.Metric, and the response that has it. */
struct cl_msg_metric {
    const struct cl_msg_time *at;
    const char *id;
    const struct cl_msg_any *data;
};
extern const struct cl_wire_shape cl_msg_metric_shape;

struct cl_msg_metrics {
    const struct cl_msg_metric *metrics;
};
extern const struct cl_wire_shape cl_msg_metrics_shape;

/* An annotation of CreateSandbox, our own: the pod is one of modules, of which the shim has the
 * other containers. */
#define CL_MSG_POD_OF_MODULES "run.cloister.pod-of-modules"

/* Our own, by which cloisterd wraps the options of a container that it hands on to its pod's shim.
 */
#define CL_MSG_POD_OPTIONS_TYPE "run.cloister.PodOptions"
struct cl_msg_pod_options {
    uint32_t stand_in; /* the process that the container's bundle names in place of the pod's */
    const struct cl_msg_any *options; /* containerd's */
};
extern const struct cl_wire_shape cl_msg_pod_options_shape;

#endif
