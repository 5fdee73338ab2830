#include "oci/records.h"

#include <errno.h>

enum {
    DIGEST_MIN = 71, /* "sha256:" and 64 digits */
    DIGEST_MAX = 71,
    NAME_MAX_BYTES = 4095,
    TYPE_MAX = 255,
    SECRET_MAX = 65536,
    MAX_MEMBERS = 65536,
    MAX_REGISTRIES = 256,
};
#define SIZE_MAX_BYTES (1ULL << 50)

/* --- items ----------------------------------------------------------------- */

static int put_layer(struct cl_buf *buf, const void *item)
{
    const struct cl_manifest_layer *layer = item;
    int r = cl_flat_put_u64(buf, layer->size_bytes);

    if (r == 0)
        r = cl_flat_put_u32(buf, layer->compression);
    return r < 0 ? r : cl_flat_put_text(buf, layer->digest);
}

static int take_layer(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_manifest_layer *layer = item;

    if (cl_flat_take_u64(cursor, &layer->size_bytes) < 0 ||
        cl_flat_take_u32(cursor, &layer->compression) < 0 ||
        cl_flat_take_text(cursor, &layer->digest) < 0)
        return -EBADMSG;
    if (layer->size_bytes > SIZE_MAX_BYTES || layer->compression >= CL_COMPRESSION_COUNT)
        return -EBADMSG;
    return 0;
}

static int put_member(struct cl_buf *buf, const void *item)
{
    const struct cl_archive_member *member = item;
    int r = cl_flat_put_u64(buf, member->offset_bytes);

    if (r == 0)
        r = cl_flat_put_u64(buf, member->size_bytes);
    return r < 0 ? r : cl_flat_put_text(buf, member->name);
}

static int take_member(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_archive_member *member = item;

    if (cl_flat_take_u64(cursor, &member->offset_bytes) < 0 ||
        cl_flat_take_u64(cursor, &member->size_bytes) < 0 ||
        cl_flat_take_text(cursor, &member->name) < 0)
        return -EBADMSG;
    return member->offset_bytes > SIZE_MAX_BYTES || member->size_bytes > SIZE_MAX_BYTES ? -EBADMSG
                                                                                        : 0;
}

/* The mirrors are one text, with a newline after each: an item holds no list. */
static int put_registry(struct cl_buf *buf, const void *item)
{
    const struct cl_registry *registry = item;
    int r = cl_flat_put_u32(buf, registry->plain_http);

    if (r == 0)
        r = cl_flat_put_text(buf, registry->domain);
    if (r == 0)
        r = cl_flat_put_text(buf, registry->authority_file);
    return r < 0 ? r : cl_flat_put_text(buf, registry->mirrors);
}

static int take_registry(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_registry *registry = item;

    if (cl_flat_take_u32(cursor, &registry->plain_http) < 0 ||
        cl_flat_take_text(cursor, &registry->domain) < 0 ||
        cl_flat_take_text(cursor, &registry->authority_file) < 0 ||
        cl_flat_take_text(cursor, &registry->mirrors) < 0)
        return -EBADMSG;
    return registry->plain_http > 1 ? -EBADMSG : 0;
}

static const struct cl_flat_item layer_item = {.size = sizeof(struct cl_manifest_layer),
                                               .least_size = 13,
                                               .put = put_layer,
                                               .take = take_layer};
static const struct cl_flat_item member_item = {.size = sizeof(struct cl_archive_member),
                                                .least_size = 17,
                                                .put = put_member,
                                                .take = take_member};
static const struct cl_flat_item registry_item = {.size = sizeof(struct cl_registry),
                                                  .least_size = 7,
                                                  .put = put_registry,
                                                  .take = take_registry};

/* --- shapes ---------------------------------------------------------------- */

