/* message.h - what rpc's messages have in common: rows for their tables, and the types that
 * protobuf and containerd put into others.
 * Source: google/protobuf/{any,timestamp}.proto, google/rpc/status.proto; containerd api/types.
 */
#ifndef CL_RPC_MESSAGE_H
#define CL_RPC_MESSAGE_H

#include "rpc/wire.h"

/* A row of RECORD's table: the field NUMBER of TYPE is MEMBER, or of messages of SHAPE. */
#define CL_WIRE_ROW(number, type, record, member)                                                  \
    {                                                                                              \
        (number), CL_WIRE_##type, offsetof(struct record, member), NULL                            \
    }
#define CL_WIRE_INNER(number, type, record, member, shape)                                         \
    {                                                                                              \
        (number), CL_WIRE_##type, offsetof(struct record, member), (shape)                         \
    }
#define CL_WIRE_SHAPE(name, record, rows)                                                          \
    {                                                                                              \
        (name), sizeof(struct record), (rows), CL_ARRAY_SIZE(rows)                                 \
    }

/* google.protobuf.Any: a message by the name of its type. */
struct cl_msg_any {
    const char *type_url;
    struct cl_bytes value;
};
extern const struct cl_wire_shape cl_msg_any_shape;

/* google.protobuf.Timestamp */
struct cl_msg_time {
    uint64_t seconds; /* since 1970 */
    uint32_t nanos;
};
extern const struct cl_wire_shape cl_msg_time_shape;

/* As it says, of CLOCK_REALTIME. */
struct cl_msg_time cl_msg_time_of(uint64_t real_ns);

/* A message without fields: google.protobuf.Empty. */
struct cl_msg_empty {
    char nothing;
};
extern const struct cl_wire_shape cl_msg_empty_shape;

/* An entry of map<string, string>. */
struct cl_msg_pair {
    const char *key;
    const char *value;
};
extern const struct cl_wire_shape cl_msg_pair_shape;

/* google.rpc.Status, without its details */
struct cl_msg_status {
    uint32_t code; /* enum cl_rpc_code (rpc/code.h) */
    const char *message;
};
extern const struct cl_wire_shape cl_msg_status_shape;

/* containerd.types.Mount */
struct cl_msg_mount {
    const char *type;
    const char *source;
    const char *target; /* "": the root */
    struct cl_strlist options;
};
extern const struct cl_wire_shape cl_msg_mount_shape;

#endif
