#include <errno.h>
#include <string.h>

#include "helpers/image/tar_parts.h"

enum { NS_DIGITS = 9 };

static int is_blank(char c)
{
    return c == ' ' || c == '\0';
}

int cl_tar_octal(const char *field, size_t size, int64_t *ret)
{
    int64_t value = 0;

    while (size > 0 && is_blank(*field)) {
        field++;
        size--;
    }
    while (size > 0 && is_blank(field[size - 1]))
        size--;
    CL_ASSERT(size <= 12); /* 36 bits */
    for (size_t i = 0; i < size; i++) {
        if (field[i] < '0' || field[i] > '7')
            return -EINVAL;
        value = value * 8 + (field[i] - '0');
    }
    *ret = value;
    return 0;
}

/* GNU's: big-endian two's complement, whose first bit says that it is this form. */
static int base_256(const unsigned char *field, size_t size, int64_t *ret)
{
    const unsigned char sign = (field[0] & 0x40) != 0 ? 0xff : 0;
    uint64_t value = sign != 0 ? ~0ULL : 0;

    for (size_t i = 0; i < size; i++) {
        unsigned char byte = i > 0 ? field[i] : (unsigned char)((field[0] & 0x7f) | (sign & 0x80));

        if ((value >> 55) != (sign != 0 ? 0x1ffU : 0U)) /* its sign would change */
            return -EINVAL;
        value = value << 8 | byte;
    }
    *ret = (int64_t)value;
    return 0;
}

int cl_tar_number(const char *field, size_t size, int64_t *ret)
{
    if (((unsigned char)field[0] & 0x80) != 0)
        return base_256((const unsigned char *)field, size, ret);
    return cl_tar_octal(field, size, ret);
}

int cl_tar_decimal(const char *text, size_t size, uint64_t *ret)
{
    uint64_t value = 0;

    if (size == 0)
        return -EINVAL;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            return -EINVAL;
    }
    *ret = value;
    return 0;
}

/* As many digits as a nanosecond has, in nanoseconds; the others are cut off. */
static int fraction(const char *text, size_t size, long *ret)
{
    long value = 0;

    for (size_t i = 0; i < size || i < NS_DIGITS; i++) {
        if (i < size && (text[i] < '0' || text[i] > '9'))
            return -EINVAL;
        if (i < NS_DIGITS)
            value = value * 10 + (i < size ? text[i] - '0' : 0);
    }
    *ret = value;
    return 0;
}

int cl_tar_time(const char *text, size_t size, struct timespec *ret)
{
    const int is_negative = size > 0 && *text == '-';
    const char *point;
    uint64_t seconds;
    long ns = 0;

    text += is_negative;
    size -= (size_t)is_negative;
    point = size == 0 ? NULL : memchr(text, '.', size);
    size_t whole = point == NULL ? size : (size_t)(point - text);
    if (cl_tar_decimal(text, whole, &seconds) < 0 || seconds >= INT64_MAX)
        return -EINVAL;
    if (point != NULL && fraction(point + 1, size - whole - 1, &ns) < 0)
        return -EINVAL;
    ret->tv_sec = is_negative ? -(time_t)seconds : (time_t)seconds;
    ret->tv_nsec = ns;
    if (is_negative && ns > 0) { /* -1.25 is -2 and 0.75 */
        ret->tv_sec--;
        ret->tv_nsec = 1000000000 - ns;
    }
    return 0;
}
