/* json_decode.h - JSON objects into structs, by a table of their fields.
 *
 * A shape names every member that an object may have; any other is an error, as is a
 * value of another type (nothing is converted). null counts as absent. Errors name
 * the value by its path: `syscalls[3].args[0].index: expected integer, got string
 * "1"`. Texts are borrowed from the JSON value, structs and lists live in the arena.
 */
#ifndef CL_HELPERS_COMMON_JSON_DECODE_H
#define CL_HELPERS_COMMON_JSON_DECODE_H

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/plan.h"

/* The member that a field fills, by type. */
enum cl_decode_type {
    CL_DECODE_TEXT,    /* const char *, NULL when absent */
    CL_DECODE_NUMBER,  /* struct cl_decode_number */
    CL_DECODE_TEXTS,   /* struct cl_strlist */
    CL_DECODE_OBJECT,  /* pointer to the shape's struct, NULL when absent */
    CL_DECODE_LIST,    /* struct cl_decode_list of the shape's structs */
    CL_DECODE_IGNORED, /* any value; no member */
};

struct cl_decode_number {
    int present;
    uint64_t value;
};

struct cl_decode_list {
    void *items;
    size_t count;
};

struct cl_decode_shape;

struct cl_decode_field {
    const char *name;
    enum cl_decode_type type;
    size_t offset;
    uint64_t max;                        /* NUMBER: the largest value */
    const struct cl_decode_shape *shape; /* OBJECT, LIST */
};

struct cl_decode_shape {
    const struct cl_decode_field *fields;
    size_t count;
    size_t size; /* of the struct */
};

/* Fills RET, a zeroed struct of SHAPE, from VALUE. */
int cl_decode(const struct cl_decode_shape *shape, json_t *value, struct cl_arena *arena, void *ret,
              struct cl_error *err);

#endif
