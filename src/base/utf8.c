#include "base/utf8.h"

static int is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

static int is_between(unsigned char byte, unsigned char low, unsigned char high)
{
    return byte >= low && byte <= high;
}

/* RFC 3629, section 4: the allowed second bytes depend on the first. */
static size_t sequence_of_three(const unsigned char *text)
{
    unsigned char low = text[0] == 0xe0 ? 0xa0 : 0x80;
    unsigned char high = text[0] == 0xed ? 0x9f : 0xbf;

    return is_between(text[1], low, high) && is_continuation(text[2]) ? 3 : 0;
}

static size_t sequence_of_four(const unsigned char *text)
{
    unsigned char low = text[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = text[0] == 0xf4 ? 0x8f : 0xbf;

    return is_between(text[1], low, high) && is_continuation(text[2]) && is_continuation(text[3])
               ? 4
               : 0;
}

size_t cl_utf8_sequence(const unsigned char *text)
{
    if (text[0] == '\0')
        return 0;
    if (text[0] < 0x80)
        return 1;
    if (is_between(text[0], 0xc2, 0xdf))
        return is_continuation(text[1]) ? 2 : 0;
    if (is_between(text[0], 0xe0, 0xef))
        return sequence_of_three(text);
    return is_between(text[0], 0xf0, 0xf4) ? sequence_of_four(text) : 0;
}

void cl_utf8_make_printable(char *text)
{
    unsigned char *p = (unsigned char *)text;

    while (*p != '\0') {
        size_t size = cl_utf8_sequence(p);

        if (size == 0 || (size == 1 && (*p < 0x20 || *p == 0x7f))) {
            *p = '?';
            size = 1;
        } else if (size == 2 && p[0] == 0xc2 && p[1] < 0xa0) {
            p[0] = p[1] = '?'; /* C1 control characters drive terminals too */
        }
        p += size;
    }
}
