/* blob.h - where a blob's bytes go: in order, without holes, into a file that others read
 * while it grows, and the pipe that tells them how far it is.
 *
 * Small pieces are gathered, so that a file is written and a tick sent a few times for each
 * megabyte and not for each packet. A tick that finds the pipe full is sent later; only the
 * newest counts.
 */
#ifndef CL_HELPERS_FETCH_BLOB_H
#define CL_HELPERS_FETCH_BLOB_H

#include "base/error.h"

struct cl_blob {
    int body;       /* owned */
    int ticks;      /* owned; -1: nobody listens */
    uint64_t size;  /* of the whole */
    uint64_t have;  /* are in the file */
    uint64_t skip;  /* that come now are there already */
    char *gathered; /* after `have` */
    size_t gathered_size;
    uint64_t told; /* by the last tick */
    int abandoned; /* the reader of ticks has gone: nobody wants the rest */
};

/* Takes over the descriptors, also when it fails. */
int cl_blob_init(int fds[2], uint64_t offset, uint64_t size, struct cl_blob *ret,
                 struct cl_error *err);
/* Closes the descriptors. */
void cl_blob_done(struct cl_blob *blob);

/* What comes next begins at the blob's byte FROM, which is 0 or blob->have. */
void cl_blob_begin(struct cl_blob *blob, uint64_t from);
/* -EFBIG: more than the blob has. */
int cl_blob_add(struct cl_blob *blob, const void *data, size_t size, struct cl_error *err);
/* Everything that was added is in the file, and is told as far as the pipe takes it. */
int cl_blob_flush(struct cl_blob *blob, struct cl_error *err);
/* Whether a tick waits for room in the pipe. */
int cl_blob_owes_tick(const struct cl_blob *blob);
int cl_blob_tick(struct cl_blob *blob, struct cl_error *err);

#endif
