/* verify.h - bytes on their way from one jailed process to the next, hashed as they pass.
 *
 * It parses nothing. What it hashes is what it hands on through a pipe, where nobody can change
 * it afterwards, which could not be said of a file or of shared memory.
 */
#ifndef CL_HELPERS_IMAGE_VERIFY_H
#define CL_HELPERS_IMAGE_VERIFY_H

#include "base/error.h"
#include "oci/stream_report.h"

struct cl_verify {
    int source;
    int is_file; /* SOURCE is a file, of which `max_bytes` from `offset_bytes` on are
                    read; else it is read to its end */
    int ticks;   /* of a file that grows: how many of the bytes are there, as
                    oci/fetch.h says; -1: all */
    uint64_t offset_bytes;
    int sink;           /* -1: nobody wants them */
    int is_teed;        /* SOURCE and SINK are pipes: by tee(2), without a copy. Only where who
                           writes to SOURCE can't change the pages afterwards: by vmsplice(2)
                           or splice(2) he could */
    int report;         /* a struct cl_stream_report is kept there; -1: none */
    uint64_t max_bytes; /* of a stream: more than that is an error */
};

/* -EFBIG when there is more, -EPIPE when nobody reads SINK any more. */
int cl_verify_run(const struct cl_verify *how, struct cl_stream_report *ret, struct cl_error *err);

/* What has to happen before the jail: the library finds its implementation. */
int cl_verify_prepare(struct cl_error *err);

#endif
