/* The flat form. Writing walks the table of fields; reading walks the bytes with a cursor
 * that never passes its end, and looks each field up in the same table. */
#include "base/flat.h"

#include <errno.h>
#include <string.h>

enum { HEADER_SIZE = 24, FIELD_SIZE = 8, ALIGNMENT = 8, MAX_FIELDS = 64 };

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "both of Cloister's architectures are little-endian"
#endif

/* Every list begins like this. */
struct list {
    const void *items;
    size_t count;
};
_Static_assert(sizeof(struct list) == sizeof(struct cl_strlist), "lists are alike");

/* --- writing ------------------------------------------------------------ */

int cl_flat_put_u32(struct cl_buf *buf, uint32_t value)
{
    return cl_buf_add(buf, &value, sizeof(value));
}

int cl_flat_put_u64(struct cl_buf *buf, uint64_t value)
{
    return cl_buf_add(buf, &value, sizeof(value));
}

int cl_flat_put_text(struct cl_buf *buf, const char *text)
{
    return cl_buf_add(buf, text, strlen(text) + 1);
}

static int put_texts(struct cl_buf *buf, const struct cl_strlist *list)
{
    int r = cl_flat_put_u32(buf, (uint32_t)list->count);

    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = cl_flat_put_text(buf, list->items[i]);
    return r;
}

static int put_list(struct cl_buf *buf, const struct cl_flat_item *item, const struct list *list)
{
    int r = cl_flat_put_u32(buf, (uint32_t)list->count);

    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = item->put(buf, (const char *)list->items + i * item->size);
    return r;
}

static int put_payload(struct cl_buf *buf, const void *member, const struct cl_flat_field *field)
{
    const struct cl_bytes *bytes = member;

    switch (field->type) {
    case CL_FLAT_NUMBER:
        return cl_flat_put_u64(buf, *(const uint64_t *)member);
    case CL_FLAT_TEXT:
        return cl_flat_put_text(buf, *(const char *const *)member);
    case CL_FLAT_TEXTS:
        return put_texts(buf, member);
    case CL_FLAT_BYTES:
        return cl_buf_add(buf, bytes->data, bytes->size);
    case CL_FLAT_LIST:
        return put_list(buf, field->item, member);
    }
    return -EINVAL;
}

static int put_field(struct cl_buf *buf, const void *record, const struct cl_flat_field *field)
{
    const size_t head = buf->size;
    int r = cl_flat_put_u32(buf, field->id);

    if (r == 0)
        r = cl_flat_put_u32(buf, 0);
    if (r == 0)
        r = put_payload(buf, (const char *)record + field->offset, field);
    if (r < 0)
        return r;
    uint32_t size = (uint32_t)(buf->size - head - FIELD_SIZE);
    memcpy(buf->data + head + 4, &size, sizeof(size));
    size_t padding = (ALIGNMENT - size % ALIGNMENT) % ALIGNMENT;
    return padding == 0 ? 0 : cl_buf_grow(buf, padding);
}

static uint64_t fields_set(const struct cl_flat_shape *shape, const void *record)
{
    uint64_t set;

    memcpy(&set, (const char *)record + shape->set_offset, sizeof(set));
    return set;
}

static int fail_at(int r, const struct cl_flat_shape *shape, const char *where,
                   struct cl_error *err)
{
    return r == -ENOMEM ? cl_fail_memory(err)
                        : cl_refuse(err, E2BIG, "the %s is too large at %s", shape->name, where);
}

/* As the reader asks it of what was written. */
static int in_bounds(const void *record, const struct cl_flat_field *field)
{
    const char *member = (const char *)record + field->offset;
    uint64_t amount = 0;

    switch (field->type) {
    case CL_FLAT_NUMBER:
        amount = *(const uint64_t *)(const void *)member;
        break;
    case CL_FLAT_TEXT:
        amount = strlen(*(const char *const *)(const void *)member);
        break;
    case CL_FLAT_BYTES:
        amount = ((const struct cl_bytes *)(const void *)member)->size;
        break;
    case CL_FLAT_TEXTS:
    case CL_FLAT_LIST:
        amount = ((const struct list *)(const void *)member)->count;
        break;
    }
    return amount >= field->min && amount <= field->max;
}

int cl_flat_write(const struct cl_flat_shape *shape, const void *record, struct cl_buf *buf,
                  struct cl_error *err)
{
    const size_t start = buf->size;
    const uint64_t set = fields_set(shape, record);
    uint32_t count = 0;

