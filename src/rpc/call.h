/* call.h - a call of a service, whichever way it came: what it asks for, and its answer.
 *
 * A service is a table of methods. Who serves a call answers it at once, or keeps it and answers
 * later; until then it may go by itself, as its caller is gone or waits no longer, of which on_gone
 * tells. A call is the transport's: it is freed by its answer, or behind on_gone.
 */
#ifndef CL_RPC_CALL_H
#define CL_RPC_CALL_H

#include "base/arena.h"
#include "rpc/code.h"
#include "rpc/message.h"

enum { CL_RPC_KEPT = 1 };

struct cl_rpc_call;

struct cl_rpc_method {
    const char *service; /* "containerd.task.v2.Task" */
    const char *name;    /* "Create" */
    const struct cl_wire_shape *request;
    const struct cl_wire_shape *response;
    /* 0: CALL is answered. CL_RPC_KEPT: it will be, or has been by who keeps such. Or an error,
     * which is the answer. */
    int (*serve)(struct cl_rpc_call *call, struct cl_error *err);
};

struct cl_rpc_service {
    const struct cl_rpc_method *methods;
    size_t count;
    void *context; /* whose methods they are */
};

struct cl_rpc_call {
    const struct cl_rpc_method *method;
    const void *request; /* a record of method->request, in the arena */
    const char *space;   /* containerd's namespace, as the caller says; "": it doesn't */
    void *context;       /* the service's */
    /* Of who keeps it: it won't be answered any more, and is to be in no list. It answers no
     * other call either. */
    void (*on_gone)(struct cl_rpc_call *call);
    void *keeper;
    struct cl_rpc_call *next; /* the keeper's list */
    struct cl_arena arena;    /* the request, and what else lives as long */

    /* the transport's */
    void (*send)(struct cl_rpc_call *call, const struct cl_msg_status *status,
                 const struct cl_buf *payload); /* and frees it */
    void *peer;
    uint32_t stream;
    uint64_t until_ns; /* CLOCK_MONOTONIC; UINT64_MAX: for ever */
    struct cl_rpc_call *later, **link;
};

/* Bytes of an answer: with a key and a size before it, it fits in a frame of 4 MiB. */
enum { CL_RPC_CALL_MOST = (4 << 20) - 5 };

/* NULL: there is none. */
const struct cl_rpc_method *cl_rpc_find(const struct cl_rpc_service *service, const char *name,
                                        const char *method);

/* RESPONSE is a record of method->response. Both free CALL. */
void cl_rpc_answer(struct cl_rpc_call *call, const void *response);
void cl_rpc_refuse(struct cl_rpc_call *call, const struct cl_error *why);

/* What a peer is to make of ERR's errno. */
enum cl_rpc_code cl_rpc_code_of(const struct cl_error *err);
/* The other way round, of a peer's CODE: EIO where that says no more. */
int cl_rpc_errno_of(uint32_t code);

#endif
