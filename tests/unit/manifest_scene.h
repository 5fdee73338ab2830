/* manifest_scene.h - what the tests of manifests share: documents in pieces, and how they are
 * parsed. */
#ifndef CL_TESTS_UNIT_MANIFEST_SCENE_H
#define CL_TESTS_UNIT_MANIFEST_SCENE_H

#include "helpers/image/manifest.h"
#include "check.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define A "sha256:" HEX "a"
#define B "sha256:" HEX "b"
#define C "sha256:" HEX "c"
#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."
#define DESC(type, digest) "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":7}"
#define PLAT(type, digest, os, arch, more)                                                         \
    "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":7,\"platform\":{\"os\":\"" os  \
    "\",\"architecture\":\"" arch "\"" more "}}"
#define CONFIG DESC(OCI "config.v1+json", A)
#define LAYER DESC(OCI "layer.v1.tar", B)
#define IMAGE_HEAD "{\"schemaVersion\":2,\"mediaType\":\"" OCI "manifest.v1+json\","
#define INDEX_HEAD "{\"schemaVersion\":2,\"mediaType\":\"" OCI "index.v1+json\","
#define IMAGE(layers) IMAGE_HEAD "\"config\":" CONFIG ",\"layers\":[" layers "]}"
#define INDEX(manifests) INDEX_HEAD "\"manifests\":[" manifests "]}"
#define MANIFEST OCI "manifest.v1+json"

struct scene {
    struct cl_arena arena;
    struct cl_manifest_record record;
    struct cl_error err;
};

static void drop_scene(struct scene *scene)
{
    cl_arena_done(&scene->arena);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(drop_scene)
#define SCENE ((struct scene){.arena = CL_ARENA_INIT(64 << 20)})

typedef int (*parse_fn)(const struct cl_document *document,
                        const struct cl_manifest_request *request, struct cl_arena *arena,
                        struct cl_manifest_record *ret, struct cl_error *err);

/* What comes out must be a record that reads back. */
static int parse_with(struct scene *scene, parse_fn parse, const char *text,
                      const struct cl_manifest_request *request)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    const struct cl_document document = {"m", text, strlen(text)};
    struct cl_manifest_record back = {.set = 0};

    scene->err = (struct cl_error){0};
    scene->record = (struct cl_manifest_record){.set = 0};
    int r = parse(&document, request, &scene->arena, &scene->record, &scene->err);
    if (r < 0) {
        CHECK(scene->record.set == 0);
        return r;
    }
    CHECK(cl_flat_write(&cl_manifest_shape, &scene->record, &buf, &scene->err) == 0);
    const struct cl_bytes bytes = {buf.data, buf.size};
    CHECK(cl_flat_read(&cl_manifest_shape, &bytes, &scene->arena, &back, &scene->err) == 0);
    CHECK(back.set == scene->record.set && back.layers.count == scene->record.layers.count);
    return r;
}

static int parse(struct scene *scene, const char *text, const char *platform, const char *type)
{
    const struct cl_manifest_request request = {.platform = platform, .media_type = type};

    return parse_with(scene, cl_manifest_parse, text, &request);
}

#endif
