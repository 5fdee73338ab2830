/* utf8.h - UTF-8 (RFC 3629): is this, and can it be shown? No conversion, no locale. */
#ifndef CL_BASE_UTF8_H
#define CL_BASE_UTF8_H

#include "base/defs.h"

/* The size (1 to 4) of the valid sequence that TEXT starts with, or 0. TEXT is
 * NUL-terminated; NUL itself is 0. */
size_t cl_utf8_sequence(const unsigned char *text);

/* Whether all of TEXT is UTF-8. */
int cl_utf8_is_valid(const char *text);

/* Whether the sequence of SIZE bytes (cl_utf8_sequence) steers what shows it rather than being
 * shown: control characters (C0, C1, DEL; a newline too), which drive terminals, ends of lines
 * and paragraphs, and marks that turn the order of what is around them (UAX #9, "Explicit
 * Directional Formatting Characters"), so that a text reads as another. */
int cl_utf8_steers(const unsigned char *text, size_t size);

/* Puts '?' for each byte of what steers, and of what is no UTF-8. */
void cl_utf8_make_printable(char *text);

#endif
