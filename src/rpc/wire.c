#include "rpc/wire.h"

#include <errno.h>
#include <string.h>

#include "base/utf8.h"

/* How a field's payload is laid out. */
enum layout { VARINT = 0, FIXED64 = 1, SIZED = 2, FIXED32 = 5 };

enum { KEY_BITS = 3, MORE = 0x80, VARINT_MOST = 10 };

/* --- reading ------------------------------------------------------------------------------- */

struct cursor {
    const uint8_t *next;
    size_t left;
};

/* One field as it lies there. */
struct item {
    uint32_t number;
    enum layout layout;
    uint64_t value;      /* VARINT */
    struct cursor bytes; /* SIZED */
};

struct reader {
    const struct cl_wire_shape *shape;
    struct cl_arena *arena;
    struct cl_error *err;
    unsigned int depth;
};

static int take_varint(struct cursor *cursor, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned int i = 0; i < VARINT_MOST && cursor->left > 0; i++) {
        const uint8_t byte = *cursor->next++;

        cursor->left--;
        if (i == VARINT_MOST - 1 && byte > 1)
            return -EBADMSG; /* of 64 bits that is the last */
        value |= (uint64_t)(byte & (MORE - 1)) << (7 * i);
        if ((byte & MORE) == 0) {
            *ret = value;
            return 0;
        }
    }
    return -EBADMSG;
}

static int take_bytes(struct cursor *cursor, uint64_t size, struct cursor *ret)
{
    if (size > cursor->left)
        return -EBADMSG;
    *ret = (struct cursor){cursor->next, (size_t)size};
    cursor->next += size;
    cursor->left -= (size_t)size;
    return 0;
}

static int take_item(struct cursor *cursor, struct item *ret)
{
    uint64_t key;
    int r = take_varint(cursor, &key);

    if (r < 0)
        return r;
    if (key > UINT32_MAX || key >> KEY_BITS == 0)
        return -EBADMSG;
    ret->number = (uint32_t)(key >> KEY_BITS);
    ret->layout = (enum layout)(key & ((1U << KEY_BITS) - 1));
    switch (ret->layout) {
    case VARINT:
        return take_varint(cursor, &ret->value);
    case FIXED64:
        return take_bytes(cursor, sizeof(uint64_t), &ret->bytes);
    case FIXED32:
        return take_bytes(cursor, sizeof(uint32_t), &ret->bytes);
    case SIZED:
        r = take_varint(cursor, &ret->value);
        return r < 0 ? r : take_bytes(cursor, ret->value, &ret->bytes);
    default:
        return -EBADMSG;
    }
}

static int refuse(const struct reader *reader, const char *what)
{
    return cl_refuse(reader->err, EBADMSG, "%s: %s", reader->shape->name, what);
}

static int fail_size(const struct reader *reader)
{
    return cl_refuse(reader->err, E2BIG, "%s: more than is taken", reader->shape->name);
}

static const struct cl_wire_field *find(const struct cl_wire_shape *shape, uint32_t number,
                                        size_t *ret_index)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (shape->fields[i].number == number) {
            *ret_index = i;
            return &shape->fields[i];
        }
    }
    return NULL;
}

static int is_list(enum cl_wire_type type)
{
    return type == CL_WIRE_TEXTS || type == CL_WIRE_MESSAGES;
}

static enum layout layout_of(enum cl_wire_type type)
{
    return type == CL_WIRE_U32 || type == CL_WIRE_U64 ? VARINT : SIZED;
}

static int read_text(const struct reader *reader, const struct cursor *bytes, const char **ret)
{
    if (bytes->left > 0 && memchr(bytes->next, '\0', bytes->left) != NULL)
        return refuse(reader, "a text with a NUL in it");
    *ret = cl_arena_strndup(reader->arena, (const char *)bytes->next, bytes->left);
    if (*ret == NULL)
        return fail_size(reader);
    return cl_utf8_is_valid(*ret) ? 0 : refuse(reader, "a text that isn't UTF-8");
}

static int read_record(const struct reader *reader, const struct cursor *bytes, void *record);

/* The message in FIELD, whose record this is. */
static int read_inner(const struct reader *reader, const struct cl_wire_field *field,
                      const struct cursor *bytes, void *record)
{
    const struct reader inner = {field->shape, reader->arena, reader->err, reader->depth + 1};

    if (inner.depth >= CL_WIRE_DEPTH_MOST)
        return refuse(reader, "messages in messages, too deep");
    return read_record(&inner, bytes, record);
}

