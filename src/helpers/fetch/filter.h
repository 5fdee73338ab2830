/* filter.h - the calls that cloister-fetch can still make. */
#ifndef CL_HELPERS_FETCH_FILTER_H
#define CL_HELPERS_FETCH_FILTER_H

#include "base/error.h"

/* For this process and its threads, for ever. No-new-privileges is set. */
int cl_fetch_filter_enter(struct cl_error *err);

#endif
