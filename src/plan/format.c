/* The flat form. Writing walks the field table; reading walks the bytes with a
 * cursor that never passes its end, and looks each record up in the same table.
 *
 * Payloads of the two structured lists (all little-endian):
 *   files    u32 count, then per entry u32 kind, u32 mode, u64 size, u32 permissions,
 *            source and target as NUL-ended strings
 *   rlimits  u32 count, then per entry u32 resource, u64 soft, u64 hard
 */
#include "plan/format.h"

#include <errno.h>
#include <string.h>

static const char magic[8] = {'c', 'l', 'p', 'l', 'a', 'n', '\r', '\n'};
enum { HEADER_SIZE = 24, RECORD_SIZE = 8, ALIGNMENT = 8 };

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "both of Cloister's architectures are little-endian"
#endif

/* --- writing ------------------------------------------------------------ */

static int put(struct cl_buf *buf, const void *data, size_t size)
{
    return cl_buf_add(buf, data, size);
}

static int put_u32(struct cl_buf *buf, uint32_t value)
{
    return put(buf, &value, sizeof(value));
}

static int put_u64(struct cl_buf *buf, uint64_t value)
{
    return put(buf, &value, sizeof(value));
}

static int put_str(struct cl_buf *buf, const char *text)
{
    return put(buf, text, strlen(text) + 1);
}

static int put_strlist(struct cl_buf *buf, const struct cl_strlist *list)
{
    int r = put_u32(buf, (uint32_t)list->count);

    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = put_str(buf, list->items[i]);
    return r;
}

static int put_file(struct cl_buf *buf, const struct cl_plan_file *file)
{
    int r = put_u32(buf, (uint32_t)file->kind);

    if (r == 0)
        r = put_u32(buf, (uint32_t)file->mode);
    if (r == 0)
        r = put_u64(buf, file->size_bytes);
    if (r == 0)
        r = put_u32(buf, file->permissions);
    if (r == 0)
        r = put_str(buf, file->source);
    return r < 0 ? r : put_str(buf, file->target);
}

static int put_files(struct cl_buf *buf, const struct cl_files *list)
{
    int r = put_u32(buf, (uint32_t)list->count);

    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = put_file(buf, &list->items[i]);
    return r;
}

static int put_rlimits(struct cl_buf *buf, const struct cl_rlimits *list)
{
    int r = put_u32(buf, (uint32_t)list->count);

    for (size_t i = 0; r == 0 && i < list->count; i++) {
        r = put_u32(buf, list->items[i].resource);
        if (r == 0)
            r = put_u64(buf, list->items[i].soft);
        if (r == 0)
            r = put_u64(buf, list->items[i].hard);
    }
    return r;
}

static int put_payload(struct cl_buf *buf, const struct cl_plan *plan,
                       const struct cl_field_info *info)
{
    const void *member = (const char *)plan + info->offset;

    switch (info->type) {
    case CL_TYPE_STR:
        return put_str(buf, *(const char *const *)member);
    case CL_TYPE_STRLIST:
        return put_strlist(buf, member);
    case CL_TYPE_BYTES:
        return put(buf, ((const struct cl_bytes *)member)->data,
                   ((const struct cl_bytes *)member)->size);
    case CL_TYPE_FILES:
        return put_files(buf, member);
    case CL_TYPE_RLIMITS:
        return put_rlimits(buf, member);
    case CL_TYPE_BOOL:
    case CL_TYPE_ENUM:
    case CL_TYPE_COUNT:
    case CL_TYPE_SIZE:
    case CL_TYPE_DURATION:
    case CL_TYPE_MILLICPU:
    case CL_TYPE_MASK:
        return put_u64(buf, *(const uint64_t *)member);
    }
    return -EINVAL;
}

static int put_record(struct cl_buf *buf, const struct cl_plan *plan,
                      const struct cl_field_info *info)
{
    size_t head = buf->size;
    uint32_t size;

    int r = put_u32(buf, info->id);

    if (r == 0)
        r = put_u32(buf, 0);
    if (r == 0)
        r = put_payload(buf, plan, info);
    if (r < 0)
        return r;
    size = (uint32_t)(buf->size - head - RECORD_SIZE);
    memcpy(buf->data + head + 4, &size, sizeof(size));
    size_t padding = (ALIGNMENT - size % ALIGNMENT) % ALIGNMENT;
    return padding == 0 ? 0 : cl_buf_grow(buf, padding);
}

static int fail_at(int r, const char *where, struct cl_error *err)
{
    return r == -ENOMEM ? cl_fail_memory(err)
                        : cl_refuse(err, E2BIG, "the plan is too large at %s", where);
}

