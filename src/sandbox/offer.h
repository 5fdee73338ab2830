/* offer.h - what the supervisor of a detached sandbox gives to who attaches: a duplicate of the end
 * by which the command's standard input is written, or of its pty's master. The client writes
 * there itself: nothing of the input goes through the supervisor, and no client holds him up.
 */
#ifndef CL_SANDBOX_OFFER_H
#define CL_SANDBOX_OFFER_H

#include "base/error.h"
#include "sandbox/state.h"

enum cl_offer_flag {
    CL_OFFER_INPUT = 1 << 0, /* it may be written to */
    CL_OFFER_TTY = 1 << 1,   /* it is a pty's master, also of one that takes no input */
    CL_OFFER_FLAGS = (1 << 2) - 1,
};

/* Supervisor: connects to CLIENT of ENTRY's bell and sends FD, borrowed: the pty's master where
 * PLAN has one, else the input's end, or -1 where none is held. 0 or -errno. Never waits. */
int cl_offer_give(const struct cl_entry *entry, const char *client, const struct cl_plan *plan,
                  int fd);

struct cl_offer {
    uint32_t flags;
    int fd; /* -1: none */
};
#define CL_OFFER_INIT ((struct cl_offer){.fd = -1})

/* Client: asks ENTRY's supervisor. */
int cl_offer_take(const struct cl_entry *entry, struct cl_offer *ret, struct cl_error *err);

#endif
