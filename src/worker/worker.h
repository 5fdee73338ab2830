/* worker.h - a worker for many guests: what it consists of.
 *
 * A client's order becomes a guest (guests.c), who takes turns with the others (turns.h) or has a
 * process of its own (children.h) until it ends, and its end an answer to the client (clients.c).
 * All guests of all clients are one tenant's: they share the worker's memory limit, its descriptors
 * and its disk, but no file, and none reaches another's memory. If the worker dies, all clients see
 * it by the end of their sockets.
 *
 * Process: one thread; has set its system call filter before the first order is taken.
 */
#ifndef CL_WORKER_WORKER_H
#define CL_WORKER_WORKER_H

#include "base/channel.h"
#include "worker/children.h"
#include "worker/programs.h"
#include "worker/scratch.h"
#include "worker/turns.h"
#include "worker/volumes.h"

struct cl_client;

/* One guest and what is its alone. */
struct cl_lodger {
    struct cl_taker taker;  /* who takes turns, */
    struct cl_child *child; /* or has a process; else NULL */
    struct cl_client *client;
    uint64_t number; /* the client's */
    uint64_t began_ns;
    struct cl_mapped *mapped;
    uint32_t scratch;
    LIST_ENTRY(cl_lodger) of_client;
    LIST_ENTRY(cl_lodger) of_bucket;
};

LIST_HEAD(cl_lodgers, cl_lodger);

/* An answer that its client has no room for yet. */
struct cl_pending {
    TAILQ_ENTRY(cl_pending) link;
    struct cl_answer answer;
};

struct cl_client {
    struct cl_worker *worker;
    struct cl_source source; /* its socket, owned */
    struct cl_lodgers lodgers;
    TAILQ_HEAD(, cl_pending) pending; /* while there are any, no order is taken */
    LIST_ENTRY(cl_client) link;
    int is_gone;
};

struct cl_worker {
    struct cl_worker_orders orders;
    struct cl_engine *engine;
    struct cl_programs programs;
    struct cl_scratch scratch;
    struct cl_turns turns;       /* where guests take turns, */
    struct cl_children children; /* or have processes */
    struct cl_loop *loop;        /* whose of the two it is */
    struct cl_source line;
    LIST_HEAD(, cl_client) clients;
    struct cl_lodgers *buckets; /* by client and number; a power of two */
    size_t bucket_count, lodger_count;
    struct cl_volumes volumes;
    _Alignas(uint64_t) char order[CL_ORDER_MAX_BYTES];
};

/* --- worker.c ------------------------------------------------------------------------------ */

/* As ORDERS say, taking the volumes from LINE (borrowed); ROOT is the root directory, borrowed.
 * Everything that the engine needs of the system has been asked for when this returns. */
int cl_worker_new(const struct cl_worker_orders *orders, int line, int root,
                  struct cl_worker **ret_worker, struct cl_error *err);
void cl_worker_free(struct cl_worker *worker);
/* Takes clients from the line, and their orders, until the line's other end is gone: 0. */
int cl_worker_run(struct cl_worker *worker, struct cl_error *err);
/* Whether so much is under way that whoever brings more should be slow. */
int cl_worker_is_busy(const struct cl_worker *worker);

/* --- clients.c ----------------------------------------------------------------------------- */

/* Takes the socket SOCKET. */
int cl_client_new(struct cl_worker *worker, int socket, struct cl_error *err);
/* Ends its guests. */
void cl_client_free(struct cl_client *client);
/* Sends ANSWER, now or when there is room. A client that can't be told anything is gone: it is
 * freed when nothing is done for it any more. */
void cl_client_tell(struct cl_client *client, struct cl_answer *answer);

/* --- guests.c ------------------------------------------------------------------------------ */

/* What CLIENT's guest NUMBER is, or NULL. */
struct cl_lodger *cl_lodger_find(const struct cl_client *client, uint64_t number);
/* As RUN, which is PACKET's, says, with the streams that came in it (taken). Errors are the
 * client's. */
int cl_lodger_new(struct cl_client *client, const struct cl_order_run *run,
                  struct cl_packet *packet, struct cl_error *err);
/* Ends it without a word. */
void cl_lodger_free(struct cl_lodger *lodger);
/* What it is, and uses. */
void cl_lodger_describe(const struct cl_lodger *lodger, struct cl_answer *ret);
/* Ends it as killed, and tells its client: now, or when its process has gone. */
void cl_lodger_kill(struct cl_lodger *lodger);
void cl_lodger_pause(struct cl_lodger *lodger, int is_paused);
/* The turns' on_end, and the children's. */
void cl_lodger_on_turns_end(struct cl_taker *taker, const struct cl_taker_end *end);
void cl_lodger_on_child_end(void *owner, struct cl_answer *answer);

#endif
