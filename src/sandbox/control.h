/* control.h - the supervisor's control socket: sandboxes/<id>/control, SOCK_SEQPACKET.
 *
 * One fixed-size request, one fixed-size answer. The directory is 0700 and the
 * server checks the peer's uid besides (SO_PEERCRED).
 */
#ifndef CL_SANDBOX_CONTROL_H
#define CL_SANDBOX_CONTROL_H

#include "base/error.h"
#include "sandbox/state.h"

enum cl_control_command { CL_CONTROL_SIGNAL = 1 };

struct cl_control_request {
    uint32_t version; /* 1 */
    uint32_t command;
    int32_t signal;
    uint32_t reserved;
};

struct cl_control_answer {
    int32_t error; /* 0 or -errno */
    uint32_t reserved;
};

/* Client: asks ENTRY's supervisor to send SIGNAL: 9 ends the sandbox (its result
 * says "killed"), any other goes to the main process. Waits for the answer. */
int cl_control_signal(const struct cl_entry *entry, int signal, struct cl_error *err);

/* Server: makes the listening socket in the sandbox's directory; returns its fd. */
int cl_control_listen(const struct cl_entry *entry, struct cl_error *err);

/* Accepts one client, reads its request and checks who it is; the caller answers
 * with cl_control_answer and closes the descriptor. Returns the client's fd, or
 * -errno for one that is to be forgotten. */
int cl_control_accept(int listener, struct cl_control_request *ret);
void cl_control_answer(int client, int error);

#endif
