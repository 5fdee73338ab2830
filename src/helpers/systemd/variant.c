#include "helpers/systemd/variant.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "base/utf8.h"

static const struct {
    const char *word;
    char type;
    int is_signed;
    uint64_t most; /* of a number; signed: -most - 1 too */
} types[] = {
    {"boolean", 'b', 0, 1},         {"byte", 'y', 0, UINT8_MAX},    {"int16", 'n', 1, INT16_MAX},
    {"uint16", 'q', 0, UINT16_MAX}, {"int32", 'i', 1, INT32_MAX},   {"uint32", 'u', 0, UINT32_MAX},
    {"int64", 'x', 1, INT64_MAX},   {"uint64", 't', 0, UINT64_MAX}, {"string", 's', 0, 0},
    {"objectpath", 'o', 0, 0},
};

struct reader {
    char *at;
    struct cl_variant *variant;
};

static void skip_blanks(struct reader *reader)
{
    reader->at += strspn(reader->at, " \t\n");
}

/* Whether the text goes on with the letter C, which is then behind. */
static int take(struct reader *reader, char c)
{
    skip_blanks(reader);
    if (*reader->at != c || c == '\0')
        return 0;
    reader->at++;
    return 1;
}

static size_t word_size(const struct reader *reader)
{
    return strspn(reader->at, "abcdefghijklmnopqrstuvwxyz0123456789");
}

static int is_word(const struct reader *reader, size_t size, const char *word)
{
    return strlen(word) == size && memcmp(reader->at, word, size) == 0;
}

/* "uint64 ", "@as ": what type it says, where it says one. */
static int take_type(struct reader *reader, int may_be_array)
{
    skip_blanks(reader);
    if (*reader->at == '@') {
        const int is_array = reader->at[1] == 'a';
        const char type = reader->at[is_array ? 2 : 1];

        if ((is_array && !may_be_array) || type == '\0' || strchr("bynqiuxtso", type) == NULL ||
            reader->at[is_array ? 3 : 2] != ' ')
            return -EINVAL;
        if (reader->variant->type != '\0' && reader->variant->type != type)
            return -EINVAL;
        reader->variant->type = type;
        reader->variant->is_array |= is_array;
        reader->at += is_array ? 4 : 3;
        return 0;
    }
    const size_t size = word_size(reader);
    for (size_t i = 0; i < CL_ARRAY_SIZE(types); i++) {
        if (!is_word(reader, size, types[i].word))
            continue;
        if (reader->variant->type != '\0' && reader->variant->type != types[i].type)
            return -EINVAL;
        reader->variant->type = types[i].type;
        reader->at += size;
        return 0;
    }
    return 0;
}

/* --- texts --------------------------------------------------------------------- */

/* The number of SIZE hexadecimal digits. */
static int take_code(struct reader *reader, size_t size, uint32_t *ret)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    uint32_t code = 0;

    for (size_t i = 0; i < size; i++) {
        const char *digit = *reader->at == '\0' ? NULL : strchr(digits, *reader->at);

        if (digit == NULL)
            return -EINVAL;
        code = code << 4 | (uint32_t)((digit - digits) % 16);
        reader->at++;
    }
    *ret = code;
    return code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? -EINVAL : 0;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};

    unsigned char *at = (unsigned char *)to;
    *at++ = (unsigned char)(leads[more] | code >> (6 * more));
    for (int i = more - 1; i >= 0; i--)
        *at++ = (unsigned char)(0x80U | (code >> (6 * i) & 0x3fU));
    return (char *)at;
}

/* What a backslash stands before; *TO never overtakes the text that is read. */
static int take_escape(struct reader *reader, char **to)
{
    static const char letters[] = "abfnrtv";
    static const char meant[] = "\a\b\f\n\r\t\v";
    const char c = *reader->at;
    const char *letter = c == '\0' ? NULL : strchr(letters, c);
    uint32_t code = 0;

    if (c == '\0')
        return -EINVAL;
    reader->at++;
    if (c == 'u' || c == 'U') {
        const int r = take_code(reader, c == 'u' ? 4 : 8, &code);

        *to = r < 0 ? *to : put_utf8(*to, code);
        return r;
    }
    if (c != '\n') /* the line goes on */
        memcpy((*to)++, letter != NULL ? &meant[letter - letters] : &c, 1);
    return 0;
}

static int is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        const size_t size = cl_utf8_sequence(at);

        if (size == 0)
            return 0;
        at += size;
    }
    return 1;
}

static int take_text(struct reader *reader, struct cl_variant_item *ret)
{
    const char quote = *reader->at++;
    char *const start = reader->at;
    char *to = start;

    while (*reader->at != quote) {
        const char c = *reader->at;

        if (c == '\0')
            return -EINVAL;
        reader->at++;
        if (c != '\\')
            *to++ = c;
        else if (take_escape(reader, &to) < 0)
            return -EINVAL;
    }
    reader->at++;
    *to = '\0';
    ret->text = start;
    return is_utf8(start) ? 0 : -EINVAL;
}

