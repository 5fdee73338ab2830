/* json_values.h - what the files of the decoder (json_decode.h) share: where it is in the document,
 * and values that have no fields. */
#ifndef CL_HELPERS_COMMON_JSON_VALUES_H
#define CL_HELPERS_COMMON_JSON_VALUES_H

#include <jansson.h>

#include "helpers/common/json_decode.h"

/* Where we are: a chain on the stack, spelled out only for a message. */
struct cl_json_place {
    const struct cl_json_place *outer;
    const char *key; /* NULL: an index */
    size_t index;
};

struct cl_decoder {
    struct cl_arena *arena;
    struct cl_warnings *warnings; /* may be NULL */
    int secret;
    struct cl_error *err;
};

/* Puts the path before the message in the decoder's error. Returns its code. */
int cl_json_at(const struct cl_decoder *decoder, const struct cl_json_place *place);
/* Warns that what is there is passed over, if anybody wants to know. */
void cl_json_warn(const struct cl_decoder *decoder, const struct cl_json_place *place,
                  const char *why);

int cl_json_refuse_type(const struct cl_decoder *decoder, const struct cl_json_place *place,
                        const char *wanted, const json_t *value);
int cl_json_refuse_count(const struct cl_decoder *decoder, const struct cl_json_place *place,
                         uint64_t max, const char *what);

/* Values of the types that need no shape. */
int cl_json_text(const struct cl_decoder *decoder, const struct cl_json_place *place, json_t *value,
                 uint64_t max, const char **ret);
int cl_json_value(const struct cl_decoder *decoder, const struct cl_json_place *place,
                  const struct cl_decode_field *field, json_t *value, void *member);

#endif
