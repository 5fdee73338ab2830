/* copy.h - files in and out of a running sandbox (cp): the client's side. Inside a porter
 * works (walls/container/porter.c); copy/stream.h says how. */
#ifndef CL_SANDBOX_COPY_H
#define CL_SANDBOX_COPY_H

#include "sandbox/state.h"

struct cl_copy_job {
    const struct cl_found *found; /* the sandbox */
    const char *source;           /* a path, of the one side */
    const char *target;           /* of the other, by Docker's rules for cp (copy/place.h) */
    uint64_t most_bytes;          /* out of the sandbox: of all files, holes too */
    /* The process has nothing else to do behind it: before the first byte goes over it shuts itself
     * in where the copy goes, or comes from (copy/confine.h). */
    int is_last;
    const char *client; /* by what name it rings, as cl_control_connect has it; or NULL */
    /* PATH was left out, for an errno or, 0, for its kind. */
    void (*left_out)(void *context, const char *path, int why);
    void *context;
};

struct cl_copy_done {
    uint64_t entries; /* files, directories and links; out of the sandbox only */
    uint64_t bytes;
};

enum { CL_COPY_ENTRIES_MOST = 1000000 }; /* that come out of a sandbox in one copy */

/* From the sandbox to the host, and back. SIGPIPE has to be ignored. */
int cl_copy_out_of(const struct cl_copy_job *job, struct cl_copy_done *ret, struct cl_error *err);
int cl_copy_into(const struct cl_copy_job *job, struct cl_error *err);

#endif
