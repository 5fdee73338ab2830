/* local_scene.h - images on this host: OCI layouts, in a directory or an archive, and what
 * `docker save` writes. */
#ifndef CL_TESTS_UNIT_LOCAL_SCENE_H
#define CL_TESTS_UNIT_LOCAL_SCENE_H

#include "blob_scene.h"
#include "programs_scene.h"

enum { LOCAL_MAX_LAYERS = 127 };

/* An image as documents. */
struct local_image {
    struct cl_buf config;
    struct cl_buf manifest;
    struct cl_digest config_digest;
    struct cl_digest manifest_digest;
};
#define LOCAL_IMAGE_INIT                                                                           \
    ((struct local_image){.config = CL_BUF_INIT(1 << 20), .manifest = CL_BUF_INIT(1 << 20)})

static inline void local_image_done(struct local_image *image)
{
    cl_buf_done(&image->config);
    cl_buf_done(&image->manifest);
}
#define CL_CLEANUP_LOCAL_IMAGE CL_CLEANUP(local_image_done)

static inline void local_write(const struct scene *scene, const char *name, const void *data,
                               size_t size)
{
    char path[SCENE_PATH_SIZE];

    (void)snprintf(path, sizeof(path), "%s/%s", scene->dir, name);
    CL_CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
}

static inline const char *local_compression(enum cl_compression compression)
{
    return compression == CL_COMPRESSION_NONE   ? ""
           : compression == CL_COMPRESSION_GZIP ? "+gzip"
                                                : "+zstd";
}

static inline void local_describe(struct cl_buf *json, const char *type, const char *suffix,
                                  const struct cl_digest *digest, size_t size)
{
    CHECK(cl_buf_printf(json,
                        "{\"mediaType\":\"application/vnd.oci.image.%s%s\","
                        "\"digest\":\"sha256:%s\",\"size\":%zu}",
                        type, suffix, digest->hex, size) == 0);
}

/* The documents of an image of COUNT LAYERS. EXTRA goes into the config's `config`. */
static inline void local_image_make(const struct blob *layers, size_t count, const char *extra,
                                    struct local_image *ret)
{
    *ret = LOCAL_IMAGE_INIT;
    struct cl_buf *config = &ret->config;
    struct cl_buf *manifest = &ret->manifest;

    CHECK(cl_buf_printf(config,
                        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{%s},"
                        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
                        extra) == 0);
    for (size_t i = 0; i < count; i++)
        CHECK(cl_buf_printf(config, "%s\"sha256:%s\"", i == 0 ? "" : ",", layers[i].diff_id.hex) ==
              0);
    CHECK(cl_buf_printf(config, "]}}") == 0);
    cl_digest_of(config->data, config->size, &ret->config_digest);
    CHECK(cl_buf_printf(manifest, "{\"schemaVersion\":2,\"mediaType\":\"application/"
                                  "vnd.oci.image.manifest.v1+json\",\"config\":") == 0);
    local_describe(manifest, "config.v1+json", "", &ret->config_digest, config->size);
    CHECK(cl_buf_printf(manifest, ",\"layers\":[") == 0);
    for (size_t i = 0; i < count; i++) {
        CHECK(cl_buf_printf(manifest, i == 0 ? "" : ",") == 0);
        local_describe(manifest, "layer.v1.tar", local_compression(layers[i].compression),
                       &layers[i].digest, layers[i].bytes.size);
    }
    CHECK(cl_buf_printf(manifest, "]}") == 0);
    cl_digest_of(manifest->data, manifest->size, &ret->manifest_digest);
}

static inline void local_put_blob(const struct scene *scene, const struct cl_buf *bytes)
{
    struct cl_digest digest;
    char name[128];

    cl_digest_of(bytes->data, bytes->size, &digest);
    (void)snprintf(name, sizeof(name), "layout/blobs/sha256/%s", digest.hex);
    local_write(scene, name, bytes->data, bytes->size);
}

/* An OCI layout of the image, called TAG ("": it has no name), at DIR/layout, and as an archive
 * at DIR/layout.tar. */
static inline void local_layout(const struct scene *scene, const struct local_image *image,
                                const struct blob *layers, size_t count, const char *tag)
{
    CL_CLEANUP_BUF struct cl_buf index = CL_BUF_INIT(1 << 20);

    CHECK(scene_shell("mkdir -p %s/layout/blobs/sha256", scene->dir) == 0);
    local_write(scene, "layout/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
    CHECK(cl_buf_printf(&index,
                        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/"
                        "vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:%s\",\"size\":%zu,"
                        "\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}}]}",
                        image->manifest_digest.hex, image->manifest.size, tag) == 0);
    local_write(scene, "layout/index.json", index.data, index.size);
    local_put_blob(scene, &image->manifest);
    local_put_blob(scene, &image->config);
    for (size_t i = 0; i < count; i++)
        local_put_blob(scene, &layers[i].bytes);
    CHECK(scene_shell("cd %s/layout && tar -cf ../layout.tar .", scene->dir) == 0);
}

/* What `docker save` wrote before it wrote layouts, at DIR/saved.tar. */
static inline void local_saved(const struct scene *scene, const struct local_image *image,
                               const struct blob *layers, size_t count)
{
    CL_CLEANUP_BUF struct cl_buf json = CL_BUF_INIT(1 << 20);
    char name[64];

    CHECK(scene_shell("mkdir -p %s/saved", scene->dir) == 0);
    CHECK(cl_buf_printf(&json, "[{\"Config\":\"config.json\",\"RepoTags\":[\"debian:12\"],"
                               "\"Layers\":[") == 0);
    for (size_t i = 0; i < count; i++) {
        CHECK(cl_buf_printf(&json, "%s\"%zu.tar\"", i == 0 ? "" : ",", i) == 0);
        (void)snprintf(name, sizeof(name), "saved/%zu.tar", i);
        local_write(scene, name, layers[i].bytes.data, layers[i].bytes.size);
    }
    CHECK(cl_buf_printf(&json, "]}]") == 0);
    local_write(scene, "saved/manifest.json", json.data, json.size);
    local_write(scene, "saved/config.json", image->config.data, image->config.size);
    CHECK(scene_shell("cd %s/saved && tar -cf ../saved.tar *", scene->dir) == 0);
}

#endif
