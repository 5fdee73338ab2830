#include "base/num.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A decimal fraction is kept as an exact integer of MANTISSA / 10^digits. */
enum { MAX_FRACTION_DIGITS = 9 };

struct decimal {
    uint64_t whole;
    uint64_t fraction;
    uint64_t fraction_unit; /* 10 to the number of fraction digits */
};

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes digits from *text on. */
static int take_digits(const char **text, uint64_t *ret)
{
    uint64_t value = 0;
    const char *p = *text;

    if (!is_digit(*p))
        return -EINVAL;
    for (; is_digit(*p); p++) {
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return -ERANGE;
    }
    *text = p;
    *ret = value;
    return 0;
}

/* ".5" is as good as "0.5". */
static int take_decimal(const char **text, struct decimal *ret)
{
    struct decimal number = {.fraction_unit = 1};
    int r = **text == '.' ? 0 : take_digits(text, &number.whole);

    if (r < 0)
        return r;
    if (**text == '.') {
        const char *p = *text + 1;

        if (!is_digit(*p))
            return -EINVAL;
        for (int digits = 0; is_digit(*p); p++, digits++) {
            if (digits >= MAX_FRACTION_DIGITS)
                return -EINVAL;
            number.fraction = number.fraction * 10 + (uint64_t)(*p - '0');
            number.fraction_unit *= 10;
        }
        *text = p;
    }
    *ret = number;
    return 0;
}

/* whole * unit + fraction * unit / fraction_unit, or -ERANGE. */
static int scale(const struct decimal *number, uint64_t unit, uint64_t *ret)
{
    uint64_t value;
    unsigned __int128 part = (unsigned __int128)number->fraction * unit / number->fraction_unit;

    if (__builtin_mul_overflow(number->whole, unit, &value) ||
        __builtin_add_overflow(value, (uint64_t)part, &value))
        return -ERANGE;
    *ret = value;
    return 0;
}

int cl_parse_u64(const char *text, uint64_t *ret)
{
    uint64_t value;
    int r = take_digits(&text, &value);

    if (r < 0)
        return r;
    if (*text != '\0')
        return -EINVAL;
    *ret = value;
    return 0;
}

int cl_parse_octal(const char *text, uint32_t *ret)
{
    uint32_t value = 0;

    if (*text == '\0')
        return -EINVAL;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '7')
            return -EINVAL;
        if (value > (UINT32_MAX >> 3))
            return -ERANGE;
        value = (value << 3) | (uint32_t)(*text - '0');
    }
    *ret = value;
    return 0;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"", 1},
    {"b", 1},
    {"k", 1ULL << 10},
    {"kb", 1ULL << 10},
    {"kib", 1ULL << 10},
    {"m", 1ULL << 20},
    {"mb", 1ULL << 20},
    {"mib", 1ULL << 20},
    {"g", 1ULL << 30},
    {"gb", 1ULL << 30},
    {"gib", 1ULL << 30},
    {"t", 1ULL << 40},
    {"tb", 1ULL << 40},
    {"tib", 1ULL << 40},
};

static const struct unit time_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000ULL * 1000},
    {"s", 1000ULL * 1000 * 1000},
    {"m", 60ULL * 1000 * 1000 * 1000},
    {"h", 3600ULL * 1000 * 1000 * 1000},
    {"d", 86400ULL * 1000 * 1000 * 1000},
};

int cl_parse_size(const char *text, uint64_t *ret_bytes)
{
    struct decimal number;
    int r = take_decimal(&text, &number);

    if (r < 0)
        return r;
    for (size_t i = 0; i < CL_ARRAY_SIZE(size_units); i++) {
        if (strcasecmp(text, size_units[i].name) == 0)
            return scale(&number, size_units[i].factor, ret_bytes);
    }
    return -EINVAL;
}

/* The unit that TEXT starts with, up to the next digit or the end. */
static const struct unit *take_time_unit(const char **text)
{
    size_t size = strcspn(*text, "0123456789");

    for (size_t i = 0; i < CL_ARRAY_SIZE(time_units); i++) {
        if (strlen(time_units[i].name) == size && strncmp(*text, time_units[i].name, size) == 0) {
            *text += size;
            return &time_units[i];
        }
    }
    return NULL;
}

int cl_parse_duration(const char *text, uint64_t *ret_ns)
{
    const char *const start = text;
    uint64_t total = 0;
    struct decimal number;
    uint64_t part;

    do {
        const int is_first = text == start;
        int r = take_decimal(&text, &number);

        if (r < 0)
            return r;
        const struct unit *unit = NULL;
        if (*text == '\0' && is_first)
            unit = &time_units[3]; /* a plain number: seconds */
        else
            unit = take_time_unit(&text);
        if (unit == NULL)
            return -EINVAL;
        r = scale(&number, unit->factor, &part);
        if (r < 0 || __builtin_add_overflow(total, part, &total))
            return -ERANGE;
    } while (*text != '\0');
    *ret_ns = total;
    return 0;
}

const char *cl_size_unit(uint64_t *bytes)
{
    static const char *const units[] = {" bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    for (; *bytes > 0 && *bytes % 1024 == 0 && unit + 1 < CL_ARRAY_SIZE(units); unit++)
        *bytes /= 1024;
    return unit == 0 && *bytes == 1 ? " byte" : units[unit];
}

const char *cl_size_text(uint64_t bytes, char ret[CL_SIZE_TEXT])
{
    const char *unit = cl_size_unit(&bytes);

    (void)snprintf(ret, CL_SIZE_TEXT, "%" PRIu64 "%s", bytes, unit);
    return ret;
}

const char *cl_size_about(uint64_t bytes, char ret[CL_SIZE_TEXT])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned int shift = 0;
    size_t unit = 0;

    while (bytes >> shift >= 1024) {
        shift += 10;
        unit++;
    }
    if (unit == 0) {
        (void)snprintf(ret, CL_SIZE_TEXT, "%" PRIu64 " B", bytes);
        return ret;
    }
    /* of the unit below: ten times it fits */
    const uint64_t rest = (bytes >> (shift - 10)) & 1023;
    (void)snprintf(ret, CL_SIZE_TEXT, "%" PRIu64 ".%" PRIu64 " %s", bytes >> shift,
                   rest * 10 / 1024, units[unit]);
    return ret;
}

const char *cl_duration_unit(uint64_t *ns)
{
    size_t unit = 0;

    for (size_t i = 0; i < CL_ARRAY_SIZE(time_units); i++) {
        if (*ns > 0 && *ns % time_units[i].factor == 0)
            unit = i;
    }
    *ns /= time_units[unit].factor;
    return time_units[unit].name;
}

int cl_parse_millicpus(const char *text, uint64_t *ret_millicpus)
{
    struct decimal number;
    int r = take_decimal(&text, &number);

    if (r < 0)
        return r;
    if (*text != '\0')
        return -EINVAL;
    return scale(&number, 1000, ret_millicpus);
}
