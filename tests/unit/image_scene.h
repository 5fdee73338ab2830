/* image_scene.h - images and their names in the store of a scene. */
#ifndef CL_TESTS_UNIT_IMAGE_SCENE_H
#define CL_TESTS_UNIT_IMAGE_SCENE_H

#include "image/images.h"
#include "image/launch.h"
#include "plan/format.h"
#include "layer_scene.h"

/* An image of the manifest DIGEST with the layers NAMES, whose config's digest is of the next
 * digit; both lie among the blobs. */
static inline int image_write(struct scene *scene, char digest, const char *const *names,
                              size_t count)
{
    const char config = (char)(digest + 1);
    char path[SCENE_PATH_SIZE];
    const struct cl_image_record record = {
        .set = (1ULL << CL_STORED_IMAGE_FIELD_COUNT) - 1,
        .digest = digest_text(digest),
        .config = digest_text(config),
        .media_type = "application/vnd.oci.image.manifest.v1+json",
        .created = "2026-01-02T03:04:05Z",
        .platform = "linux/amd64",
        .pulled_s = 1700000000,
        .layers = {names, count},
    };
    struct cl_plan launch = {
        .image_kind = CL_IMAGE_STORE,
        .image_path = scene_path(scene, "layers"),
        .image_digest = digest_text(digest),
        .image_layers = {names, count},
    };

    cl_plan_mark(&launch, CL_FIELD_IMAGE_KIND);
    cl_plan_mark(&launch, CL_FIELD_IMAGE_PATH);
    cl_plan_mark(&launch, CL_FIELD_IMAGE_DIGEST);
    cl_plan_mark(&launch, CL_FIELD_IMAGE_LAYERS);
    (void)snprintf(path, sizeof(path), "blobs/sha256/%s", digest_of(digest).hex);
    scene_write(scene, path, "{}", 2);
    (void)snprintf(path, sizeof(path), "blobs/sha256/%s", digest_of(config).hex);
    scene_write(scene, path, "{}", 2);
    scene->err = (struct cl_error){0};
    return cl_image_write(&scene->store, &launch, &record, &scene->err);
}

/* An image of two layers that are made for it: of the chains FIRST and SECOND. */
static inline void image_make(struct scene *scene, char digest, char first, char second)
{
    char layers[2][CL_LAYER_NAME_SIZE];
    const char *const names[] = {layers[0], layers[1]};

    if (layer_find(scene, first, layers[0]) < 0)
        layer_make(scene, first, layers[0]);
    if (layer_find(scene, second, layers[1]) < 0)
        layer_make(scene, second, layers[1]);
    CHECK(image_write(scene, digest, names, 2) == 0);
    CHECK_TEXT(scene->err.msg, "");
}

static inline int image_is_there(const struct scene *scene, char c)
{
    const struct cl_digest digest = digest_of(c);

    return cl_image_is_there(&scene->store, &digest);
}

static inline int image_remove(struct scene *scene, char c)
{
    const struct cl_digest digest = digest_of(c);

    scene->err = (struct cl_error){0};
    return cl_image_remove(&scene->store, &digest, &scene->err);
}

static inline int name_set(struct scene *scene, const char *text, char c)
{
    const struct cl_digest digest = digest_of(c);

    scene->err = (struct cl_error){0};
    return cl_name_set(&scene->store, text, &digest, &scene->err);
}

static inline int name_drop(struct scene *scene, const char *text)
{
    scene->err = (struct cl_error){0};
    return cl_name_drop(&scene->store, text, &scene->err);
}

/* The first digit of what TEXT names; '\0': nothing. */
static inline char named_by(struct scene *scene, const char *text)
{
    struct cl_image_names names = {0};
    char found = '\0';

    scene->err = (struct cl_error){0};
    CHECK(cl_names_list(&scene->store, &scene->arena, &names, &scene->err) == 0);
    CHECK_TEXT(scene->err.msg, "");
    for (size_t i = 0; i < names.count; i++) {
        if (strcmp(names.items[i].text, text) != 0)
            continue;
        CHECK(found == '\0');
        found = names.items[i].digest.hex[0];
    }
    return found;
}

static inline size_t count_names(struct scene *scene)
{
    struct cl_image_names names = {0};

    scene->err = (struct cl_error){0};
    CHECK(cl_names_list(&scene->store, &scene->arena, &names, &scene->err) == 0);
    return names.count;
}

static inline size_t count_images(struct scene *scene)
{
    struct cl_digests digests = {0};

    scene->err = (struct cl_error){0};
    CHECK(cl_images_list(&scene->store, &scene->arena, &digests, &scene->err) == 0);
    CHECK_TEXT(scene->err.msg, "");
    return digests.count;
}

/* The path of NAME's file in DIRECTORY (names, refs). */
static inline const char *ref_path(const struct scene *scene, const char *directory,
                                   const char *text)
{
    struct cl_digest key;

    cl_name_key(text, &key);
    return scene_path(scene, "%s/%s", directory, key.hex);
}

/* As `run` does: the descriptor whose lock keeps the image that NAME names, or -errno. */
static inline int image_hold(struct scene *scene, const char *name)
{
    struct cl_reference reference;
    struct cl_plan plan = {0};

    scene->err = (struct cl_error){0};
    CHECK(cl_reference_parse(name, NULL, &scene->arena, &reference, &scene->err) == 0);
    int fd = cl_launch_find(scene->store.dir, &reference, &scene->arena, &plan, &scene->err);
    CHECK(fd >= 0 || fd == -ENOENT);
    return fd;
}

#endif
