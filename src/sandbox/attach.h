/* attach.h - a client at a detached sandbox that runs: what its command writes from now on, and
 * input for it.
 *
 * Output is what the log gets, read as `logs -f` reads it: the supervisor copies nothing for a
 * client, and one that doesn't read, or is killed, holds up nobody. What has rotated away before a
 * slow client came to it is missing there, which it says. Input is written by the client itself
 * (offer.h). Several may be attached to one sandbox.
 *
 * The client is the command line's process, with its caller's privilege.
 */
#ifndef CL_SANDBOX_ATTACH_H
#define CL_SANDBOX_ATTACH_H

#include "sandbox/keys.h"
#include "sandbox/known.h"

struct cl_attach_options {
    int no_input;
    int keeps_signals;   /* SIGINT and its like end the client, and are not the command's */
    struct cl_keys keys; /* end the client when they are typed at a terminal in raw mode */
};

/* Attaches to KNOWN, which was alive when it was found, until it ends. Its exit status, as `wait`
 * knows it, with why in ERR where there is something to say; 0 when the keys were typed, 128+n for
 * a signal, which ERR says. Or -errno. */
int cl_attach_run(const struct cl_known *known, const struct cl_attach_options *options,
                  struct cl_error *err);

#endif
