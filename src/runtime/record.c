/* The record as an instance of base/flat.h. */
#include "runtime/record.h"

enum { MAX_PATH = 4095, BOOT_SIZE = 36 };

#define ROW(index, id, type, member, min, max)                                                     \
    [index] = {                                                                                    \
        id, CL_FLAT_##type, offsetof(struct cl_container_record, member), min, max, #member, NULL}

static const struct cl_flat_field fields[] = {
    ROW(0, 1, NUMBER, pid, 0, INT32_MAX),
    ROW(1, 2, NUMBER, start_ticks, 0, UINT64_MAX),
    ROW(2, 3, NUMBER, created_ns, 0, UINT64_MAX),
    ROW(3, 4, TEXT, boot, 0, BOOT_SIZE),
    ROW(4, 5, TEXT, bundle, 1, MAX_PATH),
    ROW(5, 6, NUMBER, manager, 0, CL_GROUP_MANAGERS - 1),
    ROW(6, 7, TEXT, group, 0, CL_GROUP_PATH - 1),
    ROW(7, 8, TEXT, slice, 0, 255),
    ROW(8, 9, TEXT, unit, 0, 255),
    ROW(9, 10, NUMBER, owner, 0, UINT32_MAX),
    ROW(10, 11, NUMBER, layout, 0, CL_CGROUP_LAYOUT_COUNT - 1),
    ROW(11, 12, NUMBER, made, 0, UINT32_MAX),
    ROW(12, 13, TEXT, bases, 0, CL_GROUP_BASES - 1),
};

const struct cl_flat_shape cl_container_shape = {
    .name = "container's record",
    .magic = {'c', 'l', 'c', 'o', 'n', 't', '\r', '\n'},
    .version = 1,
    .max_size = CL_CONTAINER_RECORD_MAX,
    .set_offset = offsetof(struct cl_container_record, set),
    .count = CL_ARRAY_SIZE(fields),
    .fields = fields,
};

const uint64_t cl_container_all = (1ULL << CL_ARRAY_SIZE(fields)) - 1;