int cl_plan_write(const struct cl_plan *plan, struct cl_buf *buf, struct cl_error *err)
{
    size_t start = buf->size;
    uint32_t version = CL_PLAN_VERSION;
    uint32_t count = 0;

    int r = cl_buf_grow(buf, HEADER_SIZE);
    if (r < 0)
        return fail_at(r, "its head", err);
    for (unsigned int f = 0; f < CL_FIELD_COUNT; f++) {
        if (!cl_plan_has(plan, (enum cl_field)f))
            continue;
        r = put_record(buf, plan, cl_field_info((enum cl_field)f));
        if (r < 0)
            return fail_at(r, cl_field_info((enum cl_field)f)->path, err);
        count++;
    }
    uint64_t total = buf->size - start;
    if (total > CL_PLAN_MAX_SIZE)
        return cl_refuse(err, E2BIG, "the plan is larger than %d bytes", CL_PLAN_MAX_SIZE);
    memcpy(buf->data + start, magic, sizeof(magic));
    memcpy(buf->data + start + 8, &version, sizeof(version));
    memcpy(buf->data + start + 12, &count, sizeof(count));
    memcpy(buf->data + start + 16, &total, sizeof(total));
    return 0;
}

/* --- reading ------------------------------------------------------------ */

struct cursor {
    const char *next;
    size_t left;
};

static int take(struct cursor *cursor, void *ret, size_t size)
{
    if (cursor->left < size)
        return -EBADMSG;
    memcpy(ret, cursor->next, size);
    cursor->next += size;
    cursor->left -= size;
    return 0;
}

static int take_u32(struct cursor *cursor, uint32_t *ret)
{
    return take(cursor, ret, sizeof(*ret));
}

static int take_u64(struct cursor *cursor, uint64_t *ret)
{
    return take(cursor, ret, sizeof(*ret));
}

static int take_str(struct cursor *cursor, const char **ret)
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
static int take_count(struct cursor *cursor, const struct cl_field_info *info, size_t least_size,
                      uint32_t *ret)
{
    uint32_t count;

    if (take_u32(cursor, &count) < 0)
        return -EBADMSG;
    if (count > info->max || count < info->min || count > cursor->left / least_size)
        return -EBADMSG;
    *ret = count;
    return 0;
}

/* An array as overlay.c's lists have it: with room up to a power of two. */
static void *list_array(struct cl_arena *arena, uint32_t count, size_t size)
{
    size_t room = 1;

    while (room < count)
        room *= 2;
    return cl_arena_array(arena, room, size);
}

static int take_strlist(struct cursor *cursor, const struct cl_field_info *info,
                        struct cl_arena *arena, struct cl_strlist *ret)
{
    uint32_t count;

    if (take_count(cursor, info, 1, &count) < 0)
        return -EBADMSG;
    const char **items = list_array(arena, count, sizeof(*items));
    if (items == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        if (take_str(cursor, &items[i]) < 0)
            return -EBADMSG;
    }
    *ret = (struct cl_strlist){items, count};
    return 0;
}

static int take_file(struct cursor *cursor, struct cl_plan_file *ret)
{
    uint32_t kind;
    uint32_t mode;

    if (take_u32(cursor, &kind) < 0 || take_u32(cursor, &mode) < 0 ||
        take_u64(cursor, &ret->size_bytes) < 0 || take_u32(cursor, &ret->permissions) < 0 ||
        take_str(cursor, &ret->source) < 0 || take_str(cursor, &ret->target) < 0)
        return -EBADMSG;
    if (kind >= CL_FILE_KIND_COUNT || mode >= CL_FILE_MODE_COUNT || ret->permissions > 07777 ||
        ret->size_bytes > CL_MAX_BYTES)
        return -EBADMSG;
    ret->kind = (enum cl_file_kind)kind;
    ret->mode = (enum cl_file_mode)mode;
    return 0;
}

static int take_files(struct cursor *cursor, const struct cl_field_info *info,
                      struct cl_arena *arena, struct cl_files *ret)
{
    uint32_t count;

    if (take_count(cursor, info, 22, &count) < 0)
        return -EBADMSG;
    struct cl_plan_file *items = list_array(arena, count, sizeof(*items));
    if (items == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        if (take_file(cursor, &items[i]) < 0)
            return -EBADMSG;
    }
    *ret = (struct cl_files){items, count};
    return 0;
}

static int take_rlimits(struct cursor *cursor, const struct cl_field_info *info,
                        struct cl_arena *arena, struct cl_rlimits *ret)
{
    uint32_t count;

    if (take_count(cursor, info, 20, &count) < 0)
        return -EBADMSG;
    struct cl_plan_rlimit *items = list_array(arena, count, sizeof(*items));
    if (items == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        if (take_u32(cursor, &items[i].resource) < 0 || take_u64(cursor, &items[i].soft) < 0 ||
            take_u64(cursor, &items[i].hard) < 0 || items[i].resource >= CL_PLAN_RLIMITS ||
            items[i].soft > items[i].hard)
            return -EBADMSG;
    }
    *ret = (struct cl_rlimits){items, count};
    return 0;
}

