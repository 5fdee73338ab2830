/* The plan as an instance of base/flat.h: the rows of fields.def, and its two structured
 * lists (all little-endian):
 *   files    u32 kind, u32 mode, u64 size, u32 permissions, source and target as texts
 *   rlimits  u32 resource, u64 soft, u64 hard
 */
#include "plan/format.h"

#include <errno.h>

static int put_file(struct cl_buf *buf, const void *item)
{
    const struct cl_plan_file *file = item;
    int r = cl_flat_put_u32(buf, (uint32_t)file->kind);

    if (r == 0)
        r = cl_flat_put_u32(buf, (uint32_t)file->mode);
    if (r == 0)
        r = cl_flat_put_u64(buf, file->size_bytes);
    if (r == 0)
        r = cl_flat_put_u32(buf, file->permissions);
    if (r == 0)
        r = cl_flat_put_text(buf, file->source);
    return r < 0 ? r : cl_flat_put_text(buf, file->target);
}

static int take_file(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_plan_file *file = item;
    uint32_t kind;
    uint32_t mode;

    if (cl_flat_take_u32(cursor, &kind) < 0 || cl_flat_take_u32(cursor, &mode) < 0 ||
        cl_flat_take_u64(cursor, &file->size_bytes) < 0 ||
        cl_flat_take_u32(cursor, &file->permissions) < 0 ||
        cl_flat_take_text(cursor, &file->source) < 0 ||
        cl_flat_take_text(cursor, &file->target) < 0)
        return -EBADMSG;
    if (kind >= CL_FILE_KIND_COUNT || mode >= CL_FILE_MODE_COUNT || file->permissions > 07777 ||
        file->size_bytes > CL_MAX_BYTES)
        return -EBADMSG;
    file->kind = (enum cl_file_kind)kind;
    file->mode = (enum cl_file_mode)mode;
    return 0;
}

static int put_rlimit(struct cl_buf *buf, const void *item)
{
    const struct cl_plan_rlimit *limit = item;
    int r = cl_flat_put_u32(buf, limit->resource);

    if (r == 0)
        r = cl_flat_put_u64(buf, limit->soft);
    return r < 0 ? r : cl_flat_put_u64(buf, limit->hard);
}

static int take_rlimit(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_plan_rlimit *limit = item;

    if (cl_flat_take_u32(cursor, &limit->resource) < 0 ||
        cl_flat_take_u64(cursor, &limit->soft) < 0 || cl_flat_take_u64(cursor, &limit->hard) < 0 ||
        limit->resource >= CL_PLAN_RLIMITS || limit->soft > limit->hard)
        return -EBADMSG;
    return 0;
}

static const struct cl_flat_item file_item = {
    .size = sizeof(struct cl_plan_file), .least_size = 22, .put = put_file, .take = take_file};
static const struct cl_flat_item rlimit_item = {.size = sizeof(struct cl_plan_rlimit),
                                                .least_size = 20,
                                                .put = put_rlimit,
                                                .take = take_rlimit};

/* A field's TYPE in the flat form; files.items and rlimits.items are the lists'. */
#define FLAT_BOOL CL_FLAT_NUMBER, NULL
#define FLAT_ENUM CL_FLAT_NUMBER, NULL
#define FLAT_COUNT CL_FLAT_NUMBER, NULL
#define FLAT_SIZE CL_FLAT_NUMBER, NULL
#define FLAT_DURATION CL_FLAT_NUMBER, NULL
#define FLAT_MILLICPU CL_FLAT_NUMBER, NULL
#define FLAT_MASK CL_FLAT_NUMBER, NULL
#define FLAT_STR CL_FLAT_TEXT, NULL
#define FLAT_STRLIST CL_FLAT_TEXTS, NULL
#define FLAT_BYTES CL_FLAT_BYTES, NULL
#define FLAT_FILES CL_FLAT_LIST, &file_item
#define FLAT_RLIMITS CL_FLAT_LIST, &rlimit_item
#define ROW(id, path, type, item, member, min, max)                                                \
    {                                                                                              \
        id, type, offsetof(struct cl_plan, member), (uint64_t)(min), (uint64_t)(max), path, item   \
    }
#define FLAT_ROW(id, path, flat, member, min, max) ROW(id, path, flat, member, min, max)

static const struct cl_flat_field fields[CL_FIELD_COUNT] = {
#define CL_FIELD(id, name, path, type, member, scope, min, max)                                    \
    [CL_FIELD_##name] = FLAT_ROW(id, path, FLAT_##type, member, min, max),
#include "plan/fields.def"
#undef CL_FIELD
};

static const struct cl_flat_shape shape = {
    .name = "plan",
    .magic = {'c', 'l', 'p', 'l', 'a', 'n', '\r', '\n'},
    .version = CL_PLAN_VERSION,
    .max_size = CL_PLAN_MAX_SIZE,
    .set_offset = offsetof(struct cl_plan, set),
    .count = CL_FIELD_COUNT,
    .fields = fields,
};

int cl_plan_write(const struct cl_plan *plan, struct cl_buf *buf, struct cl_error *err)
{
    return cl_flat_write(&shape, plan, buf, err);
}

int cl_plan_read(const void *data, size_t size, struct cl_arena *arena, struct cl_plan *ret,
                 struct cl_error *err)
{
    const struct cl_bytes bytes = {data, size};
    struct cl_plan plan = {0};
    int r = cl_flat_read(&shape, &bytes, arena, &plan, err);

    if (r < 0)
        return r;
    *ret = plan;
    return 0;
}