#define NUMBER(record, index, id, member, max)                                                     \
    [index] = {id, CL_FLAT_NUMBER, offsetof(struct record, member), 0, max, #member, NULL}
#define TEXT(record, index, id, member, min, max)                                                  \
    [index] = {id, CL_FLAT_TEXT, offsetof(struct record, member), min, max, #member, NULL}
#define TEXTS(record, index, id, member, max)                                                      \
    [index] = {id, CL_FLAT_TEXTS, offsetof(struct record, member), 0, max, #member, NULL}
#define LIST(record, index, id, member, max, item)                                                 \
    [index] = {id, CL_FLAT_LIST, offsetof(struct record, member), 0, max, #member, &(item)}
#define DIGEST(record, index, id, member) TEXT(record, index, id, member, DIGEST_MIN, DIGEST_MAX)
#define SHAPE(text, letter, record, rows)                                                          \
    {                                                                                              \
        .name = (text), .magic = {'c', 'l', 'o', 'c', 'i', letter, '\r', '\n'}, .version = 1,      \
        .max_size = CL_MAX_RECORD_BYTES, .set_offset = offsetof(struct record, set),               \
        .count = CL_ARRAY_SIZE(rows), .fields = (rows)                                             \
    }

static const struct cl_flat_field manifest_fields[CL_MANIFEST_FIELD_COUNT] = {
    NUMBER(cl_manifest_record, CL_MANIFEST_KIND, 1, kind, CL_MANIFEST_KIND_COUNT - 1),
    TEXT(cl_manifest_record, CL_MANIFEST_MEDIA_TYPE, 2, media_type, 0, TYPE_MAX),
    DIGEST(cl_manifest_record, CL_MANIFEST_TARGET, 3, target),
    NUMBER(cl_manifest_record, CL_MANIFEST_TARGET_SIZE, 4, target_size_bytes, SIZE_MAX_BYTES),
    TEXT(cl_manifest_record, CL_MANIFEST_TARGET_TYPE, 5, target_type, 0, TYPE_MAX),
    LIST(cl_manifest_record, CL_MANIFEST_LAYERS, 6, layers, CL_MAX_LAYERS, layer_item),
    TEXT(cl_manifest_record, CL_MANIFEST_NAME, 7, name, 0, NAME_MAX_BYTES),
    NUMBER(cl_manifest_record, CL_MANIFEST_PAYLOAD, 8, payload, CL_PAYLOAD_COUNT - 1),
    TEXT(cl_manifest_record, CL_MANIFEST_TITLE, 9, title, 1, NAME_MAX_BYTES),
};

static const struct cl_flat_field config_fields[CL_CONFIG_FIELD_COUNT] = {
    TEXT(cl_config_record, CL_CONFIG_ARCHITECTURE, 1, architecture, 0, TYPE_MAX),
    TEXT(cl_config_record, CL_CONFIG_OS, 2, os, 0, TYPE_MAX),
    TEXT(cl_config_record, CL_CONFIG_VARIANT, 3, variant, 0, TYPE_MAX),
    TEXT(cl_config_record, CL_CONFIG_CREATED, 4, created, 0, TYPE_MAX),
    TEXTS(cl_config_record, CL_CONFIG_DIFF_IDS, 5, diff_ids, CL_MAX_LAYERS),
    TEXTS(cl_config_record, CL_CONFIG_ENV, 6, env, 4096),
    TEXTS(cl_config_record, CL_CONFIG_ENTRYPOINT, 7, entrypoint, 4096),
    TEXTS(cl_config_record, CL_CONFIG_COMMAND, 8, command, 4096),
    TEXT(cl_config_record, CL_CONFIG_WORKDIR, 9, workdir, 0, NAME_MAX_BYTES),
    TEXT(cl_config_record, CL_CONFIG_USER, 10, user, 0, TYPE_MAX),
    NUMBER(cl_config_record, CL_CONFIG_STOP_SIGNAL, 11, stop_signal, 64),
    TEXTS(cl_config_record, CL_CONFIG_LABELS, 12, labels, 4096),
};

static const struct cl_flat_field archive_fields[CL_ARCHIVE_FIELD_COUNT] = {
    LIST(cl_archive_record, CL_ARCHIVE_MEMBERS, 1, members, MAX_MEMBERS, member_item),
};

static const struct cl_flat_field saved_fields[CL_SAVED_FIELD_COUNT] = {
    TEXT(cl_saved_record, CL_SAVED_CONFIG, 1, config, 1, NAME_MAX_BYTES),
    TEXTS(cl_saved_record, CL_SAVED_LAYERS, 2, layers, CL_MAX_LAYERS),
    TEXTS(cl_saved_record, CL_SAVED_TAGS, 3, tags, 4096),
};

static const struct cl_flat_field auth_fields[CL_AUTH_FIELD_COUNT] = {
    NUMBER(cl_auth_record, CL_AUTH_KIND, 1, kind, CL_AUTH_KIND_COUNT - 1),
    TEXT(cl_auth_record, CL_AUTH_USER, 2, user, 0, SECRET_MAX),
    TEXT(cl_auth_record, CL_AUTH_SECRET, 3, secret, 0, SECRET_MAX),
    TEXT(cl_auth_record, CL_AUTH_HELPER_NAME, 4, helper, 1, TYPE_MAX),
};

static const struct cl_flat_field registries_fields[CL_REGISTRIES_FIELD_COUNT] = {
    TEXT(cl_registries_record, CL_REGISTRIES_DEFAULT, 1, default_domain, 1, TYPE_MAX),
    LIST(cl_registries_record, CL_REGISTRIES_ENTRIES, 2, entries, MAX_REGISTRIES, registry_item),
    NUMBER(cl_registries_record, CL_REGISTRIES_BUDGET, 3, budget_bytes, SIZE_MAX_BYTES),
};

static const struct cl_flat_field layer_fields[CL_STORED_LAYER_FIELD_COUNT] = {
    DIGEST(cl_layer_record, CL_STORED_LAYER_CHAIN, 1, chain),
    DIGEST(cl_layer_record, CL_STORED_LAYER_DIFF, 2, diff_id),
    DIGEST(cl_layer_record, CL_STORED_LAYER_BLOB, 3, blob),
    NUMBER(cl_layer_record, CL_STORED_LAYER_SIZE, 4, size_bytes, SIZE_MAX_BYTES),
    NUMBER(cl_layer_record, CL_STORED_LAYER_DISK, 5, disk_bytes, SIZE_MAX_BYTES),
    NUMBER(cl_layer_record, CL_STORED_LAYER_ENTRIES, 6, entries, SIZE_MAX_BYTES),
    NUMBER(cl_layer_record, CL_STORED_LAYER_HIDES, 7, hides_below, 1),
};

static const struct cl_flat_field image_fields[CL_STORED_IMAGE_FIELD_COUNT] = {
    DIGEST(cl_image_record, CL_STORED_IMAGE_DIGEST, 1, digest),
    DIGEST(cl_image_record, CL_STORED_IMAGE_CONFIG, 2, config),
    TEXT(cl_image_record, CL_STORED_IMAGE_MEDIA_TYPE, 3, media_type, 0, TYPE_MAX),
    TEXT(cl_image_record, CL_STORED_IMAGE_CREATED, 4, created, 0, TYPE_MAX),
    TEXT(cl_image_record, CL_STORED_IMAGE_PLATFORM, 5, platform, 0, TYPE_MAX),
    NUMBER(cl_image_record, CL_STORED_IMAGE_PULLED, 6, pulled_s, SIZE_MAX_BYTES),
    TEXTS(cl_image_record, CL_STORED_IMAGE_LAYERS, 7, layers, CL_MAX_LAYERS),
};

const struct cl_flat_shape cl_manifest_shape =
    SHAPE("manifest's record", 'm', cl_manifest_record, manifest_fields);
const struct cl_flat_shape cl_config_shape =
    SHAPE("config's record", 'c', cl_config_record, config_fields);
const struct cl_flat_shape cl_archive_shape =
    SHAPE("archive's record", 'a', cl_archive_record, archive_fields);
const struct cl_flat_shape cl_saved_shape =
    SHAPE("saved image's record", 's', cl_saved_record, saved_fields);
const struct cl_flat_shape cl_auth_shape =
    SHAPE("record of credentials", 'k', cl_auth_record, auth_fields);
const struct cl_flat_shape cl_registries_shape =
    SHAPE("record of registries", 'r', cl_registries_record, registries_fields);
const struct cl_flat_shape cl_layer_shape =
    SHAPE("layer's record", 'l', cl_layer_record, layer_fields);
const struct cl_flat_shape cl_image_shape =
    SHAPE("image's record", 'i', cl_image_record, image_fields);
