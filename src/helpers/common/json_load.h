/* json_load.h - a JSON document (RFC 8259) as jansson's values, within bounds.
 *
 * A key that stands twice, a NUL character and bytes that are no UTF-8 are errors, and so is a
 * document that nests deeper or holds more values than any that we read has reason to: those
 * are counted before the first value is made. Errors begin with NAME:LINE:COLUMN where there
 * is a place.
 */
#ifndef CL_HELPERS_COMMON_JSON_LOAD_H
#define CL_HELPERS_COMMON_JSON_LOAD_H

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"
#include "helpers/common/report.h"

enum {
    CL_JSON_MAX_DEPTH = 64,
    CL_JSON_MAX_VALUES = 1 << 18, /* jansson makes some 50 MiB of them */
};

enum {
    CL_JSON_SECRET = 1, /* no byte of the document comes into the message */
    CL_JSON_LARGE = 2,  /* integers from 2^63 to 2^64 - 1 are read too: cl_json_large */
};

/* The caller drops RET with json_decref (CL_CLEANUP_JSON). */
int cl_json_load(const struct cl_document *document, unsigned int flags, json_t **ret,
                 struct cl_error *err);

/* Whether VALUE is an integer that jansson has no room for, which is then *RET (it may be NULL).
 * jansson itself takes such a value for a string. */
int cl_json_large(const json_t *value, uint64_t *ret);

/* VALUE as text without blanks, an object's members in the order of their keys; NULL when memory
 * is out. */
const char *cl_json_compact(const json_t *value, struct cl_arena *arena);

void cl_json_drop(json_t **json);
#define CL_CLEANUP_JSON CL_CLEANUP(cl_json_drop)

#endif
