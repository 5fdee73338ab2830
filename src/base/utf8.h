/* utf8.h - is this UTF-8 (RFC 3629)? No conversion, no locale. */
#ifndef CL_BASE_UTF8_H
#define CL_BASE_UTF8_H

#include "base/defs.h"

/* The size (1 to 4) of the valid sequence that TEXT starts with, or 0. TEXT is
 * NUL-terminated; NUL itself is 0. */
size_t cl_utf8_sequence(const unsigned char *text);

/* True when all of TEXT is valid UTF-8. */
int cl_utf8_valid(const char *text);

#endif
