/* request.h - what cloister-systemd is asked: its words, and the texts of its input. */
#ifndef CL_HELPERS_SYSTEMD_REQUEST_H
#define CL_HELPERS_SYSTEMD_REQUEST_H

#include "base/buf.h"
#include "helpers/systemd/scope.h"

enum cl_verb { CL_VERB_SCOPE, CL_VERB_UNIT, CL_VERB_SET };

struct cl_request {
    enum cl_verb verb;
    enum cl_manager manager;
    struct cl_scope scope;
    char unit[64];
    char names[CL_SCOPE_PROPERTIES][128]; /* of properties, with room for a byte more */
};

/* The program's words; -EINVAL without a message for others. */
int cl_request_take(int argc, char *const argv[], struct cl_request *ret);
/* UNIT and SET: the texts of INPUT, which the request then points into. -EBADMSG, -E2BIG, -EINVAL.
 */
int cl_request_read(const struct cl_buf *input, struct cl_request *request, struct cl_error *err);

#endif
