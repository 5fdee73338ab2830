/* secret.h - a password from the person at the terminal. */
#ifndef CL_CMD_CLOISTER_SECRET_H
#define CL_CMD_CLOISTER_SECRET_H

#include "base/buf.h"
#include "base/error.h"

/* Asks with PROMPT at the controlling terminal and adds the line that is typed to RET; HIDDEN:
 * without showing it; the terminal has its echo again before a signal ends us. -ENXIO, without a
 * message: there is no terminal. -EINTR: Ctrl-C. */
int cl_secret_ask(const char *prompt, int hidden, struct cl_buf *ret, struct cl_error *err);

#endif