/* One that comes in pieces is the sum of them. */
static int read_message(const struct reader *reader, const struct cl_wire_field *field,
                        const struct cursor *bytes, void **member)
{
    if (*member == NULL)
        *member = cl_arena_alloc(reader->arena, field->shape->size);
    return *member == NULL ? fail_size(reader) : read_inner(reader, field, bytes, *member);
}

/* The next of a list whose items have their place. */
static int read_next(const struct reader *reader, const struct cl_wire_field *field,
                     const struct cursor *bytes, void *member)
{
    if (field->type == CL_WIRE_TEXTS) {
        struct cl_strlist *list = member;

        const char **items = cl_unconst(list->items);

        return read_text(reader, bytes, &items[list->count++]);
    }
    struct cl_wire_list *list = member;
    char *items = cl_unconst(list->items);

    return read_inner(reader, field, bytes, items + list->count++ * field->shape->size);
}

static int read_field(const struct reader *reader, const struct cl_wire_field *field,
                      const struct item *item, void *member)
{
    if (item->layout != layout_of(field->type))
        return refuse(reader, "a field of another type");
    switch ((int)field->type) {
    case CL_WIRE_U32:
        if (item->value > UINT32_MAX)
            return refuse(reader, "a number of more than 32 bits");
        *(uint32_t *)member = (uint32_t)item->value;
        return 0;
    case CL_WIRE_U64:
        *(uint64_t *)member = item->value;
        return 0;
    case CL_WIRE_TEXT:
        return read_text(reader, &item->bytes, member);
    case CL_WIRE_BYTES:
        *(struct cl_bytes *)member = (struct cl_bytes){item->bytes.next, item->bytes.left};
        return 0;
    case CL_WIRE_MESSAGE:
        return read_message(reader, field, &item->bytes, member);
    default:
        return read_next(reader, field, &item->bytes, member);
    }
}

/* Goes through all that there is: what it consists of, before anything is made. */
static int count_items(const struct reader *reader, struct cursor bytes,
                       size_t counts[CL_WIRE_FIELDS_MOST])
{
    struct item item;
    size_t index;

    while (bytes.left > 0) {
        if (take_item(&bytes, &item) < 0)
            return refuse(reader, "bytes that are no fields");
        if (find(reader->shape, item.number, &index) != NULL)
            counts[index]++;
    }
    return 0;
}

/* Room for COUNT more in a list that may have some already, from a piece before. */
static int make_room(const struct reader *reader, const struct cl_wire_field *field, size_t count,
                     void *member)
{
    struct cl_wire_list *list = member;
    const size_t size = field->type == CL_WIRE_TEXTS ? sizeof(const char *) : field->shape->size;

    _Static_assert(sizeof(struct cl_wire_list) == sizeof(struct cl_strlist) &&
                       offsetof(struct cl_wire_list, count) == offsetof(struct cl_strlist, count),
                   "both lists are alike");
    void *items = cl_arena_array(reader->arena, list->count + count, size);
    if (items == NULL)
        return fail_size(reader);
    if (list->count > 0)
        memcpy(items, list->items, list->count * size);
    list->items = items;
    return 0;
}

static int prepare(const struct reader *reader, const size_t counts[CL_WIRE_FIELDS_MOST],
                   char *record)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < reader->shape->count; i++) {
        const struct cl_wire_field *field = &reader->shape->fields[i];

        void *member = record + field->offset;

        if (is_list(field->type) && counts[i] > 0)
            r = make_room(reader, field, counts[i], member);
        else if (field->type == CL_WIRE_TEXT && *(const char **)member == NULL)
            *(const char **)member = "";
    }
    return r;
}

// NOLINTNEXTLINE(misc-no-recursion): CL_WIRE_DEPTH_MOST times
static int read_record(const struct reader *reader, const struct cursor *bytes, void *record)
{
    size_t counts[CL_WIRE_FIELDS_MOST] = {0};
    struct cursor rest = *bytes;
    struct item item;
    size_t index;

    CL_ASSERT(reader->shape->count <= CL_WIRE_FIELDS_MOST);
    int r = count_items(reader, *bytes, counts);

    if (r == 0)
        r = prepare(reader, counts, record);
    while (r == 0 && rest.left > 0) {
        if (take_item(&rest, &item) < 0)
            break; /* it can't be: all of it has been gone through */
        const struct cl_wire_field *field = find(reader->shape, item.number, &index);
        if (field != NULL)
            r = read_field(reader, field, &item, (char *)record + field->offset);
    }
    return r;
}

int cl_wire_read(const struct cl_wire_shape *shape, const struct cl_bytes *bytes,
                 struct cl_arena *arena, void *record, struct cl_error *err)
{
    const struct reader reader = {shape, arena, err, 0};
    const struct cursor all = {bytes->data, bytes->size};

    return read_record(&reader, &all, record);
}

