/* signals.h - signals by name or number. */
#ifndef CL_BASE_SIGNALS_H
#define CL_BASE_SIGNALS_H

#include "base/error.h"

/* "TERM", "SIGTERM", "term", "RTMIN+3" or "15"; 1 to 64. -EINVAL. */
int cl_signal_parse(const char *text, int *ret, struct cl_error *err);

/* "SIGTERM"; NULL where the number has no name. */
const char *cl_signal_name(int number);

/* Each signal's default disposition: the caller's are inherited through exec, and may be odd. All
 * of the kernel's: the C library keeps some for itself and doesn't reset them. */
void cl_signals_reset(void);

#endif
