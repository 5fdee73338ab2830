/* jail.h - what cloister-fetch takes from itself before it talks to anybody.
 *
 * Unlike the parsers' jail (helpers/common/jail.h) this one has a network, and the files that
 * names and certificates are looked up in. It can't be undone.
 */
#ifndef CL_HELPERS_FETCH_JAIL_H
#define CL_HELPERS_FETCH_JAIL_H

#include "base/error.h"

struct cl_fetch_jail {
    unsigned int keep_fds; /* descriptors from this one on are closed */
    int without_landlock;  /* the caller accepts that there is none */
};

/* What the jail would forbid, or make slow: libraries with what they load, jansson's seed. */
int cl_fetch_jail_prepare(struct cl_error *err);

int cl_fetch_jail_enter(struct cl_fetch_jail *jail, struct cl_error *err);

/* All of it but the filter of calls, which would hide the layers below it from a test. */
int cl_fetch_jail_enter_unfiltered(struct cl_fetch_jail *jail, struct cl_error *err);

#endif