/* --- writing ------------------------------------------------------------------------------- */

static size_t varint_size(uint64_t value)
{
    size_t size = 1;

    while (value >= MORE) {
        value >>= 7;
        size++;
    }
    return size;
}

static int put_varint(struct cl_buf *buf, uint64_t value)
{
    uint8_t bytes[VARINT_MOST];
    size_t size = 0;

    while (value >= MORE) {
        bytes[size++] = (uint8_t)(value | MORE);
        value >>= 7;
    }
    bytes[size++] = (uint8_t)value;
    return cl_buf_add(buf, bytes, size);
}

static uint64_t key_of(const struct cl_wire_field *field)
{
    return (uint64_t)field->number << KEY_BITS | layout_of(field->type);
}

static size_t record_size(const struct cl_wire_shape *shape, const void *record);

/* How many items FIELD has, and where the one at INDEX lies. A scalar that is 0 isn't there, but
 * in a list. */
static size_t count_of(const struct cl_wire_field *field, const void *member)
{
    switch ((int)field->type) {
    case CL_WIRE_U32:
        return *(const uint32_t *)member != 0;
    case CL_WIRE_U64:
        return *(const uint64_t *)member != 0;
    case CL_WIRE_TEXT:
        return *(const char *const *)member != NULL && **(const char *const *)member != '\0';
    case CL_WIRE_BYTES:
        return ((const struct cl_bytes *)member)->size > 0;
    case CL_WIRE_MESSAGE:
        return *(const void *const *)member != NULL;
    default:
        return ((const struct cl_wire_list *)member)->count;
    }
}

static uint64_t number_of(const struct cl_wire_field *field, const void *member)
{
    return field->type == CL_WIRE_U32 ? *(const uint32_t *)member : *(const uint64_t *)member;
}

/* What of FIELD stands behind its size: bytes, or a record. */
static struct cl_bytes bytes_of(const struct cl_wire_field *field, const void *member, size_t index)
{
    const char *text;

    switch ((int)field->type) {
    case CL_WIRE_TEXT:
        text = *(const char *const *)member;
        return (struct cl_bytes){text, strlen(text)};
    case CL_WIRE_TEXTS:
        text = ((const struct cl_strlist *)member)->items[index];
        return (struct cl_bytes){text, strlen(text)};
    default:
        return *(const struct cl_bytes *)member;
    }
}

static const void *record_of(const struct cl_wire_field *field, const void *member, size_t index)
{
    if (field->type == CL_WIRE_MESSAGE)
        return *(const void *const *)member;
    const char *items = ((const struct cl_wire_list *)member)->items;
    return items + index * field->shape->size;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tables are
static size_t payload_size(const struct cl_wire_field *field, const void *member, size_t index)
{
    return field->shape != NULL ? record_size(field->shape, record_of(field, member, index))
                                : bytes_of(field, member, index).size;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tables are
static size_t field_size(const struct cl_wire_field *field, const void *member)
{
    const size_t count = count_of(field, member);
    size_t size = count * varint_size(key_of(field));

    if (count > 0 && layout_of(field->type) == VARINT)
        return size + varint_size(number_of(field, member));
    for (size_t i = 0; i < count; i++) {
        const size_t payload = payload_size(field, member, i);

        size += varint_size(payload) + payload;
    }
    return size;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tables are
static size_t record_size(const struct cl_wire_shape *shape, const void *record)
{
    size_t size = 0;

    for (size_t i = 0; i < shape->count; i++)
        size += field_size(&shape->fields[i], (const char *)record + shape->fields[i].offset);
    return size;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tables are
static int put_payload(const struct cl_wire_field *field, const void *member, size_t index,
                       struct cl_buf *buf)
{
    int r = put_varint(buf, payload_size(field, member, index));

    if (r < 0)
        return r;
    if (field->shape != NULL)
        return cl_wire_write(field->shape, record_of(field, member, index), buf);
    const struct cl_bytes bytes = bytes_of(field, member, index);
    return cl_buf_add(buf, bytes.data, bytes.size);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tables are
static int put_field(const struct cl_wire_field *field, const void *member, struct cl_buf *buf)
{
    const size_t count = count_of(field, member);
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        r = put_varint(buf, key_of(field));
        if (r == 0)
            r = layout_of(field->type) == VARINT ? put_varint(buf, number_of(field, member))
                                                 : put_payload(field, member, i, buf);
    }
    return r;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tables are
int cl_wire_write(const struct cl_wire_shape *shape, const void *record, struct cl_buf *buf)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < shape->count; i++)
        r = put_field(&shape->fields[i], (const char *)record + shape->fields[i].offset, buf);
    return r;
}
