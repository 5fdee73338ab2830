/* fuzz_wire.c - protocol buffers: any bytes read as each of rpc's messages or are refused, and what
 * reads is written, in no more bytes, and reads as the same again. */
#include <errno.h>
#include <string.h>

#include "rpc/event_messages.h"
#include "rpc/pod_messages.h"
#include "rpc/sandbox_messages.h"
#include "rpc/task_messages.h"
#include "rpc/ttrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One that has itself in it. */
struct node {
    uint32_t number;
    const struct node *child;
    struct cl_wire_list children;
    struct cl_strlist texts;
};

static const struct cl_wire_shape node_shape;
static const struct cl_wire_field node_rows[] = {
    CL_WIRE_ROW(1, U32, node, number),
    CL_WIRE_INNER(2, MESSAGE, node, child, &node_shape),
    CL_WIRE_INNER(3, MESSAGES, node, children, &node_shape),
    CL_WIRE_ROW(4, TEXTS, node, texts),
};
static const struct cl_wire_shape node_shape = CL_WIRE_SHAPE("Node", node, node_rows);

/* Room for the largest of them. */
union record {
    struct cl_msg_create create;
    struct cl_msg_state state;
    struct cl_msg_exec exec;
    struct cl_msg_update update;
    struct cl_msg_task_create task_create;
    struct cl_ttrpc_request request;
    char bytes[256];
};

static const struct cl_wire_shape *const shapes[] = {
    &cl_ttrpc_request_shape,
    &cl_ttrpc_response_shape,
    &cl_msg_create_shape,
    &cl_msg_pid_shape,
    &cl_msg_name_shape,
    &cl_msg_deleted_shape,
    &cl_msg_exec_shape,
    &cl_msg_resize_shape,
    &cl_msg_state_shape,
    &cl_msg_kill_shape,
    &cl_msg_close_io_shape,
    &cl_msg_pids_shape,
    &cl_msg_update_shape,
    &cl_msg_waited_shape,
    &cl_msg_stats_shape,
    &cl_msg_connected_shape,
    &cl_msg_shutdown_shape,
    &cl_msg_empty_shape,
    &cl_msg_task_create_shape,
    &cl_msg_task_exit_shape,
    &cl_msg_task_delete_shape,
    &cl_msg_task_changed_shape,
    &cl_msg_forward_shape,
    &cl_msg_sandbox_create_shape,
    &cl_msg_sandbox_stop_shape,
    &cl_msg_sandbox_ask_shape,
    &cl_msg_sandbox_status_shape,
    &cl_msg_pod_shape,
    &node_shape,
};

enum { ARENA_MOST = 1 << 20, BYTES_MOST = 1 << 20 };

static void try_shape(const struct cl_wire_shape *shape, const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MOST);
    CL_CLEANUP_ARENA struct cl_arena back_arena = CL_ARENA_INIT(ARENA_MOST);
    CL_CLEANUP_BUF struct cl_buf first = CL_BUF_INIT(BYTES_MOST);
    CL_CLEANUP_BUF struct cl_buf again = CL_BUF_INIT(BYTES_MOST);
    union record record = {0};
    union record back = {0};
    struct cl_error err = {0};

    CL_ASSERT(shape->size <= sizeof(record));
    const int r = cl_wire_read(shape, &(struct cl_bytes){data, size}, &arena, &record, &err);
    CL_ASSERT(arena.used <= ARENA_MOST);
    if (r < 0) {
        CL_ASSERT((r == -EBADMSG || r == -E2BIG) && err.code == -r && err.msg[0] != '\0');
        return;
    }
    CL_ASSERT(cl_wire_write(shape, &record, &first) == 0 && first.size <= size);
    const struct cl_bytes bytes = {first.data, first.size};
    CL_ASSERT(cl_wire_read(shape, &bytes, &back_arena, &back, &err) == 0);
    CL_ASSERT(back_arena.used <= arena.used);
    CL_ASSERT(cl_wire_write(shape, &back, &again) == 0 && again.size == first.size);
    CL_ASSERT(memcmp(cl_buf_text(&first), cl_buf_text(&again), first.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(shapes); i++)
        try_shape(shapes[i], data, size);
    return 0;
}
