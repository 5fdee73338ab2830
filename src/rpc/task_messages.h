/* task_messages.h - the messages of containerd's task service, versions 2 and 3, which have the
 * same.
 * Source: containerd api/runtime/task/v3/shim.proto, api/types/task/task.proto.
 */
#ifndef CL_RPC_TASK_MESSAGES_H
#define CL_RPC_TASK_MESSAGES_H

#include "rpc/message.h"

enum cl_task_status {
    CL_TASK_UNKNOWN,
    CL_TASK_CREATED,
    CL_TASK_RUNNING,
    CL_TASK_STOPPED,
    CL_TASK_PAUSED,
    CL_TASK_PAUSING,
};

struct cl_msg_create {
    const char *id;
    const char *bundle;
    struct cl_wire_list rootfs; /* of struct cl_msg_mount */
    uint32_t terminal;
    const char *in; /* the streams: paths of FIFOs, or URIs; "": none */
    const char *out;
    const char *error;
    const char *checkpoint;
    const char *parent_checkpoint;
    const struct cl_msg_any *options;
};
extern const struct cl_wire_shape cl_msg_create_shape;

/* Also CreateTaskResponse, StartResponse. */
struct cl_msg_pid {
    uint32_t pid;
};
extern const struct cl_wire_shape cl_msg_pid_shape;

/* What names a process: DeleteRequest, StateRequest, StartRequest, WaitRequest; without the second,
 * a container: PidsRequest, PauseRequest, ResumeRequest, StatsRequest, ConnectRequest. */
struct cl_msg_name {
    const char *id;
    const char *exec_id; /* "": the container's first process */
};
extern const struct cl_wire_shape cl_msg_name_shape;

struct cl_msg_deleted {
    uint32_t pid;
    uint32_t exit_status;
    const struct cl_msg_time *exited_at;
};
extern const struct cl_wire_shape cl_msg_deleted_shape;

struct cl_msg_exec {
    const char *id;
    const char *exec_id;
    uint32_t terminal;
    const char *in;
    const char *out;
    const char *error;
    const struct cl_msg_any *spec; /* an OCI process, as JSON */
};
extern const struct cl_wire_shape cl_msg_exec_shape;

struct cl_msg_resize {
    const char *id;
    const char *exec_id;
    uint32_t width; /* characters */
    uint32_t height;
};
extern const struct cl_wire_shape cl_msg_resize_shape;

struct cl_msg_state {
    const char *id;
    const char *bundle;
    uint32_t pid;
    uint32_t status; /* enum cl_task_status */
    const char *in;
    const char *out;
    const char *error;
    uint32_t terminal;
    uint32_t exit_status;
    const struct cl_msg_time *exited_at;
    const char *exec_id;
};
extern const struct cl_wire_shape cl_msg_state_shape;

struct cl_msg_kill {
    const char *id;
    const char *exec_id;
    uint32_t signal;
    uint32_t all;
};
extern const struct cl_wire_shape cl_msg_kill_shape;

struct cl_msg_close_io {
    const char *id;
    const char *exec_id;
    uint32_t in;
};
extern const struct cl_wire_shape cl_msg_close_io_shape;

struct cl_msg_process {
    uint32_t pid;
    const struct cl_msg_any *info;
};
extern const struct cl_wire_shape cl_msg_process_shape;

struct cl_msg_pids {
    struct cl_wire_list processes; /* of struct cl_msg_process */
};
extern const struct cl_wire_shape cl_msg_pids_shape;

/* What its process is, where that is an exec's: the info of struct cl_msg_process. */
struct cl_msg_process_details {
    const char *exec_id;
};
extern const struct cl_wire_shape cl_msg_process_details_shape;

struct cl_msg_update {
    const char *id;
    const struct cl_msg_any *resources; /* OCI resources, as JSON */
    struct cl_wire_list annotations;    /* of struct cl_msg_pair */
};
extern const struct cl_wire_shape cl_msg_update_shape;

struct cl_msg_waited {
    uint32_t exit_status;
    const struct cl_msg_time *exited_at;
};
extern const struct cl_wire_shape cl_msg_waited_shape;

struct cl_msg_stats {
    const struct cl_msg_any *stats;
};
extern const struct cl_wire_shape cl_msg_stats_shape;

struct cl_msg_connected {
    uint32_t shim_pid;
    uint32_t task_pid;
    const char *version;
};
extern const struct cl_wire_shape cl_msg_connected_shape;

struct cl_msg_shutdown {
    const char *id;
    uint32_t now;
};
extern const struct cl_wire_shape cl_msg_shutdown_shape;

#endif
