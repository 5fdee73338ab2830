/* parse.h - documents of images as records, by cloister-image in its jail: the core's side. */
#ifndef CL_IMAGE_PARSE_H
#define CL_IMAGE_PARSE_H

#include "base/buf.h"
#include "base/helper.h"
#include "oci/records.h"

struct cl_parser {
    struct cl_helper helper;
    struct cl_arena *arena; /* takes records and their bytes */
};

/* Finds the program. */
int cl_parser_init(struct cl_arena *arena, struct cl_parser *ret, struct cl_error *err);

/* A record to be filled, and its shape. */
struct cl_parse_into {
    const struct cl_flat_shape *shape;
    void *record;
};
#define CL_INTO(shape, record) (&(const struct cl_parse_into){(shape), (record)})

/* DOCUMENT as a record, by the verb and arguments ARGS, the first of which after the verb is what
 * messages call the document. */
int cl_parse(const struct cl_parser *parser, const char *const args[CL_HELPER_MAX_ARGS],
             const struct cl_buf *document, const struct cl_parse_into *ret, struct cl_error *err);

/* The same of the regular file FILE, however large: the helper gets it and reads what it needs. */
int cl_parse_file(const struct cl_parser *parser, const char *const args[CL_HELPER_MAX_ARGS],
                  int file, const struct cl_parse_into *ret, struct cl_error *err);

#endif
