#include "cmd/cloister/safe_text.h"

#include <string.h>

#include "base/utf8.h"

static int add_control(struct cl_buf *buf, unsigned char byte)
{
    const char shown[2] = {'^', (char)(byte ^ 0x40)}; /* DEL is "^?" */

    return cl_buf_add(buf, shown, sizeof(shown));
}

/* How many bytes a character has that begins with BYTE. */
static size_t size_of(unsigned char byte)
{
    return byte < 0xc2 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 1;
}

/* What begins at TEXT, NUL-ended; how many bytes of it are done with. */
static int add_one(struct cl_buf *buf, const unsigned char *text, size_t *ret_size)
{
    const size_t size = cl_utf8_sequence(text);
    const unsigned char byte = text[0];

    *ret_size = size == 0 ? 1 : size;
    if (byte == '\n' || byte == '\t')
        return cl_buf_add(buf, text, 1);
    if (byte < 0x20 || byte == 0x7f)
        return byte == '\r' && text[1] == '\n' ? 0 : add_control(buf, byte);
    if (size > 0 && !cl_utf8_steers(text, size))
        return cl_buf_add(buf, text, size);
    *ret_size = 1;
    return cl_buf_printf(buf, "\\x%02x", (unsigned int)byte);
}

/* Whether what begins at TEXT, of which LEFT bytes are there, may go on in the next piece. */
static int is_cut(const unsigned char *text, size_t left)
{
    if (text[0] == '\r')
        return left < 2;
    for (size_t i = 1; i < left; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    return left < size_of(text[0]);
}

static int add_all(struct cl_safe_text *text, struct cl_buf *buf, const unsigned char *data,
                   size_t size, int is_end)
{
    size_t at = 0;

    while (at < size) {
        unsigned char window[5] = {0};
        size_t left = size - at < 4 ? size - at : 4;
        size_t taken;

        memcpy(window, data + at, left);
        if (!is_end && is_cut(window, left))
            break;
        int r = add_one(buf, window, &taken);
        if (r < 0)
            return r;
        at += taken;
    }
    text->size = size - at;
    memcpy(text->rest, data + at, text->size);
    return 0;
}

int cl_safe_text_add(struct cl_safe_text *text, struct cl_buf *buf, const char *data, size_t size)
{
    unsigned char seam[8];
    const size_t before = text->size;
    size_t more = size < 4 ? size : 4;

    if (before == 0)
        return add_all(text, buf, (const unsigned char *)data, size, 0);
    /* the rest with what completes it, then on from there */
    memcpy(seam, text->rest, before);
    memcpy(seam + before, data, more);
    int r = add_all(text, buf, seam, before + more, 0);
    if (r < 0 || more == size)
        return r;
    const size_t again = text->size; /* bytes of DATA that are not done with */
    CL_ASSERT(again <= more);
    text->size = 0;
    return add_all(text, buf, (const unsigned char *)data + more - again, size - more + again, 0);
}

int cl_safe_text_end(struct cl_safe_text *text, struct cl_buf *buf)
{
    unsigned char rest[4];
    const size_t size = text->size;

    memcpy(rest, text->rest, size);
    return add_all(text, buf, rest, size, 1);
}
