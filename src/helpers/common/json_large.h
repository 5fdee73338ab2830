/* json_large.h - integers from 2^63 to 2^64 - 1, which JSON has and jansson doesn't.
 *
 * Before jansson sees a text, such integers become strings that begin with a NUL character, which
 * nothing else can be: a text that has a NUL in it is left as it is, and jansson refuses it.
 */
#ifndef CL_HELPERS_COMMON_JSON_LARGE_H
#define CL_HELPERS_COMMON_JSON_LARGE_H

#include "base/buf.h"
#include "helpers/common/report.h"

/* Writes the text that jansson is to read instead of DOCUMENT's into RET, and returns 1; 0 where
 * that is DOCUMENT's own. -errno when memory is out. */
int cl_json_large_mark(const struct cl_document *document, struct cl_buf *ret);

/* Takes the marks out of a TEXT that jansson wrote, in place. */
void cl_json_large_unmark(char *text);

#endif
