/* quote.h - foreign text within a message: short, ASCII, and what it is for all to see.
 *
 * A letter of another script that looks like one of ours, a mark that turns the direction
 * of writing, a newline: each byte of them is shown as \x and two hexadecimal digits, since
 * who typed "debian" with a Cyrillic letter has to see which one it was. So is a quotation
 * mark, which would end the quotation. Text that is too long ends in "...".
 */
#ifndef CL_OCI_QUOTE_H
#define CL_OCI_QUOTE_H

#include "base/defs.h"

enum { CL_QUOTE_MAX = 120, CL_QUOTE_SIZE = CL_QUOTE_MAX + 4 };

/* Quotation marks are the message's own; returns RET. */
const char *cl_quote(const char *text, char ret[CL_QUOTE_SIZE]);
/* The first SIZE bytes of TEXT, of which none need be a NUL. */
const char *cl_quote_part(const char *text, size_t size, char ret[CL_QUOTE_SIZE]);

#endif