/* --- numbers -------------------------------------------------------------------- */

static int parse_hex(const char *text, uint64_t *ret)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t value = 0;

    for (const char *at = text; *at != '\0'; at++) {
        const char *digit = strchr(digits, *at);

        if (digit == NULL || value > UINT64_MAX >> 4)
            return -EINVAL;
        value = value << 4 | (uint64_t)(digit - digits);
    }
    *ret = value;
    return *text == '\0' ? -EINVAL : 0;
}

/* "5", "-5", "0x1f". */
static int take_number(struct reader *reader, struct cl_variant_item *ret)
{
    char digits[24];
    const int is_negative = *reader->at == '-';
    uint64_t value = 0;

    reader->at += is_negative || *reader->at == '+';
    const size_t size = word_size(reader);
    if (size == 0 || size >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, reader->at, size);
    digits[size] = '\0';
    reader->at += size;
    const int r = strncmp(digits, "0x", 2) == 0 ? parse_hex(digits + 2, &value)
                                                : cl_parse_u64(digits, &value);
    if (r < 0)
        return -EINVAL;
    if (reader->variant->type == '\0')
        reader->variant->type = 'i';
    for (size_t i = 0; i < CL_ARRAY_SIZE(types); i++) {
        if (types[i].type != reader->variant->type)
            continue;
        if (types[i].most <= 1 || value > types[i].most + (is_negative ? 1 : 0) ||
            (is_negative && !types[i].is_signed && value != 0))
            return -EINVAL;
    }
    ret->number = is_negative ? -value : value;
    return 0;
}

/* --- values ---------------------------------------------------------------------- */

/* A literal, of the variant's type where that is known. */
static int take_literal(struct reader *reader, struct cl_variant_item *ret)
{
    struct cl_variant *variant = reader->variant;

    skip_blanks(reader);
    const size_t size = word_size(reader);
    const int is_true = is_word(reader, size, "true");
    if (is_true || is_word(reader, size, "false")) {
        if (variant->type != '\0' && variant->type != 'b')
            return -EINVAL;
        variant->type = 'b';
        ret->number = is_true ? 1 : 0;
        reader->at += size;
        return 0;
    }
    if (*reader->at == '\'' || *reader->at == '"') {
        if (variant->type == '\0')
            variant->type = 's';
        if (variant->type != 's' && variant->type != 'o')
            return -EINVAL;
        return take_text(reader, ret);
    }
    return take_number(reader, ret);
}

static int take_array(struct reader *reader)
{
    struct cl_variant *variant = reader->variant;
    int r = 0;

    if (take(reader, ']'))
        return variant->type == '\0' ? -EINVAL : 0; /* of what? */
    do {
        if (variant->count == CL_VARIANT_ITEMS)
            return -EINVAL;
        r = take_type(reader, 0);
        if (r == 0)
            r = take_literal(reader, &variant->items[variant->count++]);
    } while (r == 0 && take(reader, ','));
    return r < 0 || !take(reader, ']') ? -EINVAL : 0;
}

// NOLINTNEXTLINE(readability-non-const-parameter): the reader writes texts over it
int cl_variant_parse(char *text, struct cl_variant *ret)
{
    struct reader reader = {.at = text, .variant = ret};
    int r;

    ret->type = '\0';
    ret->is_array = 0;
    ret->count = 0;
    r = take_type(&reader, 1);
    if (r < 0)
        return r;
    const int said = ret->type != '\0' && !ret->is_array;
    if (take(&reader, '[')) {
        if (said)
            return -EINVAL;
        ret->is_array = 1;
        r = take_array(&reader);
    } else if (ret->is_array) {
        return -EINVAL;
    } else {
        ret->count = 1;
        r = take_literal(&reader, &ret->items[0]);
    }
    skip_blanks(&reader);
    return r < 0 || *reader.at != '\0' ? -EINVAL : 0;
}

int cl_variant_of_seconds(char *name, struct cl_variant *variant)
{
    const size_t size = strlen(name);

    if (size < 4 || strcmp(name + size - 3, "Sec") != 0 || name[size - 4] == 'U')
        return 0;
    if (variant->is_array || strchr("nqiuxt", variant->type) == NULL)
        return -EINVAL;
    if ((variant->type == 'n' || variant->type == 'i' || variant->type == 'x') &&
        variant->items[0].number > INT64_MAX)
        return -EINVAL; /* below 0 */
    if (__builtin_mul_overflow(variant->items[0].number, 1000000U, &variant->items[0].number))
        return -ERANGE;
    variant->type = 't';
    memmove(name + size - 2, name + size - 3, 4); /* "Sec" and its NUL */
    name[size - 3] = 'U';
    return 1;
}
