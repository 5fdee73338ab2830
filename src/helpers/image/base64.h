/* base64.h - base64 (RFC 4648, section 4), and back to bytes, strictly: the alphabet, whole groups
 * and the padding's place; newlines count for nothing, as some tools wrap their output. */
#ifndef CL_HELPERS_IMAGE_BASE64_H
#define CL_HELPERS_IMAGE_BASE64_H

#include "base/buf.h"

/* Adds what TEXT encodes to BUF. -EINVAL: it encodes nothing; -ENOMEM, -EFBIG. */
int cl_base64_decode(const char *text, struct cl_buf *buf);

/* Adds the base64 of SIZE bytes at DATA to BUF, in one line. -ENOMEM, -EFBIG. */
int cl_base64_encode(const void *data, size_t size, struct cl_buf *buf);

#endif
