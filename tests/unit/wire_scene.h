/* wire_scene.h - messages of each type of field, and what reads them. */
#ifndef CL_TESTS_UNIT_WIRE_SCENE_H
#define CL_TESTS_UNIT_WIRE_SCENE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/message.h"
#include "check.h"

#define BYTES(text) (&(const struct cl_bytes){(text), sizeof(text) - 1})

struct leaf {
    uint32_t number;
    const char *text;
    struct cl_strlist texts;
};

static const struct cl_wire_field leaf_rows[] = {
    CL_WIRE_ROW(1, U32, leaf, number),
    CL_WIRE_ROW(2, TEXT, leaf, text),
    CL_WIRE_ROW(3, TEXTS, leaf, texts),
};
static const struct cl_wire_shape leaf_shape = CL_WIRE_SHAPE("Leaf", leaf, leaf_rows);

/* A field of each type, and of the numbers that take another byte. */
struct all {
    uint32_t u32;
    uint64_t u64;
    const char *text;
    struct cl_bytes bytes;
    struct cl_strlist texts;
    const struct leaf *leaf;
    struct cl_wire_list leaves;
    struct cl_wire_list map;
    uint32_t far;
    uint32_t farthest;
};

static const struct cl_wire_field all_rows[] = {
    CL_WIRE_ROW(1, U32, all, u32),
    CL_WIRE_ROW(2, U64, all, u64),
    CL_WIRE_ROW(3, TEXT, all, text),
    CL_WIRE_ROW(4, BYTES, all, bytes),
    CL_WIRE_ROW(5, TEXTS, all, texts),
    CL_WIRE_INNER(6, MESSAGE, all, leaf, &leaf_shape),
    CL_WIRE_INNER(7, MESSAGES, all, leaves, &leaf_shape),
    CL_WIRE_INNER(8, MESSAGES, all, map, &cl_msg_pair_shape),
    CL_WIRE_ROW(16, U32, all, far),
    CL_WIRE_ROW(536870911, U32, all, farthest),
};
static const struct cl_wire_shape all_shape = CL_WIRE_SHAPE("All", all, all_rows);

/* One that has itself in it. */
struct node {
    uint32_t number;
    const struct node *child;
    struct cl_wire_list children;
};

static const struct cl_wire_shape node_shape;
static const struct cl_wire_field node_rows[] = {
    CL_WIRE_ROW(1, U32, node, number),
    CL_WIRE_INNER(2, MESSAGE, node, child, &node_shape),
    CL_WIRE_INNER(3, MESSAGES, node, children, &node_shape),
};
static const struct cl_wire_shape node_shape = CL_WIRE_SHAPE("Node", node, node_rows);

static struct cl_arena arena; /* what reading made; each test begins anew */

static inline void begin(size_t cap)
{
    cl_arena_done(&arena);
    arena = CL_ARENA_INIT(cap);
}

/* Reads a copy that ends where memory does. */
static inline int read_shape(const struct cl_wire_shape *shape, const struct cl_bytes *bytes,
                             void *record)
{
    CL_CLEANUP_FREE char *copy = malloc(bytes->size + (bytes->size == 0));
    struct cl_error err = {0};

    CL_ASSERT(copy != NULL);
    memcpy(copy, bytes->data, bytes->size);
    const int r = cl_wire_read(shape, &(struct cl_bytes){copy, bytes->size}, &arena, record, &err);
    CHECK(r == 0 || (r < 0 && err.code == -r && err.msg[0] != '\0'));
    return r;
}

static inline int read_all(const struct cl_bytes *bytes, struct all *ret)
{
    *ret = (struct all){0};
    return read_shape(&all_shape, bytes, ret);
}

/* All of them. */
static const char whole[] = "\x08\x05"
                            "\x10\x80\x80\x04"
                            "\x1a\x05h\xc3\xa9lo"
                            "\x22\x03\0\xff\x01"
                            "\x2a\x01p\x2a\x00\x2a\x02qr"
                            "\x32\x09\x08\x07\x12\x02in\x1a\x01z"
                            "\x3a\x02\x08\x01\x3a\x00\x3a\x03\x12\x01r"
                            "\x42\x06\x0a\x01k\x12\x01v"
                            "\x80\x01\x11";
enum { WHOLE_FIELDS = 13 };

#endif
