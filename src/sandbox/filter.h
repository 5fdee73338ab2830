/* filter.h - a seccomp filter that our caller was put under, as a service manager or another
 * container does. It answers as a kernel would that lacks the call or forbids it: only its
 * usual makers can be named.
 */
#ifndef CL_SANDBOX_FILTER_H
#define CL_SANDBOX_FILTER_H

#include "base/error.h"

/* Whether there is one; asked before we install our own. */
int cl_filter_is_on(void);

/* Adds to ERR, a failure, what a filter may have to do with it: for ENOSYS always, since
 * Linux 6.1 has every call, for others where IS_FILTERED. Returns -err->code. */
int cl_filter_explain(int is_filtered, struct cl_error *err);

#endif
