/* layer_scene.h - layers in the store of a scene. */
#ifndef CL_TESTS_UNIT_LAYER_SCENE_H
#define CL_TESTS_UNIT_LAYER_SCENE_H

#include "base/boot.h"
#include "image/layers.h"
#include "store_scene.h"

static inline struct cl_layer_record layer_record(char chain)
{
    return (struct cl_layer_record){
        .set = (1ULL << CL_STORED_LAYER_FIELD_COUNT) - 1,
        .chain = digest_text(chain),
        .diff_id = digest_text('d'),
        .blob = digest_text('b'),
        .size_bytes = 100,
        .disk_bytes = 4096,
        .entries = 2,
    };
}

static inline int layer_begin(struct scene *scene, char chain, int wait, struct cl_layer_work *ret)
{
    const struct cl_digest digest = digest_of(chain);

    scene->err = (struct cl_error){0};
    return cl_layer_begin(&scene->store, &digest, wait, ret, &scene->err);
}

static inline int layer_commit(struct scene *scene, char chain, struct cl_layer_work *work)
{
    const struct cl_layer_record record = layer_record(chain);

    scene->err = (struct cl_error){0};
    return cl_layer_commit(&scene->store, work, &record, &scene->err);
}

static inline int layer_find(struct scene *scene, char chain, char ret_name[CL_LAYER_NAME_SIZE])
{
    const struct cl_digest digest = digest_of(chain);

    scene->err = (struct cl_error){0};
    return cl_layer_find(&scene->store, &digest, ret_name, &scene->err);
}

/* Puts a file that says which chain it is into WORK's tree. */
static inline void layer_fill(const struct cl_layer_work *work, char chain)
{
    CL_CLEANUP_FD int fd =
        openat(work->tree, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    CHECK(fd >= 0 && write(fd, &chain, 1) == 1);
}

/* A layer that is there and has been synced. */
static inline void layer_make(struct scene *scene, char chain, char ret_name[CL_LAYER_NAME_SIZE])
{
    struct cl_layer_work work = CL_LAYER_WORK_INIT;

    CHECK(layer_begin(scene, chain, 0, &work) == 0);
    CHECK_TEXT(scene->err.msg, "");
    layer_fill(&work, chain);
    CHECK(layer_commit(scene, chain, &work) == 0);
    CHECK_TEXT(scene->err.msg, "");
    CHECK(layer_find(scene, chain, ret_name) == 0);
    CHECK(cl_layer_mark_synced(&scene->store, ret_name, &scene->err) == 0);
}

/* Whether CHAIN has a layer, with the file of that chain in it. */
static inline int layer_is_there(struct scene *scene, char chain)
{
    char name[CL_LAYER_NAME_SIZE] = "";
    char path[64];

    int r = layer_find(scene, chain, name);
    CHECK(r == 0 || (r == -ENOENT && scene->err.msg[0] == '\0'));
    if (r < 0)
        return 0;
    (void)snprintf(path, sizeof(path), "layers/%s/tree/file", name);
    const char text[2] = {chain, '\0'};
    CHECK_TEXT(scene_read(scene, path), text);
    return 1;
}

/* As a loss of power leaves a layer: with the mark of a boot that isn't this one. All marks of
 * the store are meant. */
static inline void layers_of_another_boot(const struct scene *scene)
{
    char id[CL_BOOT_ID_SIZE];
    struct cl_error err = {0};

    CHECK(cl_boot_id(id, &err) == 0);
    CHECK(scene_shell("cd %s/layers && marks=$(grep -rl %s .) && for m in $marks; do "
                      "tr 0-9a-f 1-9a-f0 <$m >$m.x && mv $m.x $m || exit 1; done",
                      scene->root, id) == 0);
}

#endif