static int take_string_field(struct cursor *cursor, const struct cl_field_info *info,
                             const char **ret)
{
    const char *text;

    if (take_str(cursor, &text) < 0)
        return -EBADMSG;
    size_t size = strlen(text);
    if (size < info->min || size > info->max)
        return -EBADMSG;
    *ret = text;
    return 0;
}

static int take_number_field(struct cursor *cursor, const struct cl_field_info *info, uint64_t *ret)
{
    uint64_t value;

    if (take_u64(cursor, &value) < 0 || value < info->min || value > info->max)
        return -EBADMSG;
    *ret = value;
    return 0;
}

/* Program bytes: whole 8-byte instructions. */
static int take_bytes_field(struct cursor *cursor, const struct cl_field_info *info,
                            struct cl_bytes *ret)
{
    if (cursor->left < info->min || cursor->left > info->max || cursor->left % 8 != 0)
        return -EBADMSG;
    *ret = (struct cl_bytes){cursor->next, cursor->left};
    cursor->next += cursor->left;
    cursor->left = 0;
    return 0;
}

static int take_payload(struct cursor *cursor, const struct cl_field_info *info,
                        struct cl_arena *arena, struct cl_plan *plan)
{
    void *member = (char *)plan + info->offset;

    switch (info->type) {
    case CL_TYPE_STR:
        return take_string_field(cursor, info, member);
    case CL_TYPE_STRLIST:
        return take_strlist(cursor, info, arena, member);
    case CL_TYPE_BYTES:
        return take_bytes_field(cursor, info, member);
    case CL_TYPE_FILES:
        return take_files(cursor, info, arena, member);
    case CL_TYPE_RLIMITS:
        return take_rlimits(cursor, info, arena, member);
    case CL_TYPE_BOOL:
    case CL_TYPE_ENUM:
    case CL_TYPE_COUNT:
    case CL_TYPE_SIZE:
    case CL_TYPE_DURATION:
    case CL_TYPE_MILLICPU:
    case CL_TYPE_MASK:
        return take_number_field(cursor, info, member);
    }
    return -EBADMSG;
}

static int take_padding(struct cursor *cursor, size_t size)
{
    static const char zeros[ALIGNMENT];
    char found[ALIGNMENT];
    size_t padding = (ALIGNMENT - size % ALIGNMENT) % ALIGNMENT;

    if (take(cursor, found, padding) < 0 || memcmp(found, zeros, padding) != 0)
        return -EBADMSG;
    return 0;
}

/* One record; LAST_ID makes sure that ids rise, so that none stands twice. */
static int take_record(struct cursor *cursor, struct cl_arena *arena, struct cl_plan *plan,
                       uint32_t *last_id)
{
    uint32_t id;
    uint32_t size;

    if (take_u32(cursor, &id) < 0 || take_u32(cursor, &size) < 0 || size > cursor->left)
        return -EBADMSG;
    enum cl_field field = id > UINT16_MAX ? CL_FIELD_COUNT : cl_field_by_id((uint16_t)id);
    if (field == CL_FIELD_COUNT || id <= *last_id)
        return -EBADMSG;
    *last_id = id;

    struct cursor payload = {cursor->next, size};
    int r = take_payload(&payload, cl_field_info(field), arena, plan);
    if (r < 0)
        return r;
    if (payload.left != 0)
        return -EBADMSG;
    cl_plan_mark(plan, field);
    cursor->next += size;
    cursor->left -= size;
    return take_padding(cursor, size);
}

static int take_header(struct cursor *cursor, size_t size, uint32_t *ret_count)
{
    char found[sizeof(magic)];
    uint32_t version;
    uint32_t count;
    uint64_t total;

    if (size > CL_PLAN_MAX_SIZE || take(cursor, found, sizeof(found)) < 0 ||
        take_u32(cursor, &version) < 0 || take_u32(cursor, &count) < 0 ||
        take_u64(cursor, &total) < 0)
        return -EBADMSG;
    if (memcmp(found, magic, sizeof(magic)) != 0 || version != CL_PLAN_VERSION || total != size ||
        count > CL_FIELD_COUNT)
        return -EBADMSG;
    *ret_count = count;
    return 0;
}

int cl_plan_read(const void *data, size_t size, struct cl_arena *arena, struct cl_plan *ret,
                 struct cl_error *err)
{
    struct cursor cursor = {data, size};
    struct cl_plan plan = {0};
    uint32_t count = 0;
    uint32_t last_id = 0;
    int r = take_header(&cursor, size, &count);

    for (uint32_t i = 0; r == 0 && i < count; i++)
        r = take_record(&cursor, arena, &plan, &last_id);
    if (r == -ENOMEM)
        return cl_fail_memory(err);
    if (r < 0 || cursor.left != 0)
        return cl_refuse(err, EBADMSG, "not a plan of this version (at byte %zu of %zu)",
                         size - cursor.left, size);
    *ret = plan;
    return 0;
}
