#include "image/manifest_json.h"

#include "base/json.h"

#define TYPE "application/vnd.oci.image."

static const char *const layer_types[CL_COMPRESSION_COUNT] = {
    [CL_COMPRESSION_NONE] = TYPE "layer.v1.tar",
    [CL_COMPRESSION_GZIP] = TYPE "layer.v1.tar+gzip",
    [CL_COMPRESSION_ZSTD] = TYPE "layer.v1.tar+zstd",
};

struct descriptor {
    const char *type;
    const char *digest;
    uint64_t size_bytes;
};

static void add(struct cl_json *json, const char *key, const struct descriptor *descriptor)
{
    cl_json_object(json, key);
    cl_json_string(json, "mediaType", descriptor->type);
    if (descriptor->digest[0] != '\0')
        cl_json_string(json, "digest", descriptor->digest);
    cl_json_u64(json, "size", descriptor->size_bytes);
    cl_json_close(json, '}');
}

int cl_manifest_json_write(const struct cl_manifest_record *record, struct cl_buf *buf)
{
    const struct descriptor config = {TYPE "config.v1+json", record->target,
                                      record->target_size_bytes};
    struct cl_json json;

    cl_json_begin(&json, buf, 0);
    cl_json_object(&json, NULL);
    cl_json_u64(&json, "schemaVersion", 2);
    cl_json_string(&json, "mediaType", CL_MANIFEST_JSON_TYPE);
    add(&json, "config", &config);
    cl_json_array(&json, "layers");
    for (size_t i = 0; i < record->layers.count; i++) {
        const struct cl_manifest_layer *layer = &record->layers.items[i];
        const struct descriptor descriptor = {layer_types[layer->compression], layer->digest,
                                              layer->size_bytes};

        add(&json, NULL, &descriptor);
    }
    cl_json_close(&json, ']');
    cl_json_close(&json, '}');
    return cl_json_end(&json);
}
