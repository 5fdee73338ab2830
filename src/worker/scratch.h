/* scratch.h - a directory for each guest of a worker for many.
 *
 * They lie side by side below the worker's root, each with a `tmp` in it. One that its guest has
 * not been in goes to the next guest as it is. One that it has is set aside, and its tree is taken
 * down in small pieces, between guests: no guest waits for another's files.
 *
 * Ownership: a directory's descriptor is the taker's. Errors: those of the calls, -errno.
 */
#ifndef CL_WORKER_SCRATCH_H
#define CL_WORKER_SCRATCH_H

#include "base/error.h"

struct cl_scratch {
    int guests;    /* the directory of theirs */
    int trash;     /* of those that are taken down */
    uint32_t made; /* names so far */
    uint32_t thrown;
    uint32_t *clean; /* names of those that wait for a guest */
    size_t clean_count, most;
    int has_trash;
};
#define CL_SCRATCH_INIT ((struct cl_scratch){.guests = -1, .trash = -1})

/* For MOST guests, below the directory ROOT (borrowed). */
int cl_scratch_init(struct cl_scratch *ret, int root, size_t most, struct cl_error *err);
void cl_scratch_done(struct cl_scratch *scratch);

/* An empty directory, open, and its number; or -errno. */
int cl_scratch_take(struct cl_scratch *scratch, uint32_t *ret_number);
/* Of a guest that is gone; IS_USED: it may have been in it. */
void cl_scratch_give(struct cl_scratch *scratch, uint32_t number, int is_used);

/* Takes down some of what was thrown away. Nothing is left to do when has_trash is 0. */
void cl_scratch_work(struct cl_scratch *scratch);

#endif
