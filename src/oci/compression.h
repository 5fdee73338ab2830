/* compression.h - what bytes are compressed by, as the first of them say: magic numbers, which
 * nothing of a tar archive begins with but a member of such a name.
 *
 * Docker decides in the same way, whatever a file is called.
 */
#ifndef CL_OCI_COMPRESSION_H
#define CL_OCI_COMPRESSION_H

#include <stddef.h>

#include "oci/records.h"

enum { CL_COMPRESSION_HEAD_SIZE = 6 };

struct cl_compression_guess {
    const char *program; /* that makes such bytes, and unmakes them with -d; NULL: none */
    enum cl_compression compression; /* COUNT: one that nothing here reads */
};

/* Of the first SIZE bytes; more than CL_COMPRESSION_HEAD_SIZE say no more. Never NULL. */
const struct cl_compression_guess *cl_compression_guess(const void *head, size_t size);

#endif
