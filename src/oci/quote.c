#include "oci/quote.h"

#include <string.h>

static int is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"';
}

const char *cl_quote_part(const char *text, size_t size, char ret[CL_QUOTE_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    size_t used = 0;

    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (used + (is_plain(byte) ? 1 : 4) > CL_QUOTE_MAX) {
            memcpy(ret + used, "...", 3);
            used += 3;
            break;
        }
        if (is_plain(byte)) {
            ret[used++] = (char)byte;
        } else {
            ret[used++] = '\\';
            ret[used++] = 'x';
            ret[used++] = hex[byte >> 4];
            ret[used++] = hex[byte & 15];
        }
    }
    ret[used] = '\0';
    return ret;
}

const char *cl_quote(const char *text, char ret[CL_QUOTE_SIZE])
{
    return cl_quote_part(text, strlen(text), ret);
}
