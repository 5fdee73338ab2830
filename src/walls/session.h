/* session.h - one more command in a running sandbox (exec), or files in or out of it (cp): what its
 * client, the supervisor and the sandbox's first process say to each other.
 *
 * The client makes everything: a SOCK_SEQPACKET pair, one end of which is the *session*;
 * pipes for the standard streams; a sealed memfd with the *words*, the flat form of a plan
 * (plan/format.h) that has command, env, workdir, uid and gid alone. The descriptors go
 * through the supervisor, who looks at their kinds, to the first process, which reads the
 * words, starts the command, and speaks on the session until it has ended. It never gives
 * the session to anybody.
 *
 * All are fixed structs of one program; a request of another version is refused.
 */
#ifndef CL_WALLS_SESSION_H
#define CL_WALLS_SESSION_H

#include "base/error.h"
#include "plan/format.h"

enum {
    CL_EXEC_VERSION = 2,
    CL_EXEC_WORDS_MAX = CL_PLAN_MAX_SIZE,
    CL_EXEC_MOST = 32, /* commands at a time in one sandbox */
    CL_EXEC_MAX_FDS = 5,
};

enum cl_exec_flag {
    CL_EXEC_STDIN = 1 << 0, /* a pipe comes for it; else /dev/null */
    CL_EXEC_STDOUT = 1 << 1,
    CL_EXEC_STDERR = 1 << 2,
    CL_EXEC_STREAMS = CL_EXEC_STDIN | CL_EXEC_STDOUT | CL_EXEC_STDERR,
    CL_EXEC_TTY = 1 << 3,    /* a new pty, and no streams */
    CL_EXEC_DETACH = 1 << 4, /* the session ends when the command runs */
    /* A copy (copy/stream.h), not a command. The words' command says of what: */
    CL_EXEC_SEND = 1 << 5, /* from the path [0] to standard output, alone */
    CL_EXEC_TAKE = 1 << 6, /* from standard input, alone, to the path [0], by the name [1] */
    CL_EXEC_COPY = CL_EXEC_SEND | CL_EXEC_TAKE,
    CL_EXEC_FLAGS = (1 << 7) - 1,
};

/* Client to supervisor. With it come the session, the words, and the streams in their
 * order. */
struct cl_exec_request {
    uint32_t version;
    uint32_t flags; /* enum cl_exec_flag */
    uint16_t rows;  /* of the pty */
    uint16_t columns;
    uint32_t reserved;
};

/* How many descriptors come with FLAGS. */
static inline size_t cl_exec_fd_count(uint32_t flags)
{
    return 2 + (size_t)__builtin_popcount(flags & CL_EXEC_STREAMS);
}

enum cl_session_event_kind {
    CL_SESSION_TERMINAL = 1, /* with the pty's master */
    CL_SESSION_STARTED,
    CL_SESSION_FAILED,  /* value: an errno; message */
    CL_SESSION_NO_EXEC, /* the command could not be executed: the same */
    CL_SESSION_ENDED,   /* value: the wait status */
};

/* First process to client. */
struct cl_session_event {
    uint32_t kind;
    int32_t value;
    char message[CL_ERROR_MSG_SIZE];
};

/* Client to first process: a signal for the command. The session's end kills it. */
struct cl_session_order {
    int32_t signal;
};

#endif
