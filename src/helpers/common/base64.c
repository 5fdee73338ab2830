#include "helpers/common/base64.h"

#include <errno.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
    const char *found = c == '\0' ? NULL : strchr(alphabet, c);

    return found == NULL ? -EINVAL : (int)(found - alphabet);
}

/* Four characters, of which the last PADDING are "=": bits that belong to no byte are zero. */
static int put_group(const char group[4], size_t padding, struct cl_buf *buf)
{
    uint32_t bits = 0;
    unsigned char bytes[3];

    for (size_t i = 0; i < 4; i++) {
        int value = i < 4 - padding ? value_of(group[i]) : 0;

        if (value < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)value;
    }
    if ((bits & (padding == 2 ? 0xffffU : padding == 1 ? 0xffU : 0U)) != 0)
        return -EINVAL;
    for (size_t i = 0; i < 3; i++)
        bytes[i] = (unsigned char)(bits >> (16 - 8 * i));
    return cl_buf_add(buf, bytes, 3 - padding);
}

int cl_base64_decode(const char *text, struct cl_buf *buf)
{
    char group[4];
    size_t filled = 0;
    size_t padding = 0;
    int r = 0;

    for (; r == 0 && *text != '\0'; text++) {
        if (*text == '\n' || *text == '\r')
            continue;
        if (padding > 0 && (*text != '=' || filled == 0))
            return -EINVAL; /* something after the padding */
        padding += *text == '=';
        if (padding > 2)
            return -EINVAL;
        group[filled++] = *text;
        if (filled == 4) {
            r = put_group(group, padding, buf);
            filled = 0;
        }
    }
    return r == 0 && filled != 0 ? -EINVAL : r;
}

void cl_base64_encode(const void *data, size_t size, char *ret)
{
    const unsigned char *bytes = data;

    for (size_t at = 0; at < size; at += 3, ret += 4) {
        const size_t left = size - at;
        const uint32_t group = (uint32_t)bytes[at] << 16 |
                               (left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0) |
                               (left > 2 ? (uint32_t)bytes[at + 2] : 0);

        memset(ret, '=', 4);
        ret[0] = alphabet[group >> 18];
        ret[1] = alphabet[group >> 12 & 63];
        if (left > 1)
            ret[2] = alphabet[group >> 6 & 63];
        if (left > 2)
            ret[3] = alphabet[group & 63];
    }
}
