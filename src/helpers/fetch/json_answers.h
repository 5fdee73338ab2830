/* json_answers.h - the JSON that token servers and registries answer with.
 *
 * Members that aren't named here are passed over: servers have many.
 *
 * Sources: Docker's token authentication specification and its OAuth 2 variant; OCI
 * distribution specification 1.1, "Error Codes".
 */
#ifndef CL_HELPERS_FETCH_JSON_ANSWERS_H
#define CL_HELPERS_FETCH_JSON_ANSWERS_H

#include "base/buf.h"
#include "base/error.h"
#include "base/flat.h"

enum {
    CL_TOKEN_ANSWER_MAX = 1 << 20,
    CL_TOKEN_MAX = 64 << 10,
    CL_COMPLAINT_MAX = 64 << 10, /* bytes of an error's body that are looked at */
};

struct cl_token_answer {
    char *token; /* owned */
    uint64_t life_s;
};

void cl_token_answer_done(struct cl_token_answer *answer);

/* A token that can stand in a header, and how long it lives from WALL_S on: `expires_in`, a
 * minute where that is missing, less the time since `issued_at` where that makes sense: a
 * server's clock is not ours. WHERE begins messages. */
int cl_token_answer_parse(const struct cl_bytes *json, uint64_t wall_s, const char *where,
                          struct cl_token_answer *ret, struct cl_error *err);

/* Adds what a registry says went wrong to RET, "MANIFEST_UNKNOWN: manifest unknown", at most
 * 160 bytes; nothing where there is nothing to read. */
void cl_complaint_read(const char *text, size_t size, struct cl_buf *ret);

#endif