    CL_ASSERT(shape->count <= MAX_FIELDS);
    int r = cl_buf_grow(buf, HEADER_SIZE);
    if (r < 0)
        return fail_at(r, shape, "its head", err);
    for (size_t i = 0; i < shape->count; i++) {
        if ((set & (1ULL << i)) == 0)
            continue;
        if (!in_bounds(record, &shape->fields[i]))
            return cl_refuse(err, ERANGE, "%s of the %s is out of bounds", shape->fields[i].name,
                             shape->name);
        r = put_field(buf, record, &shape->fields[i]);
        if (r < 0)
            return fail_at(r, shape, shape->fields[i].name, err);
        count++;
    }
    uint64_t total = buf->size - start;
    if (total > shape->max_size)
        return cl_refuse(err, E2BIG, "the %s is larger than %u bytes", shape->name,
                         shape->max_size);
    memcpy(buf->data + start, shape->magic, sizeof(shape->magic));
    memcpy(buf->data + start + 8, &shape->version, sizeof(shape->version));
    memcpy(buf->data + start + 12, &count, sizeof(count));
    memcpy(buf->data + start + 16, &total, sizeof(total));
    return 0;
}

/* --- reading ------------------------------------------------------------ */

static int take(struct cl_flat_cursor *cursor, void *ret, size_t size)
{
    if (cursor->left < size)
        return -EBADMSG;
    memcpy(ret, cursor->next, size);
    cursor->next += size;
    cursor->left -= size;
    return 0;
}

int cl_flat_take_u32(struct cl_flat_cursor *cursor, uint32_t *ret)
{
    return take(cursor, ret, sizeof(*ret));
}

int cl_flat_take_u64(struct cl_flat_cursor *cursor, uint64_t *ret)
{
    return take(cursor, ret, sizeof(*ret));
}

int cl_flat_take_text(struct cl_flat_cursor *cursor, const char **ret)
{
    const char *end = cursor->left == 0 ? NULL : memchr(cursor->next, '\0', cursor->left);

    if (end == NULL)
        return -EBADMSG;
    *ret = cursor->next;
    cursor->left -= (size_t)(end - cursor->next) + 1;
    cursor->next = end + 1;
    return 0;
}

/* A list's count, which can't be more than the bytes that follow could hold. */
static int take_count(struct cl_flat_cursor *cursor, const struct cl_flat_field *field,
                      size_t least_size, uint32_t *ret)
{
    uint32_t count;

    if (cl_flat_take_u32(cursor, &count) < 0)
        return -EBADMSG;
    if (count > field->max || count < field->min || count > cursor->left / least_size)
        return -EBADMSG;
    *ret = count;
    return 0;
}

/* An array as those who add to lists want it (plan/overlay.c): with room up to a power of
 * two. */
static void *list_array(struct cl_arena *arena, uint32_t count, size_t size)
{
    size_t room = 1;

    while (room < count)
        room *= 2;
    return cl_arena_array(arena, room, size);
}

static int take_texts(struct cl_flat_cursor *cursor, const struct cl_flat_field *field,
                      struct cl_arena *arena, struct cl_strlist *ret)
{
    uint32_t count;

    if (take_count(cursor, field, 1, &count) < 0)
        return -EBADMSG;
    const char **items = list_array(arena, count, sizeof(*items));
    if (items == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        if (cl_flat_take_text(cursor, &items[i]) < 0)
            return -EBADMSG;
    }
    *ret = (struct cl_strlist){items, count};
    return 0;
}

static int take_list(struct cl_flat_cursor *cursor, const struct cl_flat_field *field,
                     struct cl_arena *arena, void *member)
{
    uint32_t count;

    if (take_count(cursor, field, field->item->least_size, &count) < 0)
        return -EBADMSG;
    char *items = list_array(arena, count, field->item->size);
    if (items == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        if (field->item->take(cursor, items + i * field->item->size) < 0)
            return -EBADMSG;
    }
    const struct list list = {items, count};
    memcpy(member, &list, sizeof(list));
    return 0;
}

static int take_text_field(struct cl_flat_cursor *cursor, const struct cl_flat_field *field,
                           const char **ret)
{
    const char *text;

    if (cl_flat_take_text(cursor, &text) < 0)
        return -EBADMSG;
    size_t size = strlen(text);
    if (size < field->min || size > field->max)
        return -EBADMSG;
    *ret = text;
    return 0;
}

static int take_number_field(struct cl_flat_cursor *cursor, const struct cl_flat_field *field,
                             uint64_t *ret)
{
    uint64_t value;

    if (cl_flat_take_u64(cursor, &value) < 0 || value < field->min || value > field->max)
        return -EBADMSG;
    *ret = value;
    return 0;
}

