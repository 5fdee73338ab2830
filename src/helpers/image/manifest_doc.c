#include "helpers/image/manifest_doc.h"

#include <errno.h>
#include <string.h>

#include "oci/digest.h"
#include "oci/records.h"

enum { TYPE_MAX = 255, TEXT_MAX = 4095 };
#define SIZE_MAX_BYTES (1ULL << 50)

#define THIS cl_platform
static const struct cl_decode_field platform_fields[] = {
    CL_DECODE_ROW("architecture", TEXT, architecture, TYPE_MAX),
    CL_DECODE_ROW("os", TEXT, os, TYPE_MAX),
    CL_DECODE_ROW("variant", TEXT, variant, TYPE_MAX),
};
static const struct cl_decode_shape platform_shape =
    CL_DECODE_SHAPE(platform_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS cl_descriptor
static const struct cl_decode_field descriptor_fields[] = {
    CL_DECODE_ROW("mediaType", TEXT, media_type, TYPE_MAX),
    CL_DECODE_ROW("digest", TEXT, digest, TEXT_MAX),
    CL_DECODE_ROW("size", NUMBER, size, SIZE_MAX_BYTES),
    CL_DECODE_ROW("artifactType", TEXT, artifact_type, TYPE_MAX),
    CL_DECODE_ROW_OF("platform", OBJECT, platform, UINT64_MAX, &platform_shape),
    CL_DECODE_ROW("annotations", PAIRS, annotations, UINT64_MAX),
};
static const struct cl_decode_shape descriptor_shape =
    CL_DECODE_SHAPE(descriptor_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS cl_manifest_doc
static const struct cl_decode_field doc_fields[] = {
    CL_DECODE_ROW("schemaVersion", NUMBER, schema_version, UINT32_MAX),
    CL_DECODE_ROW("mediaType", TEXT, media_type, TYPE_MAX),
    CL_DECODE_ROW("artifactType", TEXT, artifact_type, TYPE_MAX),
    CL_DECODE_ROW_OF("config", OBJECT, config, UINT64_MAX, &descriptor_shape),
    CL_DECODE_ROW_OF("layers", LIST, layers, CL_MAX_LAYERS, &descriptor_shape),
    CL_DECODE_ROW_OF("manifests", LIST, manifests, UINT64_MAX, &descriptor_shape),
    CL_DECODE_ROW("annotations", PAIRS, annotations, UINT64_MAX),
    CL_DECODE_ROW("fsLayers", PRESENT, has_fs_layers, 0),
};
static const struct cl_decode_shape doc_shape = CL_DECODE_SHAPE(doc_fields, CL_DECODE_OPEN);
#undef THIS

int cl_manifest_doc_decode(const struct cl_document *document, struct cl_arena *arena,
                           struct cl_manifest_doc *ret, struct cl_error *err)
{
    return cl_decode(&doc_shape, document, arena, ret, err);
}

int cl_descriptor_check(const struct cl_descriptor *descriptor, struct cl_error *err)
{
    struct cl_digest digest;

    if (descriptor->media_type == NULL)
        return cl_refuse(err, EINVAL, "mediaType is missing");
    if (descriptor->digest == NULL)
        return cl_refuse(err, EINVAL, "digest is missing");
    if (!descriptor->size.present)
        return cl_refuse(err, EINVAL, "size is missing");
    int r = cl_digest_parse(descriptor->digest, &digest, err);
    return r < 0 ? cl_prefix(err, "digest") : 0;
}

static const char *find(const struct cl_decode_list *annotations, const char *key)
{
    const struct cl_decode_pair *pairs = annotations->items;

    for (size_t i = 0; i < annotations->count; i++) {
        if (strcmp(pairs[i].key, key) == 0)
            return pairs[i].value;
    }
    return NULL;
}

const char *cl_descriptor_annotation(const struct cl_descriptor *descriptor, const char *key)
{
    return find(&descriptor->annotations, key);
}

const char *cl_manifest_doc_annotation(const struct cl_manifest_doc *doc, const char *key)
{
    return find(&doc->annotations, key);
}
