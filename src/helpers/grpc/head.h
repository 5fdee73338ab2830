/* head.h - what the headers of a request say: which call it is.
 *
 * The path is /SERVICE/METHOD. Of the others, those count that a call of ttrpc has a place for:
 * grpc-timeout and containerd-namespace. The rest is passed over.
 * Trust: every byte may be hostile; HTTP/2's library has seen that names and values are some.
 * Source: github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md ("Requests").
 */
#ifndef CL_HELPERS_GRPC_HEAD_H
#define CL_HELPERS_GRPC_HEAD_H

#include "helpers/grpc/status.h"

/* Of a list of headers, as SETTINGS_MAX_HEADER_LIST_SIZE counts: RFC 9113, section 6.5.2. */
enum { CL_GRPC_HEAD_MOST = 16 << 10 };

struct cl_grpc_head {
    char *service;
    char *method;        /* behind SERVICE, in the same memory */
    char *name_space;    /* containerd's namespace; NULL: none is given */
    uint64_t timeout_ns; /* 0: none; INT64_MAX at most */
    size_t size;
    unsigned int seen;                  /* which headers */
    const struct cl_grpc_status *fault; /* the first one, or NULL */
};

void cl_grpc_head_done(struct cl_grpc_head *head);

/* The next header. What is wrong with it is kept for cl_grpc_head_check; -ENOMEM. */
int cl_grpc_head_add(struct cl_grpc_head *head, const char *name, const char *value);

/* When there are no more: NULL, or why this is no call. */
const struct cl_grpc_status *cl_grpc_head_check(const struct cl_grpc_head *head);

/* A timeout's text ("1500m"), 1 to INT64_MAX; -EINVAL. */
int cl_grpc_parse_timeout(const char *text, uint64_t *ret_ns);

#endif
