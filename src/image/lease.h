/* lease.h - what a pull is about to use, so that nobody collects it meanwhile: a file of chain
 * IDs in leases/, locked as long as the pull lives. A lease that nobody holds is worth nothing.
 */
#ifndef CL_IMAGE_LEASE_H
#define CL_IMAGE_LEASE_H

#include "base/buf.h"
#include "image/store.h"

struct cl_lease {
    int dir; /* leases/ */
    int fd;
    char name[24];
};
#define CL_LEASE_INIT ((struct cl_lease){.dir = -1, .fd = -1})

/* Gives it back. */
void cl_lease_done(struct cl_lease *lease);

/* Waits for a collection that is under way: afterwards it knows of these CHAINS. */
int cl_lease_take(const struct cl_store *store, const struct cl_digest *chains, size_t count,
                  struct cl_lease *ret, struct cl_error *err);

/* Adds the chains of all leases that are held to RET, as struct cl_digest; removes the others.
 * By who holds COLLECT exclusively. */
int cl_leases_read(const struct cl_store *store, struct cl_buf *ret, struct cl_error *err);

#endif