static int take_bytes_field(struct cl_flat_cursor *cursor, const struct cl_flat_field *field,
                            struct cl_bytes *ret)
{
    if (cursor->left < field->min || cursor->left > field->max || cursor->left % 8 != 0)
        return -EBADMSG;
    *ret = (struct cl_bytes){cursor->next, cursor->left};
    cursor->next += cursor->left;
    cursor->left = 0;
    return 0;
}

static int take_payload(struct cl_flat_cursor *cursor, const struct cl_flat_field *field,
                        struct cl_arena *arena, void *member)
{
    switch (field->type) {
    case CL_FLAT_NUMBER:
        return take_number_field(cursor, field, member);
    case CL_FLAT_TEXT:
        return take_text_field(cursor, field, member);
    case CL_FLAT_TEXTS:
        return take_texts(cursor, field, arena, member);
    case CL_FLAT_BYTES:
        return take_bytes_field(cursor, field, member);
    case CL_FLAT_LIST:
        return take_list(cursor, field, arena, member);
    }
    return -EBADMSG;
}

static int take_padding(struct cl_flat_cursor *cursor, size_t size)
{
    static const char zeros[ALIGNMENT];
    char found[ALIGNMENT];
    size_t padding = (ALIGNMENT - size % ALIGNMENT) % ALIGNMENT;

    if (take(cursor, found, padding) < 0 || memcmp(found, zeros, padding) != 0)
        return -EBADMSG;
    return 0;
}

static size_t find_field(const struct cl_flat_shape *shape, uint32_t id)
{
    size_t i = 0;

    while (i < shape->count && shape->fields[i].id != id)
        i++;
    return i;
}

/* What is being read, and how far it is. */
struct reading {
    const struct cl_flat_shape *shape;
    struct cl_flat_cursor cursor;
    struct cl_arena *arena;
    char *record;
    uint32_t last_id; /* ids rise, so that none stands twice */
    uint64_t set;
};

static int take_field(struct reading *reading)
{
    struct cl_flat_cursor *cursor = &reading->cursor;
    uint32_t id;
    uint32_t size;

    if (cl_flat_take_u32(cursor, &id) < 0 || cl_flat_take_u32(cursor, &size) < 0 ||
        size > cursor->left)
        return -EBADMSG;
    size_t index = find_field(reading->shape, id);
    if (index == reading->shape->count || id <= reading->last_id)
        return -EBADMSG;
    reading->last_id = id;

    const struct cl_flat_field *field = &reading->shape->fields[index];
    struct cl_flat_cursor payload = {cursor->next, size};
    int r = take_payload(&payload, field, reading->arena, reading->record + field->offset);
    if (r < 0)
        return r;
    if (payload.left != 0)
        return -EBADMSG;
    reading->set |= 1ULL << index;
    cursor->next += size;
    cursor->left -= size;
    return take_padding(cursor, size);
}

static int take_header(struct reading *reading, uint32_t *ret_count)
{
    const struct cl_flat_shape *shape = reading->shape;
    const size_t size = reading->cursor.left;
    char found[sizeof(shape->magic)];
    uint32_t version;
    uint32_t count;
    uint64_t total;

    if (size > shape->max_size || take(&reading->cursor, found, sizeof(found)) < 0 ||
        cl_flat_take_u32(&reading->cursor, &version) < 0 ||
        cl_flat_take_u32(&reading->cursor, &count) < 0 ||
        cl_flat_take_u64(&reading->cursor, &total) < 0)
        return -EBADMSG;
    if (memcmp(found, shape->magic, sizeof(found)) != 0 || version != shape->version ||
        total != size || count > shape->count)
        return -EBADMSG;
    *ret_count = count;
    return 0;
}

int cl_flat_read(const struct cl_flat_shape *shape, const struct cl_bytes *bytes,
                 struct cl_arena *arena, void *record, struct cl_error *err)
{
    struct reading reading = {
        .shape = shape, .cursor = {bytes->data, bytes->size}, .arena = arena, .record = record};
    uint32_t count = 0;

    CL_ASSERT(shape->count <= MAX_FIELDS);
    int r = take_header(&reading, &count);
    for (uint32_t i = 0; r == 0 && i < count; i++)
        r = take_field(&reading);
    if (r == -ENOMEM)
        return cl_fail_memory(err);
    if (r < 0 || reading.cursor.left != 0)
        return cl_refuse(err, EBADMSG, "not a %s of this version (at byte %zu of %zu)", shape->name,
                         bytes->size - reading.cursor.left, bytes->size);
    memcpy(reading.record + shape->set_offset, &reading.set, sizeof(reading.set));
    return 0;
}
