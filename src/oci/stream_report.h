/* stream_report.h - what cloister-image verify tells the core, through a file of memory that
 * both have: how far it is, and in the end the digest. Written whole each time.
 */
#ifndef CL_OCI_STREAM_REPORT_H
#define CL_OCI_STREAM_REPORT_H

#include "oci/digest.h"

struct cl_stream_report {
    uint64_t bytes;                   /* that were hashed and handed on */
    uint64_t ended;                   /* 1: the source is at its end, and `digest` is whole */
    char digest[CL_DIGEST_TEXT_SIZE]; /* "sha256:...", NUL */
};

#endif
