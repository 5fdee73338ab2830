/* store.h - the image store: where it is, its directories, its locks. docs/images.md has the
 * layout and what it guarantees.
 *
 * Owner and mode are checked when it is opened: it belongs to the caller, and to nobody else
 * is it open. So what lies in it is what we wrote; the bytes of strangers in it are verified
 * blobs and the insides of layers, which are never followed.
 *
 * Locks are the kernel's (F_OFD byte ranges of the file `locks`, each at an offset of its own)
 * and go with their holder. Who holds a chain or a blob may wait for COLLECT; who holds COLLECT
 * waits for neither, and only tries whether they are free.
 */
#ifndef CL_IMAGE_STORE_H
#define CL_IMAGE_STORE_H

#include "base/error.h"
#include "oci/digest.h"

enum { CL_STORE_PATH_SIZE = 3072, CL_STORE_NAME_SIZE = 96 };

struct cl_store {
    int dir;
    char path[CL_STORE_PATH_SIZE];
};
#define CL_STORE_INIT ((struct cl_store){.dir = -1})

void cl_store_done(struct cl_store *store);
#define CL_CLEANUP_STORE CL_CLEANUP(cl_store_done)

/* Opens the caller's store. MAKE: makes what of it is missing; otherwise -ENOENT, without a
 * message, where there is none. */
int cl_store_open(int make, struct cl_store *ret, struct cl_error *err);

/* What is locked. */
enum cl_store_lock {
    CL_STORE_COLLECT, /* what is removed is being chosen (exclusive), or must not be (shared) */
    CL_STORE_CHAIN,   /* the layer of a chain ID is being made */
    CL_STORE_BLOB,    /* the download of a blob */
};

enum cl_store_lock_how {
    CL_LOCK_SHARED = 1,
    CL_LOCK_EXCLUSIVE = 2,
    CL_LOCK_WAIT = 4, /* until it is free, or a signal comes (-EINTR); without: -EAGAIN */
};

/* A descriptor that holds the lock until it is closed, or -errno. DIGEST is the chain's or the
 * blob's, NULL for COLLECT. */
int cl_store_lock(const struct cl_store *store, enum cl_store_lock lock,
                  const struct cl_digest *digest, int how);

/* "<directory>/<hex>" of DIGEST. */
void cl_store_name(const char *directory, const struct cl_digest *digest,
                   char ret[CL_STORE_NAME_SIZE]);

/* Puts SIZE bytes of DATA into the file NAME, whole or not at all, in the place of what is
 * there. What calls for it syncs (cl_store_sync). */
int cl_store_put(const struct cl_store *store, const char *name, const void *data, size_t size,
                 struct cl_error *err);

/* Removes the file NAME; none is as good. */
int cl_store_remove(const struct cl_store *store, const char *name, struct cl_error *err);

/* Everything in the store so far survives a loss of power. */
int cl_store_sync(const struct cl_store *store, struct cl_error *err);

/* Adds to ERR what R, a failure to write to the store, means; returns R. */
int cl_store_hint(const struct cl_store *store, int r, struct cl_error *err);

#endif
