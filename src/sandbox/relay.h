/* relay.h - carrying a sandbox's standard streams: bytes from one descriptor to another
 * through a small buffer, never blocking the supervisor.
 *
 * No descriptor of the caller enters a sandbox; what the program writes comes out of a
 * pipe of ours, is counted, and goes on to the caller's. The caller's descriptors may
 * be anything: a pipe that nobody reads, a file, a terminal, a socket, closed.
 */
#ifndef CL_SANDBOX_RELAY_H
#define CL_SANDBOX_RELAY_H

#include "base/loop.h"
#include "sandbox/log.h"
#include "sandbox/manner.h"

/* What the relays of one sandbox may carry out together. */
struct cl_output_budget {
    uint64_t used;
    uint64_t limit; /* UINT64_MAX: none */
    int exceeded;
};

enum {
    CL_RELAY_BUFFER = 16384,
    CL_RELAY_SPARE = 16, /* that a filter may add */
};

struct cl_relay {
    struct cl_loop *loop;
    struct cl_source in;  /* fd owned when OWNS_IN */
    struct cl_source out; /* fd owned when OWNS_OUT */
    int owns_in;
    int owns_out;
    enum cl_manner in_manner;
    enum cl_manner out_manner;
    int active;
    int in_ended;
    int in_is_pty; /* set before the start: EIO is its end */
    int finishing; /* an empty pipe is its end */
    int failed;    /* -errno of a read or write that ended it; 0: it ended well */
    size_t start;
    size_t end;
    struct cl_log *log;
    enum cl_log_kind log_kind;
    uint64_t total;                  /* bytes carried */
    struct cl_output_budget *budget; /* NULL: none */
    /* Changes SIZE bytes in DATA that were read, with room for CL_RELAY_SPARE more, and returns how
     * many there are then. NULL: none. */
    size_t (*filter)(struct cl_relay *relay, char *data, size_t size);
    /* Called once when nothing more will be carried, or the budget is used up. */
    void (*on_end)(struct cl_relay *relay);
    void *context;
    char buffer[CL_RELAY_BUFFER];
};

/* Sandbox to caller: IN (taken) is a non-blocking pipe end or pty master of ours,
 * OUT is the caller's, borrowed. BUDGET, ON_END and CONTEXT are the caller's to set before. */
int cl_relay_start_output(struct cl_relay *relay, struct cl_loop *loop, int in, int out,
                          struct cl_error *err);

/* Sandbox to relay->log, as records of relay->log_kind, both set before. IN as above. */
int cl_relay_start_log(struct cl_relay *relay, struct cl_loop *loop, int in, struct cl_error *err);

/* Caller to sandbox: IN is the caller's, borrowed; OUT (taken) is ours, non-blocking. */
int cl_relay_start_input(struct cl_relay *relay, struct cl_loop *loop, int in, int out,
                         struct cl_error *err);

/* No more is to come from IN, a pipe, than what lies in it, although others may keep it open. Ends
 * the relay when that is carried: now, maybe. */
void cl_relay_finish(struct cl_relay *relay);

/* Stops and closes what is owned. */
void cl_relay_done(struct cl_relay *relay);

#endif
