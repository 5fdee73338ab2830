/* base64.h - base64 (RFC 4648, section 4), and back to bytes, strictly: the alphabet, whole groups
 * and the padding's place; newlines count for nothing, as some tools wrap their output. */
#ifndef CL_HELPERS_COMMON_BASE64_H
#define CL_HELPERS_COMMON_BASE64_H

#include "base/buf.h"

/* Adds what TEXT encodes to BUF. -EINVAL: it encodes nothing; -ENOMEM, -EFBIG. */
int cl_base64_decode(const char *text, struct cl_buf *buf);

/* How many characters SIZE bytes become. */
#define CL_BASE64_SIZE(size) (((size) + 2) / 3 * 4)

/* Puts the base64 of SIZE bytes at DATA, in one line and without a NUL, in RET, which has room
 * for CL_BASE64_SIZE: nothing grows, so that no copy of a secret stays behind. */
void cl_base64_encode(const void *data, size_t size, char *ret);

#endif
