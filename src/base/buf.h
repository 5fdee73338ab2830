/* buf.h - a growing byte buffer with a cap that can't be forgotten.
 *
 * Owner: whoever holds the struct; cl_buf_done frees. Adding past the cap leaves
 * the buffer as it was and returns -EFBIG; no memory is -ENOMEM. The content is
 * always followed by a NUL byte that does not count, so that text can be used as
 * a C string.
 */
#ifndef CL_BASE_BUF_H
#define CL_BASE_BUF_H

#include <stdarg.h>

#include "base/defs.h"

struct cl_buf {
    char *data;
    size_t size;
    size_t allocated;
    size_t cap;
    char *lent; /* the caller's, never freed; NULL: all is ours */
};

#define CL_BUF_INIT(cap_bytes) ((struct cl_buf){.cap = (cap_bytes)})
/* Begins in the array STORAGE, which must outlive it, and allocates what doesn't fit there. */
#define CL_BUF_INIT_IN(cap_bytes, storage)                                                         \
    ((struct cl_buf){                                                                              \
        .data = (storage), .allocated = sizeof(storage), .cap = (cap_bytes), .lent = (storage)})
#define CL_CLEANUP_BUF CL_CLEANUP(cl_buf_done)

void cl_buf_done(struct cl_buf *buf);

int cl_buf_add(struct cl_buf *buf, const void *data, size_t size);
int cl_buf_add_str(struct cl_buf *buf, const char *text);
int cl_buf_printf(struct cl_buf *buf, const char *fmt, ...) CL_PRINTF(2, 3);

/* Appends SIZE zero bytes. */
int cl_buf_grow(struct cl_buf *buf, size_t size);

/* The text so far; "" when nothing was added. */
const char *cl_buf_text(const struct cl_buf *buf);

#endif
