#include "helpers/grpc/status.h"

#include <string.h>

#include "base/utf8.h"

static int stays(unsigned char byte)
{
    return byte >= ' ' && byte <= '~' && byte != '%';
}

/* How many bytes of TEXT there is room for, in whole characters. */
static size_t shown_size(const char *text)
{
    size_t size = 0;

    while (text[size] != '\0') {
        const size_t one = cl_utf8_sequence((const unsigned char *)text + size);
        const size_t step = one == 0 ? 1 : one;

        if (size + step > CL_GRPC_MESSAGE_MOST)
            break;
        size += step;
    }
    return size;
}

size_t cl_grpc_encode_message(const char *text, char ret[CL_GRPC_ENCODED_SIZE])
{
    static const char digits[] = "0123456789ABCDEF";
    const size_t size = shown_size(text);
    size_t used = 0;

    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = (unsigned char)text[i];

        if (stays(byte)) {
            ret[used++] = (char)byte;
            continue;
        }
        ret[used++] = '%';
        ret[used++] = digits[byte >> 4];
        ret[used++] = digits[byte & 15];
    }
    ret[used] = '\0';
    return used;
}
