/* safe_text.h - what a stranger's program wrote, for a terminal: nothing of it can drive that. */
#ifndef CL_CMD_CLOISTER_SAFE_TEXT_H
#define CL_CMD_CLOISTER_SAFE_TEXT_H

#include "base/buf.h"

/* The bytes of a character that isn't whole yet, from one piece of a stream to the next. */
struct cl_safe_text {
    unsigned char rest[4];
    size_t size;
};

/* Adds DATA to BUF: text in UTF-8, line feeds and tabs as they are; other control characters of
 * ASCII as "^X"; each byte of what else steers (utf8.h), or is no text, as "\x9b". A return before
 * a line feed, as terminals have it, is left out. -ENOMEM or -EFBIG. */
int cl_safe_text_add(struct cl_safe_text *text, struct cl_buf *buf, const char *data, size_t size);
/* What is left over at the stream's end. */
int cl_safe_text_end(struct cl_safe_text *text, struct cl_buf *buf);

#endif
