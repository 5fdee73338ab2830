#include "helpers/image/tar_header.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "oci/quote.h"

/* POSIX.1-2017, pax, "ustar Interchange Format". */
enum {
    NAME_AT = 0,
    NAME_SIZE = 100,
    SIZE_AT = 124,
    SIZE_SIZE = 12,
    SUM_AT = 148,
    SUM_SIZE = 8,
    TYPE_AT = 156,
    LINK_AT = 157,
    LINK_SIZE = 100,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    PREFIX_SIZE = 155,
};

#define MAX_BYTES (1ULL << 50)

/* --- numbers ------------------------------------------------------------------------ */

/* GNU's: the first bit set, the rest big-endian. */
static int parse_base256(const unsigned char *field, size_t size, uint64_t *ret)
{
    uint64_t value = field[0] & 0x7f;

    for (size_t i = 1; i < size; i++) {
        if (value > MAX_BYTES)
            return -ERANGE;
        value = value << 8 | field[i];
    }
    *ret = value;
    return 0;
}

/* Octal digits, blanks before, blanks or NULs after. */
static int parse_octal(const unsigned char *field, size_t size, uint64_t *ret)
{
    uint64_t value = 0;
    size_t i = 0;

    while (i < size && field[i] == ' ')
        i++;
    if (i == size || field[i] < '0' || field[i] > '7')
        return -EINVAL;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(field[i] - '0'); /* 12 digits at most */
    for (; i < size; i++) {
        if (field[i] != ' ' && field[i] != '\0')
            return -EINVAL;
    }
    *ret = value;
    return 0;
}

static int parse_size(const unsigned char block[CL_TAR_BLOCK], uint64_t *ret, struct cl_error *err)
{
    const unsigned char *field = block + SIZE_AT;
    int r = (field[0] & 0x80) != 0 ? parse_base256(field, SIZE_SIZE, ret)
                                   : parse_octal(field, SIZE_SIZE, ret);

    return r < 0 ? cl_refuse(err, EBADMSG, "its size is no number") : 0;
}

int cl_tar_is_zero(const unsigned char block[CL_TAR_BLOCK])
{
    static const unsigned char zero[CL_TAR_BLOCK];

    return memcmp(block, zero, CL_TAR_BLOCK) == 0;
}

int cl_tar_is_header(const unsigned char block[CL_TAR_BLOCK])
{
    uint64_t sum = (uint64_t)SUM_SIZE * ' '; /* the field itself counts as blanks */
    uint64_t written = 0;

    for (size_t i = 0; i < CL_TAR_BLOCK; i++)
        sum += i >= SUM_AT && i < SUM_AT + SUM_SIZE ? 0 : block[i];
    return parse_octal(block + SUM_AT, SUM_SIZE, &written) == 0 && written == sum;
}

/* --- names ----------------------------------------------------------------------------- */

/* Ended by a NUL, or by the field's end. */
static const char *field_text(const unsigned char *field, size_t size, struct cl_arena *arena)
{
    return cl_arena_strndup(arena, (const char *)field, strnlen((const char *)field, size));
}

/* The prefix is ustar's; GNU keeps other things there, and its magic differs. */
static const char *member_name(const unsigned char block[CL_TAR_BLOCK], struct cl_arena *arena)
{
    const char *name = field_text(block + NAME_AT, NAME_SIZE, arena);

    if (name == NULL || memcmp(block + MAGIC_AT, "ustar\0", 6) != 0 || block[PREFIX_AT] == '\0')
        return name;
    const char *prefix = field_text(block + PREFIX_AT, PREFIX_SIZE, arena);
    return prefix == NULL ? NULL : cl_arena_printf(arena, "%s/%s", prefix, name);
}

int cl_tar_is_extension(enum cl_tar_type type)
{
    return type >= CL_TAR_PAX;
}

int cl_tar_parse_type(const unsigned char block[CL_TAR_BLOCK], enum cl_tar_type *ret,
                      struct cl_error *err)
{
    const unsigned char letter = block[TYPE_AT];
    static const struct {
        char letter;
        enum cl_tar_type type;
    } types[] = {
        {'0', CL_TAR_FILE},      {'\0', CL_TAR_FILE},      {'7', CL_TAR_FILE},
        {'1', CL_TAR_HARD_LINK}, {'2', CL_TAR_SYMLINK},    {'3', CL_TAR_OTHER},
        {'4', CL_TAR_OTHER},     {'5', CL_TAR_OTHER},      {'6', CL_TAR_OTHER},
        {'x', CL_TAR_PAX},       {'g', CL_TAR_PAX_GLOBAL}, {'L', CL_TAR_LONG_NAME},
        {'K', CL_TAR_LONG_LINK},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(types); i++) {
        if (letter == (unsigned char)types[i].letter) {
            *ret = types[i].type;
            return 0;
        }
    }
    return cl_refuse(err, ENOTSUP, "type 0x%02x is not known here%s", letter,
                     letter == 'S' ? " (a sparse file)" : "");
}

int cl_tar_parse(const unsigned char block[CL_TAR_BLOCK], const struct cl_tar_extension *extension,
                 struct cl_arena *arena, struct cl_tar_header *ret, struct cl_error *err)
{
    struct cl_tar_header header = {.name = extension->name, .link = extension->link};
    int r = cl_tar_parse_type(block, &header.type, err);

