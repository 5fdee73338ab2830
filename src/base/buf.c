#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

void cl_buf_done(struct cl_buf *buf)
{
    if (buf->data != buf->lent)
        free(buf->data);
    buf->data = NULL;
    buf->lent = NULL;
    buf->size = 0;
    buf->allocated = 0;
}

/* Makes room for SIZE more bytes and the closing NUL. */
static int reserve(struct cl_buf *buf, size_t size)
{
    if (size > buf->cap || buf->size > buf->cap - size)
        return -EFBIG;

    size_t needed = buf->size + size + 1;
    if (needed <= buf->allocated)
        return 0;

    size_t target = buf->allocated < 64 ? 64 : buf->allocated;
    while (target < needed)
        target *= 2;
    int is_lent = buf->data == buf->lent;
    char *grown = cl_realloc(is_lent ? NULL : buf->data, target);
    if (grown == NULL)
        return -ENOMEM;
    if (is_lent && buf->size > 0)
        memcpy(grown, buf->data, buf->size);
    buf->data = grown;
    buf->allocated = target;
    return 0;
}

int cl_buf_add(struct cl_buf *buf, const void *data, size_t size)
{
    int r = reserve(buf, size);

    if (r < 0)
        return r;
    if (size > 0)
        memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    buf->data[buf->size] = '\0';
    return 0;
}

int cl_buf_add_str(struct cl_buf *buf, const char *text)
{
    return cl_buf_add(buf, text, strlen(text));
}

int cl_buf_printf(struct cl_buf *buf, const char *fmt, ...)
{
    va_list args;
    va_list again;

    va_start(args, fmt);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    int r = size < 0 ? -EINVAL : reserve(buf, (size_t)size);
    if (r == 0) {
        (void)vsnprintf(buf->data + buf->size, (size_t)size + 1, fmt, again);
        buf->size += (size_t)size;
    }
    va_end(again);
    return r;
}

int cl_buf_grow(struct cl_buf *buf, size_t size)
{
    int r = reserve(buf, size);

    if (r < 0)
        return r;
    memset(buf->data + buf->size, 0, size + 1);
    buf->size += size;
    return 0;
}

const char *cl_buf_text(const struct cl_buf *buf)
{
    return buf->size == 0 ? "" : buf->data;
}
