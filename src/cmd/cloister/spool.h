/* spool.h - standard input as a file, for what has to be read twice. */
#ifndef CL_CMD_CLOISTER_SPOOL_H
#define CL_CMD_CLOISTER_SPOOL_H

#include "image/store.h"

/* All of standard input in a file of STORE's downloads/ that has no name and goes with its
 * descriptor, which is returned. SHOW is told of the bytes so far, and 0. */
int cl_spool_input(const struct cl_store *store, uint64_t max_bytes,
                   void (*show)(void *context, uint64_t bytes, uint64_t size_bytes), void *context,
                   struct cl_error *err);

#endif
