/* jail.h - what the helper takes from itself before it reads the first foreign byte.
 *
 * After cl_jail_enter the process has descriptors 0 to KEEP_FDS - 1 and memory, and
 * can read, write, seek, allocate and end; nothing else. It can't be undone.
 */
#ifndef CL_HELPERS_COMMON_JAIL_H
#define CL_HELPERS_COMMON_JAIL_H

#include "base/error.h"

struct cl_jail {
    unsigned int keep_fds; /* descriptors from this one on are closed */
};

int cl_jail_enter(struct cl_jail *jail, struct cl_error *err);

/* All of it but the filter of calls, which would hide the layers below it from a test. */
int cl_jail_enter_unfiltered(struct cl_jail *jail, struct cl_error *err);

#endif
