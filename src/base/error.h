/* error.h - how failures travel: a code for programs, one line for people.
 *
 * The object lives on the caller's stack and never allocates. Functions that can
 * fail return an int, >= 0 for success and -errno for failure, and take a
 * struct cl_error as their last parameter, which they fill exactly when they
 * fail. The failing place says what failed on which object; callers add a prefix
 * only when they know something new. Only main and the daemon edges print.
 */
#ifndef CL_BASE_ERROR_H
#define CL_BASE_ERROR_H

#include "base/defs.h"

enum { CL_ERROR_MSG_SIZE = 512 };

struct cl_error {
    int code; /* an errno value, never 0 after a failure */
    char msg[CL_ERROR_MSG_SIZE];
};

/* A system call failed: the message is "<fmt>: <strerror(errnum)>". errnum may be
 * given positive or negative (as a -errno return). Returns -errnum. */
int cl_fail(struct cl_error *err, int errnum, const char *fmt, ...) CL_PRINTF(3, 4);

/* We refuse: the message is <fmt> alone and says the cure where one is known. */
int cl_refuse(struct cl_error *err, int errnum, const char *fmt, ...) CL_PRINTF(3, 4);

/* Puts "<fmt>: " before the message that is already there. Returns -err->code. */
int cl_prefix(struct cl_error *err, const char *fmt, ...) CL_PRINTF(2, 3);

/* Appends a hint, "; <fmt>", to the message that is there. Returns -err->code. */
int cl_hint(struct cl_error *err, const char *fmt, ...) CL_PRINTF(2, 3);

/* Makes a message out of bytes that another process may have written: ended, printable,
 * with a code that is one. Returns -err->code. */
int cl_error_check(struct cl_error *err);

/* Out of memory, said without allocating. Returns -ENOMEM. */
int cl_fail_memory(struct cl_error *err);

/* What these return is negative: said here, in each caller's sight, so that compilers
 * and analyzers don't follow paths on which a failure counts as success. */
static inline int cl_failed(int r)
{
    if (r >= 0)
        __builtin_unreachable();
    return r;
}
#define cl_fail(...) cl_failed((cl_fail)(__VA_ARGS__))
#define cl_refuse(...) cl_failed((cl_refuse)(__VA_ARGS__))
#define cl_prefix(...) cl_failed((cl_prefix)(__VA_ARGS__))
#define cl_hint(...) cl_failed((cl_hint)(__VA_ARGS__))
#define cl_error_check(err) cl_failed((cl_error_check)(err))
#define cl_fail_memory(err) cl_failed((cl_fail_memory)(err))

#endif
