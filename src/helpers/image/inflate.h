/* inflate.h - compressed streams to plain ones: gzip (RFC 1952, any number of members) by
 * ISA-L, zstd (RFC 8878, any number of frames) by libzstd.
 *
 * Memory is bounded by the formats: 32 KiB of window for gzip, CL_INFLATE_WINDOW_LOG for zstd.
 * How much comes out is for whoever reads it to bound.
 */
#ifndef CL_HELPERS_IMAGE_INFLATE_H
#define CL_HELPERS_IMAGE_INFLATE_H

#include "base/error.h"
#include "oci/records.h"

enum { CL_INFLATE_WINDOW_LOG = 27 }; /* 128 MiB, what zstd -19 and --long may ask for */

/* From descriptor SOURCE to SINK, to the end. -EBADMSG for what is no such stream. */
int cl_inflate_run(enum cl_compression how, int source, int sink, struct cl_error *err);

#endif
