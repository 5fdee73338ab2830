#include "helpers/wasm/complain.h"

#include <errno.h>
#include <string.h>

enum { MAX_DIGITS = 15 };

/* The number that TEXT begins with, hexadecimal after 0x; whether there is one. */
static int read_number(const char *text, unsigned long long *ret)
{
    int is_hex = text[0] == '0' && text[1] == 'x';
    const char *all = is_hex ? "0123456789abcdef" : "0123456789";
    const char *digits = is_hex ? text + 2 : text;
    size_t count = cl_min_u64(strspn(digits, all), MAX_DIGITS);

    *ret = 0;
    for (size_t i = 0; i < count; i++)
        *ret = *ret * (is_hex ? 16 : 10) + (unsigned long long)(strchr(all, digits[i]) - all);
    return count > 0;
}

/* The last "at offset N" in TEXT; whether there is one. */
static int find_offset(const char *text, unsigned long long *ret)
{
    static const char word[] = "at offset ";
    unsigned long long number = 0;
    int found = 0;

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        if (!read_number(at + sizeof(word) - 1, &number))
            continue;
        *ret = number;
        found = 1;
    }
    return found;
}

int cl_wasm_complain(const char *name, const char *text, struct cl_error *err)
{
    unsigned long long offset = 0;

    if (find_offset(text, &offset))
        (void)cl_refuse(err, EINVAL, "%.200s: at 0x%llx: %s", name, offset, text);
    else
        (void)cl_refuse(err, EINVAL, "%.200s: %s", name, text);
    return -EINVAL;
}
