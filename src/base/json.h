/* json.h - writing JSON (RFC 8259) into a buffer. There is no reader in the core.
 *
 * The writer keeps commas and nesting; errors stick and come out of cl_json_end.
 * Strings that aren't UTF-8 get U+FFFD in place of each bad byte, so that the
 * output is valid whatever a program's name or output was.
 */
#ifndef CL_BASE_JSON_H
#define CL_BASE_JSON_H

#include "base/buf.h"

struct cl_json {
    struct cl_buf *buf;
    int depth;
    int error;       /* sticky -errno */
    uint64_t filled; /* bit d: an element was written at depth d */
    int pretty;
};

void cl_json_begin(struct cl_json *json, struct cl_buf *buf, int pretty);
/* Ends the document with a newline; 0 or the first error. */
int cl_json_end(struct cl_json *json);

/* KEY is NULL inside arrays and at the top. */
void cl_json_object(struct cl_json *json, const char *key);
void cl_json_array(struct cl_json *json, const char *key);
void cl_json_close(struct cl_json *json, char bracket);                       /* '}' or ']' */
void cl_json_string(struct cl_json *json, const char *key, const char *text); /* NULL: null */
void cl_json_strings(struct cl_json *json, const char *key, const char *const *items, size_t count);
void cl_json_u64(struct cl_json *json, const char *key, uint64_t value);
void cl_json_i64(struct cl_json *json, const char *key, int64_t value);
/* WHOLE.THOUSANDTHS */
void cl_json_decimal(struct cl_json *json, const char *key, uint64_t whole,
                     unsigned int thousandths);
void cl_json_bool(struct cl_json *json, const char *key, int value);
void cl_json_null(struct cl_json *json, const char *key);

#endif
