/* server.h - who answers ttrpc's calls: connections of a socket, in a loop.
 *
 * Only our own user and root may call; others are let go without a word. Calls of one connection
 * run side by side. A peer that breaks the framing is let go, with all its calls; one that asks for
 * what there isn't, in a way that there isn't, or at a length that isn't taken is told so, and may
 * go on. While it doesn't take its answers nothing more is read from it.
 *
 * Process: single-threaded, as the loop. Trust: every byte may be hostile.
 */
#ifndef CL_RPC_SERVER_H
#define CL_RPC_SERVER_H

#include "base/loop.h"
#include "rpc/call.h"

struct cl_connection;

struct cl_rpc_server {
    struct cl_loop *loop;
    const struct cl_rpc_service *service;
    struct cl_source listener; /* its descriptor is ours */
    struct cl_source timer;    /* for deadlines, and for a listener that rests */
    uint64_t first_ns;         /* the timer's; UINT64_MAX: it isn't set */
    struct cl_connection *connections;
    size_t connection_count;
    size_t call_count; /* that are kept */
};

enum { CL_RPC_CONNECTIONS_MOST = 1024, CL_RPC_CALLS_MOST = 65536 };

/* Takes LISTENER, a stream socket that listens and doesn't block, also on failure. LOOP and
 * SERVICE are borrowed. */
int cl_rpc_server_init(struct cl_rpc_server *ret, struct cl_loop *loop,
                       const struct cl_rpc_service *service, int listener, struct cl_error *err);
/* SOCKET is a connection of a peer who may call; taken, also on failure. It doesn't block. */
int cl_rpc_server_adopt(struct cl_rpc_server *server, int socket, struct cl_error *err);
/* Lets all connections go, and those who keep their calls know. Not from within a method. */
void cl_rpc_server_done(struct cl_rpc_server *server);

#endif
