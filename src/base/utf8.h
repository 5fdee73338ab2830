/* utf8.h - UTF-8 (RFC 3629): is this, and can it be shown? No conversion, no locale. */
#ifndef CL_BASE_UTF8_H
#define CL_BASE_UTF8_H

#include "base/defs.h"

/* The size (1 to 4) of the valid sequence that TEXT starts with, or 0. TEXT is
 * NUL-terminated; NUL itself is 0. */
size_t cl_utf8_sequence(const unsigned char *text);

/* Puts '?' for what could drive a terminal (C0 and C1 control characters, DEL, a newline
 * too) and for bytes that are no UTF-8. */
void cl_utf8_make_printable(char *text);

#endif
