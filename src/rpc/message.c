#include "rpc/message.h"

#include "base/clock.h"

static const struct cl_wire_field any_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_any, type_url),
    CL_WIRE_ROW(2, BYTES, cl_msg_any, value),
};
const struct cl_wire_shape cl_msg_any_shape = CL_WIRE_SHAPE("Any", cl_msg_any, any_rows);

static const struct cl_wire_field time_rows[] = {
    CL_WIRE_ROW(1, U64, cl_msg_time, seconds),
    CL_WIRE_ROW(2, U32, cl_msg_time, nanos),
};
const struct cl_wire_shape cl_msg_time_shape = CL_WIRE_SHAPE("Timestamp", cl_msg_time, time_rows);

struct cl_msg_time cl_msg_time_of(uint64_t real_ns)
{
    return (struct cl_msg_time){real_ns / CL_NS_PER_S, (uint32_t)(real_ns % CL_NS_PER_S)};
}

const struct cl_wire_shape cl_msg_empty_shape = {"Empty", sizeof(struct cl_msg_empty), NULL, 0};

static const struct cl_wire_field pair_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_pair, key),
    CL_WIRE_ROW(2, TEXT, cl_msg_pair, value),
};
const struct cl_wire_shape cl_msg_pair_shape = CL_WIRE_SHAPE("map", cl_msg_pair, pair_rows);

static const struct cl_wire_field status_rows[] = {
    CL_WIRE_ROW(1, U32, cl_msg_status, code),
    CL_WIRE_ROW(2, TEXT, cl_msg_status, message),
};
const struct cl_wire_shape cl_msg_status_shape =
    CL_WIRE_SHAPE("Status", cl_msg_status, status_rows);

static const struct cl_wire_field mount_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_mount, type),
    CL_WIRE_ROW(2, TEXT, cl_msg_mount, source),
    CL_WIRE_ROW(3, TEXT, cl_msg_mount, target),
    CL_WIRE_ROW(4, TEXTS, cl_msg_mount, options),
};
const struct cl_wire_shape cl_msg_mount_shape = CL_WIRE_SHAPE("Mount", cl_msg_mount, mount_rows);
