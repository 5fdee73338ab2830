/* flat.h - records that pass between programs, as bytes: one writer and one reader for all
 * of them, driven by a table of fields.
 *
 *   header  8 bytes magic, u32 version, u32 field count, u64 total size
 *   field   u16 id, u16 zero, u32 payload size, payload, zeros up to 8 bytes
 *
 * Little-endian. Numbers are u64; a text ends in NUL and holds no other; a list is u32 count
 * and its items. Each field stands at most once, ids rise, and values lie in the bounds of
 * their row: bytes that read are bytes that were written by this version of this shape.
 * Trust: bytes come from helpers, caches and state directories and may be hostile; the
 * reader checks every size.
 *
 * A record is a C struct with a member `uint64_t set`, whose bit i says that field i is
 * there, and a member for each field. It owns nothing: what was read points into the bytes,
 * lists are made in an arena.
 */
#ifndef CL_BASE_FLAT_H
#define CL_BASE_FLAT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

struct cl_strlist {
    const char *const *items;
    size_t count;
};

struct cl_bytes {
    const void *data;
    size_t size;
};

enum cl_flat_type {
    CL_FLAT_NUMBER, /* uint64_t; min and max of its value */
    CL_FLAT_TEXT,   /* const char *; of its length */
    CL_FLAT_TEXTS,  /* struct cl_strlist; of its count */
    CL_FLAT_BYTES,  /* struct cl_bytes, of whole 8-byte words; of its size */
    CL_FLAT_LIST,   /* {const ITEM *items; size_t count}; of its count */
};

/* The bytes that are left of a payload. */
struct cl_flat_cursor {
    const char *next;
    size_t left;
};

/* The items of a LIST. */
struct cl_flat_item {
    size_t size;       /* of one in memory */
    size_t least_size; /* of one in bytes */
    int (*put)(struct cl_buf *buf, const void *item);
    int (*take)(struct cl_flat_cursor *cursor, void *item); /* -EBADMSG */
};

struct cl_flat_field {
    uint16_t id; /* never reused */
    enum cl_flat_type type;
    size_t offset;
    uint64_t min;
    uint64_t max;
    const char *name;
    const struct cl_flat_item *item; /* LIST */
};

struct cl_flat_shape {
    const char *name; /* "plan" */
    char magic[8];
    uint32_t version;
    uint32_t max_size;
    size_t set_offset;
    size_t count; /* of fields; 64 at most */
    const struct cl_flat_field *fields;
};

/* Appends RECORD's flat form to BUF. -ERANGE for a value out of its row's bounds, which nobody
 * could read; BUF is of no use after a failure. */
int cl_flat_write(const struct cl_flat_shape *shape, const void *record, struct cl_buf *buf,
                  struct cl_error *err);

/* Reads BYTES (of any alignment) into RECORD, which is all zeros. -EBADMSG for anything that
 * is no such record; RECORD is of no use then. */
int cl_flat_read(const struct cl_flat_shape *shape, const struct cl_bytes *bytes,
                 struct cl_arena *arena, void *record, struct cl_error *err);

/* What items are made of. */
int cl_flat_put_u32(struct cl_buf *buf, uint32_t value);
int cl_flat_put_u64(struct cl_buf *buf, uint64_t value);
int cl_flat_put_text(struct cl_buf *buf, const char *text);
int cl_flat_take_u32(struct cl_flat_cursor *cursor, uint32_t *ret);
int cl_flat_take_u64(struct cl_flat_cursor *cursor, uint64_t *ret);
int cl_flat_take_text(struct cl_flat_cursor *cursor, const char **ret);

#endif
