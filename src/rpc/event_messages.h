/* event_messages.h - what a shim tells containerd of its tasks.
 * Source: containerd api/events/task.proto, api/types/event.proto,
 * api/services/ttrpc/events/v1/events.proto.
 */
#ifndef CL_RPC_EVENT_MESSAGES_H
#define CL_RPC_EVENT_MESSAGES_H

#include "rpc/message.h"

struct cl_msg_task_io {
    const char *in;
    const char *out;
    const char *error;
    uint32_t terminal;
};
extern const struct cl_wire_shape cl_msg_task_io_shape;

struct cl_msg_task_create {
    const char *container_id;
    const char *bundle;
    struct cl_wire_list rootfs; /* of struct cl_msg_mount */
    const struct cl_msg_task_io *io;
    const char *checkpoint;
    uint32_t pid;
};
extern const struct cl_wire_shape cl_msg_task_create_shape;

struct cl_msg_task_start {
    const char *container_id;
    uint32_t pid;
};
extern const struct cl_wire_shape cl_msg_task_start_shape;

struct cl_msg_task_exit {
    const char *container_id;
    const char *id; /* of the process: the container's for its first one */
    uint32_t pid;
    uint32_t exit_status;
    const struct cl_msg_time *exited_at;
};
extern const struct cl_wire_shape cl_msg_task_exit_shape;

struct cl_msg_task_delete {
    const char *container_id;
    uint32_t pid;
    uint32_t exit_status;
    const struct cl_msg_time *exited_at;
    const char *id;
};
extern const struct cl_wire_shape cl_msg_task_delete_shape;

/* TaskOOM, TaskPaused, TaskResumed; with the second TaskExecAdded, and the third
 * TaskExecStarted. */
struct cl_msg_task_changed {
    const char *container_id;
    const char *exec_id;
    uint32_t pid;
};
extern const struct cl_wire_shape cl_msg_task_changed_shape;

/* containerd.types.Envelope */
struct cl_msg_envelope {
    const struct cl_msg_time *at;
    const char *space; /* containerd's namespace */
    const char *topic; /* "/tasks/exit" */
    const struct cl_msg_any *event;
};
extern const struct cl_wire_shape cl_msg_envelope_shape;

struct cl_msg_forward {
    const struct cl_msg_envelope *envelope;
};
extern const struct cl_wire_shape cl_msg_forward_shape;

#endif