    if (r == 0)
        r = parse_size(block, &header.size_bytes, err);
    if (r < 0)
        return r;
    if (extension->has_size)
        header.size_bytes = extension->size_bytes;
    if (header.name == NULL)
        header.name = member_name(block, arena);
    if (header.link == NULL)
        header.link = field_text(block + LINK_AT, LINK_SIZE, arena);
    if (header.name == NULL || header.link == NULL)
        return cl_fail_memory(err);
    if (header.size_bytes > MAX_BYTES)
        return cl_refuse(err, EFBIG, "its size is more than %llu bytes", MAX_BYTES);
    /* before there were directories' own type, a slash at the end said it */
    if (header.type == CL_TAR_FILE && header.name[0] != '\0' &&
        header.name[strlen(header.name) - 1] == '/')
        header.type = CL_TAR_OTHER;
    if ((header.type == CL_TAR_OTHER || header.type == CL_TAR_HARD_LINK ||
         header.type == CL_TAR_SYMLINK) &&
        header.size_bytes != 0)
        return cl_refuse(err, EBADMSG, "no file, and with content");
    *ret = header;
    return 0;
}

/* --- extensions ------------------------------------------------------------------------- */

static int set_text(const char **member, const char *text, size_t size, struct cl_arena *arena,
                    struct cl_error *err)
{
    if (*member != NULL)
        return cl_refuse(err, EBADMSG, "its name stands twice");
    if (size == 0 || size > CL_TAR_MAX_NAME || memchr(text, '\0', size) != NULL)
        return cl_refuse(err, EBADMSG, "its name is empty, too long, or holds a NUL");
    *member = cl_arena_strndup(arena, text, size);
    return *member == NULL ? cl_fail_memory(err) : 0;
}

static int set_size(const char *text, size_t size, struct cl_tar_extension *extension,
                    struct cl_error *err)
{
    char digits[24] = "";

    if (size >= sizeof(digits) || extension->has_size)
        return cl_refuse(err, EBADMSG, "its size is no number, or stands twice");
    memcpy(digits, text, size);
    if (strlen(digits) != size || cl_parse_u64(digits, &extension->size_bytes) < 0)
        return cl_refuse(err, EBADMSG, "its size is no number");
    extension->has_size = 1;
    return 0;
}

/* A pax record without its length: KEY=VALUE and a newline. */
static int take_record(const char *text, size_t size, struct cl_arena *arena,
                       struct cl_tar_extension *extension, struct cl_error *err)
{
    const char *equals = memchr(text, '=', size);

    if (equals == NULL || equals == text || text[size - 1] != '\n')
        return cl_refuse(err, EBADMSG, "a damaged pax header");
    size_t key_size = (size_t)(equals - text);
    const char *value = equals + 1;
    size_t value_size = size - key_size - 2;

    if (key_size == 4 && memcmp(text, "path", 4) == 0)
        return set_text(&extension->name, value, value_size, arena, err);
    if (key_size == 8 && memcmp(text, "linkpath", 8) == 0)
        return set_text(&extension->link, value, value_size, arena, err);
    if (key_size == 4 && memcmp(text, "size", 4) == 0)
        return set_size(value, value_size, extension, err);
    if (key_size > 10 && memcmp(text, "GNU.sparse", 10) == 0)
        return cl_refuse(err, ENOTSUP, "sparse files are not known here");
    return 0;
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts the record with its own digits. */
static int take_records(const char *data, size_t size, struct cl_arena *arena,
                        struct cl_tar_extension *extension, struct cl_error *err)
{
    size_t at = 0;

    while (at < size) {
        size_t length = 0;
        size_t digits = 0;

        for (; at + digits < size && data[at + digits] >= '0' && data[at + digits] <= '9'; digits++)
            length = length > size ? length : length * 10 + (size_t)(data[at + digits] - '0');
        if (digits == 0 || at + digits >= size || data[at + digits] != ' ' || length > size - at ||
            length < digits + 2)
            return cl_refuse(err, EBADMSG, "a damaged pax header");
        int r = take_record(data + at + digits + 1, length - digits - 1, arena, extension, err);
        if (r < 0)
            return r;
        at += length;
    }
    return 0;
}

int cl_tar_extend(enum cl_tar_type type, const struct cl_bytes *bytes, struct cl_arena *arena,
                  struct cl_tar_extension *extension, struct cl_error *err)
{
    const char *data = bytes->data;
    const size_t size = bytes->size;
    struct cl_tar_extension global = {.name = NULL};
    int r;

    switch ((int)type) {
    case CL_TAR_PAX:
        return take_records(data, size, arena, extension, err);
    case CL_TAR_PAX_GLOBAL:
        r = take_records(data, size, arena, &global, err);
        if (r == 0 && (global.name != NULL || global.link != NULL || global.has_size))
            return cl_refuse(err, EBADMSG, "a pax header that gives all members one name or size");
        return r;
    case CL_TAR_LONG_NAME:
        return set_text(&extension->name, data, strnlen(data, size), arena, err);
    case CL_TAR_LONG_LINK:
        return set_text(&extension->link, data, strnlen(data, size), arena, err);
    default:
        CL_ASSERT(0);
        return -EINVAL;
    }
}
