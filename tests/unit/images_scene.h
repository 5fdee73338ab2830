/* images_scene.h - a store of images, written by the functions that write the real one, below a
 * temporary directory (CLOISTER_STORE). Its layers' trees are empty: what they take is what
 * their records say.
 */
#ifndef CL_TESTS_UNIT_IMAGES_SCENE_H
#define CL_TESTS_UNIT_IMAGES_SCENE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "image/catalog.h"
#include "image/compose.h"
#include "image/layers.h"
#include "check.h"

#define SCENE_PATH "/mnt/store"

enum { SCENE_LAYERS = 4, SCENE_ARENA = 4 << 20 };

/* An image to be made. */
struct scene_image {
    const char *text;                 /* whose SHA-256 is its digest */
    const char *layers[SCENE_LAYERS]; /* texts likewise; those with the same text are one layer */
    uint64_t layer_bytes;             /* what each takes */
    const char *names[SCENE_LAYERS];  /* whole ones */
    const char *created;
    uint64_t used_ago_s;
};

static struct cl_store scene_store = {.dir = -1};

static inline void scene_open(void)
{
    struct cl_error err = {0};

    CHECK(setenv("CLOISTER_STORE", SCENE_PATH, 1) == 0);
    CHECK(setenv("XDG_CONFIG_HOME", "/mnt/no-config", 1) == 0);
    CHECK(cl_store_open(1, &scene_store, &err) == 0);
    CHECK_TEXT(err.msg, "");
}

/* The layer of that text: its name in the store. */
static inline void scene_layer(const char *text, uint64_t bytes, char ret[CL_LAYER_NAME_SIZE])
{
    struct cl_layer_work work = CL_LAYER_WORK_INIT;
    char digest[CL_DIGEST_TEXT_SIZE];
    struct cl_digest chain;
    struct cl_error err = {0};

    cl_digest_of(text, strlen(text), &chain);
    (void)cl_digest_format(&chain, digest);
    int r = cl_layer_begin(&scene_store, &chain, 0, &work, &err);
    CHECK(r == 0 || r == -EEXIST);
    const struct cl_layer_record record = {
        .set = CL_RECORD_BIT(CL_STORED_LAYER_FIELD_COUNT) - 1,
        .chain = digest,
        .diff_id = digest,
        .blob = digest,
        .size_bytes = bytes / 2,
        .disk_bytes = bytes,
        .entries = 3,
    };
    if (r == 0)
        CHECK(cl_layer_commit(&scene_store, &work, &record, &err) == 0);
    CHECK(cl_layer_find(&scene_store, &chain, ret, &err) == 0);
    CHECK(cl_layer_mark_synced(&scene_store, ret, &err) == 0);
}

static inline void scene_age(const struct cl_digest *digest, uint64_t ago_s)
{
    const time_t then = (time_t)(cl_clock_wall_ns() / CL_NS_PER_S - ago_s);
    const struct timespec times[2] = {{.tv_sec = then}, {.tv_sec = then}};
    char name[CL_STORE_NAME_SIZE];

    cl_store_name("launch", digest, name);
    CHECK(utimensat(scene_store.dir, name, times, 0) == 0);
}

/* A config of the text CONFIG, as a blob: its digest. */
static inline void scene_config(const char *config, struct cl_digest *ret)
{
    char name[CL_STORE_NAME_SIZE];
    struct cl_error err = {0};

    cl_digest_of(config, strlen(config), ret);
    cl_store_name("blobs/sha256", ret, name);
    CHECK(cl_store_put(&scene_store, name, config, strlen(config), &err) == 0);
}

static inline void scene_image(const struct scene_image *image, struct cl_digest *ret)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(SCENE_ARENA);
    static const char *const words[] = {"sh", "-c", "true"};
    struct cl_config_record config = {.set = CL_RECORD_BIT(CL_CONFIG_COMMAND) |
                                             CL_RECORD_BIT(CL_CONFIG_STOP_SIGNAL),
                                      .command = {words, 3},
                                      .stop_signal = 2};
    char layers[SCENE_LAYERS][CL_LAYER_NAME_SIZE];
    const char *names[SCENE_LAYERS];
    char text[CL_DIGEST_TEXT_SIZE];
    char config_text[CL_DIGEST_TEXT_SIZE];
    struct cl_digest config_digest;
    struct cl_plan launch = {0};
    struct cl_error err = {0};
    size_t count = 0;

    for (; count < SCENE_LAYERS && image->layers[count] != NULL; count++) {
        scene_layer(image->layers[count], image->layer_bytes, layers[count]);
        names[count] = layers[count];
    }
    cl_digest_of(image->text, strlen(image->text), ret);
    scene_config("{\"os\": \"linux\", \"architecture\": \"amd64\", \"config\": {\"Labels\": "
                 "{\"a.b\": \"c=d\"}}, \"rootfs\": {\"type\": \"layers\", \"diff_ids\": []}}",
                 &config_digest);
    const struct cl_strlist list = {names, count};
    const struct cl_image_record record = {
        .set = CL_RECORD_BIT(CL_STORED_IMAGE_FIELD_COUNT) - 1,
        .digest = cl_digest_format(ret, text),
        .config = cl_digest_format(&config_digest, config_text),
        .media_type = "application/vnd.oci.image.manifest.v1+json",
        .created = image->created == NULL ? "" : image->created,
        .platform = "linux/amd64",
        .pulled_s = 1700000000,
        .layers = list,
    };
    const struct cl_launch_of of = {
        .store = &scene_store, .digest = text, .layers = list, .config = &config};
    CHECK(cl_launch_compose(&of, &arena, &launch, &err) == 0);
    CHECK(cl_image_write(&scene_store, &launch, &record, &err) == 0);
    for (size_t i = 0; i < SCENE_LAYERS && image->names[i] != NULL; i++)
        CHECK(cl_name_set(&scene_store, image->names[i], ret, &err) == 0);
    scene_age(ret, image->used_ago_s);
    CHECK_TEXT(err.msg, "");
}

/* Holds the image as a run does; until the descriptor is closed. */
static inline int scene_hold(const struct cl_digest *digest)
{
    struct flock all = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    char name[CL_STORE_NAME_SIZE];

    cl_store_name("launch", digest, name);
    int fd = openat(scene_store.dir, name, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && cl_sys_fcntl_lock(fd, F_OFD_SETLK, &all) == 0);
    return fd;
}

/* cloister-image is found beside the test's program, as beside cloister: in the room alone. */
static inline void scene_add_helper(void)
{
    char self[PATH_MAX];
    char built[PATH_MAX];
    char *slash = NULL;
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);

    CHECK(size > 0);
    self[size > 0 ? size : 0] = '\0';
    for (int up = 0; up < 3; up++) { /* tests/unit/test_X */
        slash = strrchr(self, '/');
        *(slash == NULL ? self : slash) = '\0';
        if (up == 0)
            CHECK(mount("tmpfs", self, "tmpfs", 0, NULL) == 0 &&
                  snprintf(built, sizeof(built), "%s/cloister-image", self) > 0);
    }
    (void)strncat(self, "/cloister-image", sizeof(self) - strlen(self) - 1);
    CHECK(symlink(self, built) == 0);
}

static inline int scene_count(const char *directory)
{
    char path[256];

    (void)snprintf(path, sizeof(path), SCENE_PATH "/%s", directory);
    return check_count_entries(path);
}

#endif
