/* control.h - how a running sandbox's supervisor is asked for something: by ringing.
 *
 * The supervisor listens at the FIFO bells/<seat>, which stays when he goes and is his
 * successor's in that seat. A client makes a FIFO of its own in bells/ for the answer and
 * writes its name with the request into the bell. So the cost of making something in the
 * file system is the client's, who is seldom; a supervisor opens what is there already.
 * The client holds a lock (flock) on his FIFO as long as he is: one that nobody holds is a dead
 * client's.
 *
 * Descriptors need a socket. A client that has some to give (exec) or to get (attach) makes a
 * listening one in bells/ before he rings, and the supervisor connects to it: no sandbox pays for a
 * socket that nobody calls.
 *
 * The directory is 0700 and its owner's, and each end looks whose the other's FIFO is
 * besides. The supervisor never waits for a client.
 */
#ifndef CL_SANDBOX_CONTROL_H
#define CL_SANDBOX_CONTROL_H

#include "base/error.h"
#include "sandbox/state.h"

enum cl_control_command {
    CL_CONTROL_SIGNAL = 1,
    CL_CONTROL_REFRESH, /* write into the record what has become known since the start */
    CL_CONTROL_STOP,    /* the stop signal; and its end for sure after `grace_ms` */
    CL_CONTROL_CONNECT, /* connect to bells/exec-<client> */
    CL_CONTROL_PAUSE,
    CL_CONTROL_PAUSE_AGAIN, /* of one that is paused: what runs all the same */
    CL_CONTROL_UNPAUSE,
    CL_CONTROL_ATTACH,    /* as CONNECT, and offer there what offer.h says */
    CL_CONTROL_END_INPUT, /* the held end of the command's standard input is to be closed */
    CL_CONTROL_TELL,      /* what it uses, where its cgroups don't: answered as told.h says */
};

struct cl_control_request {
    uint32_t version; /* 2 */
    uint32_t command;
    int32_t signal;
    uint32_t grace_ms; /* STOP's, else 0 */
};

/* What is written into the FIFO; less than PIPE_BUF, so never in pieces. */
struct cl_control_ring {
    struct cl_control_request request;
    char id[CL_ID_SIZE];     /* who is meant */
    char client[CL_ID_SIZE]; /* where the answer goes: bells/client-<this>; and exec-<this> */
    char reserved[6];
};
_Static_assert(sizeof(struct cl_control_ring) == 56, "a protocol between versions");

/* -EBUSY: it is paused; -EALREADY: it is, or isn't, already. */
struct cl_control_answer {
    int32_t error; /* 0 or -errno */
    uint32_t reserved;
};

/* Client: asks ENTRY's supervisor to send SIGNAL: 9 ends the sandbox (its result
 * says "killed"), any other goes to the main process. Waits for the answer. */
int cl_control_signal(const struct cl_entry *entry, int signal, struct cl_error *err);

/* Client: asks ENTRY's supervisor to send its stop signal, and to end it when GRACE_MS have passed.
 * That is the supervisor's to do from then on, whatever becomes of the client. */
int cl_control_stop(const struct cl_entry *entry, uint32_t grace_ms, struct cl_error *err);

/* Client: asks ENTRY's supervisor to bring its record up to date, and waits until it has.
 * A start doesn't pay for what only inspect wants to know. */
int cl_control_refresh(const struct cl_entry *entry, struct cl_error *err);

/* Client: asks ENTRY's supervisor for COMMAND, one of PAUSE, PAUSE_AGAIN and UNPAUSE. What has
 * been asked for is under way when this returns (pause.h). */
int cl_control_pause(const struct cl_entry *entry, enum cl_control_command command,
                     struct cl_error *err);

/* Says that ENTRY is paused, and what helps; -EBUSY. */
int cl_control_fail_paused(const struct cl_entry *entry, struct cl_error *err);

/* Client: has ENTRY's supervisor connect. The connection, non-blocking, whose other end is a
 * process of our own user's or root's. CLIENT: by what name we ring, an id that nobody else rings
 * by, for who may end us meanwhile (cl_control_forget); NULL: nobody has to know. */
int cl_control_connect(const struct cl_entry *entry, const char *client, struct cl_error *err);
/* The same, and what the supervisor offers lies in it. */
int cl_control_attach(const struct cl_entry *entry, struct cl_error *err);
/* Removes from the state directory DIR what CLIENT has made to ring, who was ended. */
void cl_control_forget(int dir, const char *client);
/* Client: has ENTRY's supervisor close his end of the command's standard input. */
int cl_control_end_input(const struct cl_entry *entry, struct cl_error *err);

/* A request that has been made, and whose answer the client looks for later. */
struct cl_control_asked {
    int dir;    /* the state directory, borrowed; -1: nobody was asked */
    int bell;   /* of whom: nobody has it open any more when that sandbox has ended */
    int answer; /* where the answer comes; hung up when none will */
    char client[CL_ID_SIZE];
};
#define CL_CONTROL_ASKED_INIT ((struct cl_control_asked){.dir = -1, .bell = -1, .answer = -1})

/* Client: asks ENTRY's supervisor for COMMAND, and doesn't wait. */
int cl_control_ask(const struct cl_entry *entry, enum cl_control_command command,
                   struct cl_control_asked *ret, struct cl_error *err);
/* Waits for the answer no longer than UNTIL_NS (boot clock): 1, or 0 when none has come. */
int cl_control_asked_wait(const struct cl_control_asked *asked, uint64_t until_ns);
void cl_control_asked_done(struct cl_control_asked *asked);

/* Server: opens the bell of the sandbox's seat; returns its fd. */
int cl_control_listen(const struct cl_entry *entry, struct cl_error *err);

/* Takes one request for ENTRY and checks who it is from; the caller answers with
 * cl_control_answer and closes the descriptor. Returns the client's FIFO, or -errno for a
 * request that is to be forgotten. SIGPIPE must be blocked. */
int cl_control_accept(int bell, const struct cl_entry *entry, struct cl_control_request *ret);
/* The same, and by what name the client is called in bells/. */
int cl_control_accept_from(int bell, const struct cl_entry *entry, struct cl_control_request *ret,
                           char ret_client[CL_ID_SIZE]);
/* Server: connects to the CLIENT that asked for it. The connection, non-blocking, or -errno. */
int cl_control_call_back(const struct cl_entry *entry, const char *client);
void cl_control_answer(int client, int error);

/* Removes the FIFOs and sockets of clients that were killed, and of nobody who is at work; for
 * sweeps. */
void cl_control_sweep(const struct cl_state *state);

#endif
