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

int cl_utf8_is_valid(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    for (size_t size = 1; *p != '\0' && size > 0; p += size)
        size = cl_utf8_sequence(p);
    return *p == '\0';
}

/* Three bytes from U+2000 on. */
static int steers_text(const unsigned char *text)
{
    return (text[1] == 0x80 &&
            (is_between(text[2], 0x8e, 0x8f) || is_between(text[2], 0xa8, 0xae))) ||
           (text[1] == 0x81 && is_between(text[2], 0xa6, 0xa9));
}

int cl_utf8_steers(const unsigned char *text, size_t size)
{
    if (size == 1)
        return text[0] < 0x20 || text[0] == 0x7f;
    if (size == 2)
        return (text[0] == 0xc2 && text[1] < 0xa0) || (text[0] == 0xd8 && text[1] == 0x9c);
    return size == 3 && text[0] == 0xe2 && steers_text(text);
}

void cl_utf8_make_printable(char *text)
{
    unsigned char *p = (unsigned char *)text;

    while (*p != '\0') {
        size_t size = cl_utf8_sequence(p);
        const int is_shown = size > 0 && !cl_utf8_steers(p, size);

        for (size = size == 0 ? 1 : size; size > 0; size--, p++)
            *p = is_shown ? *p : '?';
    }
}
