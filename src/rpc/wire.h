/* wire.h - protocol buffers' messages: one reader and one writer for all of them, driven by a
 * table of fields.
 *
 * A message is a C struct with a member for each field that its table has. Fields that it hasn't
 * are skipped, as newer peers send more; what is missing is 0, "" or NULL, as proto3 has it.
 * Groups, which proto3 hasn't, are refused, and so is a text that holds a NUL or isn't UTF-8.
 * Trust: bytes come from peers and may be hostile. Nesting has an end, and the arena's cap bounds
 * what a message becomes.
 *
 * Ownership: a record owns nothing. Texts, lists and messages in messages are made in the arena;
 * BYTES point into what was read.
 * Source: protobuf.dev, "Encoding"; "Language Guide (proto 3)".
 */
#ifndef CL_RPC_WIRE_H
#define CL_RPC_WIRE_H

#include "base/flat.h"

enum cl_wire_type {
    CL_WIRE_U32,      /* uint32_t: uint32, bool, enum, and int32 that is never negative */
    CL_WIRE_U64,      /* uint64_t: uint64, and int64 in two's complement */
    CL_WIRE_TEXT,     /* const char *, never NULL when read */
    CL_WIRE_BYTES,    /* struct cl_bytes */
    CL_WIRE_TEXTS,    /* struct cl_strlist: repeated string */
    CL_WIRE_MESSAGE,  /* const RECORD *; NULL: it isn't there */
    CL_WIRE_MESSAGES, /* struct cl_wire_list: repeated, or a map, whose entries are messages */
};

struct cl_wire_list {
    const void *items; /* records, one behind the other */
    size_t count;
};

struct cl_wire_shape;

struct cl_wire_field {
    uint32_t number;
    enum cl_wire_type type;
    size_t offset;
    const struct cl_wire_shape *shape; /* MESSAGE, MESSAGES */
};

struct cl_wire_shape {
    const char *name; /* in messages about it: "CreateTaskRequest" */
    size_t size;      /* of the record */
    const struct cl_wire_field *fields;
    size_t count; /* CL_WIRE_FIELDS_MOST at most */
};

enum { CL_WIRE_FIELDS_MOST = 32, CL_WIRE_DEPTH_MOST = 8 };

/* Reads BYTES into RECORD, which is all zeros. -EBADMSG for what is no such message, -E2BIG where
 * it would become more than the arena may hold. */
int cl_wire_read(const struct cl_wire_shape *shape, const struct cl_bytes *bytes,
                 struct cl_arena *arena, void *record, struct cl_error *err);

/* Appends RECORD's bytes to BUF; -EFBIG or -ENOMEM, after which BUF holds a part of it. */
int cl_wire_write(const struct cl_wire_shape *shape, const void *record, struct cl_buf *buf);

#endif
