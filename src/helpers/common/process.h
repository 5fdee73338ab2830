/* process.h - how a helper that reads JSON begins, before its jail; how each one ends is in
 * process_end.h. */
#ifndef CL_HELPERS_COMMON_PROCESS_H
#define CL_HELPERS_COMMON_PROCESS_H

#include "helpers/common/process_end.h"

/* What has to happen before the jail: descriptors from FIRST_FREE on are closed, and jansson
 * gets the hash seed that it would take from a file. */
int cl_process_begin(unsigned int first_free, struct cl_error *err);

#endif
