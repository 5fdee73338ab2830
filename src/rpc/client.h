/* client.h - calls of another's services by ttrpc, answered later, in a loop.
 *
 * Calls go side by side over one connection. When that ends all that wait are answered with
 * CL_RPC_UNAVAILABLE, and so is what comes behind: who wants to go on makes another client.
 *
 * Process: single-threaded, as the loop. Trust: answers may be hostile; they are bounded, and read
 * by their tables.
 */
#ifndef CL_RPC_CLIENT_H
#define CL_RPC_CLIENT_H

#include "base/loop.h"
#include "rpc/call.h"

struct cl_rpc_client;

/* What is asked for, by whom, and who is told. Texts are borrowed for the call alone. */
struct cl_rpc_question {
    const char *service;
    const char *method;
    const char *space; /* containerd's namespace */
    const struct cl_wire_shape *request_shape;
    const void *request;
    const struct cl_wire_shape *response_shape;
    /* Once: RESPONSE, a record of the response's shape, or NULL and WHY. Not from within
     * cl_rpc_client_ask. Both are gone behind it. The client may be freed in it. */
    void (*on_answer)(void *context, const void *response, const struct cl_error *why);
    void *context;
};

/* Connected to the socket at PATH. LOOP is borrowed. */
int cl_rpc_client_new(struct cl_loop *loop, const char *path, struct cl_rpc_client **ret,
                      struct cl_error *err);
/* NULL is fine. Nobody who waits is told. */
void cl_rpc_client_free(struct cl_rpc_client *client);
/* Whether its connection hasn't ended. NULL: it has. */
int cl_rpc_client_is_there(const struct cl_rpc_client *client);

/* Whether it is telling those who wait that its connection has ended: until all are told nobody is
 * to put another in its place. */
int cl_rpc_client_is_telling(const struct cl_rpc_client *client);

int cl_rpc_client_ask(struct cl_rpc_client *client, const struct cl_rpc_question *question,
                      struct cl_error *err);
/* CONTEXT goes: its questions are answered to nobody. */
void cl_rpc_client_forget(struct cl_rpc_client *client, const void *context);

#endif
