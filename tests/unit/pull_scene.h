/* pull_scene.h - an image in memory as an origin, and its pull into the store of a scene. */
#ifndef CL_TESTS_UNIT_PULL_SCENE_H
#define CL_TESTS_UNIT_PULL_SCENE_H

#include "image/pull.h"
#include "image_scene.h"
#include "local_scene.h"

#define NAME "docker.io/library/debian:bookworm"
#define OTHER "docker.io/library/debian:12"

enum { PULL_MAX_LAYERS = 8, PULL_UID_BASE = 0x50000000 };

struct fake;

/* What the tests do in the middle of a pull. */
typedef void fake_fn(struct fake *fake);

/* An image, and how it is given. */
struct fake {
    struct cl_origin origin;
    struct scene *scene;
    struct local_image image;
    const struct cl_buf *index; /* what the reference leads to before the manifest; NULL: nothing */
    struct blob layers[PULL_MAX_LAYERS];
    size_t count;
    int depth;           /* how many indexes there are */
    int opened;          /* how many layers were asked for */
    uint64_t have_bytes; /* of the last that was asked for */
    int news[2];         /* reports on their way, with downloads */
    int ticks;           /* the end that is ours of the last download, when it is held */
    int hold;            /* a download doesn't go on */
    size_t cut_bytes;    /* a download ends so much earlier */
    int fail_open;       /* an errno */
    const char *failure; /* of each download */
    fake_fn *in_config;
    fake_fn *in_open;
};

static inline struct fake *fake_of(struct cl_origin *origin)
{
    return (struct fake *)(void *)((char *)origin - offsetof(struct fake, origin));
}

static inline int fake_manifest(struct cl_origin *origin, const char *reference, struct cl_buf *ret,
                                char ret_type[CL_MEDIA_TYPE_SIZE], struct cl_error *err)
{
    struct fake *fake = fake_of(origin);
    const struct cl_buf *bytes =
        fake->index != NULL && fake->depth-- > 0 ? fake->index : &fake->image.manifest;

    (void)reference;
    ret_type[0] = '\0';
    return cl_buf_add(ret, bytes->data, bytes->size) < 0 ? cl_fail_memory(err) : 0;
}

static inline int fake_config(struct cl_origin *origin, const struct cl_manifest_record *manifest,
                              struct cl_buf *ret, struct cl_error *err)
{
    struct fake *fake = fake_of(origin);

    (void)manifest;
    if (fake->in_config != NULL)
        fake->in_config(fake);
    return cl_buf_add(ret, fake->image.config.data, fake->image.config.size) < 0
               ? cl_fail_memory(err)
               : 0;
}

static inline void fake_tick(int ticks, uint64_t bytes)
{
    CHECK(write(ticks, &bytes, sizeof(bytes)) == sizeof(bytes));
}

/* All of it at once, into the caller's file. */
static inline void fake_download(struct fake *fake, const struct blob *blob,
                                 const struct cl_blob_wanted *wanted, struct cl_blob_source *ret)
{
    const size_t end = blob->bytes.size - fake->cut_bytes;
    struct cl_download_report report = {.id = (uint64_t)fake->opened, .ended = 1};
    int ends[2];

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    if (wanted->have_bytes < end)
        CHECK(pwrite(wanted->download, blob->bytes.data + wanted->have_bytes,
                     end - wanted->have_bytes, (off_t)wanted->have_bytes) > 0);
    fake_tick(ends[1], wanted->have_bytes);
    fake_tick(ends[1], end);
    *ret = (struct cl_blob_source){.fd = wanted->download, .ticks = ends[0], .id = report.id};
    if (fake->hold) {
        fake->ticks = ends[1];
        return;
    }
    cl_fd_close(&ends[1]);
    if (fake->failure != NULL)
        (void)cl_refuse(&report.error, ECONNRESET, "%s", fake->failure);
    CHECK(write(fake->news[1], &report, sizeof(report)) == sizeof(report));
}

static inline int fake_open(struct cl_origin *origin, const struct cl_blob_wanted *wanted,
                            struct cl_blob_source *ret, struct cl_error *err)
{
    struct fake *fake = fake_of(origin);

    CHECK(wanted->index < fake->count);
    const struct blob *blob = &fake->layers[wanted->index];
    fake->opened++;
    fake->have_bytes = wanted->have_bytes;
    if (fake->in_open != NULL)
        fake->in_open(fake);
    if (fake->fail_open != 0)
        return cl_refuse(err, fake->fail_open, "no such blob");
    if (origin->downloads)
        fake_download(fake, blob, wanted, ret);
    else
        *ret = (struct cl_blob_source){.fd = blob->file, .ticks = -1};
    return 0;
}

static inline int fake_listen(struct cl_origin *origin, struct cl_download_report *ret,
                              struct cl_error *err)
{
    ssize_t got = read(fake_of(origin)->news[0], ret, sizeof(*ret));

    return got == sizeof(*ret) ? 1 : cl_refuse(err, EIO, "the news have ended");
}

/* An image of COUNT layers, which are of chains of their own: their files hold MARK and on. */
static inline void fake_make(struct scene *scene, char mark, size_t count,
                             enum cl_compression compression, struct fake *ret)
{
    *ret = (struct fake){.scene = scene,
                         .origin = {.manifest = fake_manifest,
                                    .config = fake_config,
                                    .open = fake_open,
                                    .listen = fake_listen,
                                    .news = -1},
                         .count = count,
                         .news = {-1, -1},
                         .ticks = -1};
    for (size_t i = 0; i < count; i++)
        blob_make(scene, (char)(mark + (char)i), compression, 5000, &ret->layers[i]);
    local_image_make(ret->layers, count, "\"User\":\"app\",\"Env\":[\"A=b\"],\"Cmd\":[\"sh\"]",
                     &ret->image);
}

static inline void fake_done(struct fake *fake)
{
    for (size_t i = 0; i < fake->count; i++)
        blob_done(&fake->layers[i]);
    local_image_done(&fake->image);
    cl_fd_close(&fake->news[0]);
    cl_fd_close(&fake->news[1]);
    cl_fd_close(&fake->ticks);
}
#define CL_CLEANUP_FAKE CL_CLEANUP(fake_done)

/* Its layers come from elsewhere from now on. */
static inline void fake_is_remote(struct fake *fake)
{
    CHECK(cl_sys_pipe2(fake->news, 0) == 0);
    fake->origin.news = fake->news[0];
    fake->origin.downloads = 1;
}

static const char *const pull_names[] = {NAME, OTHER};

static inline struct cl_pull_how pull_how(struct fake *fake)
{
    return (struct cl_pull_how){.origin = &fake->origin,
                                .names = {pull_names, 1},
                                .platform = "linux/amd64",
                                .uid_base = geteuid() == 0 ? PULL_UID_BASE : 0,
                                .max_bytes = 1 << 30,
                                .max_entries = 1000};
}

static inline int pull_with(struct scene *scene, const struct cl_pull_how *how,
                            struct cl_pulled *ret)
{
    scene->err = (struct cl_error){0};
    *ret = (struct cl_pulled){0};
    return cl_pull(&scene->store, how, ret, &scene->err);
}

static inline int pull(struct fake *fake, struct cl_pulled *ret)
{
    const struct cl_pull_how how = pull_how(fake);

    return pull_with(fake->scene, &how, ret);
}

/* Whether NAME is an image whose layers are the fake's. */
static inline void check_pulled(struct fake *fake, const char *name)
{
    struct scene *scene = fake->scene;
    struct cl_reference reference;
    struct cl_plan plan = {0};
    struct cl_error err = {0};

    CHECK(cl_reference_parse(name, NULL, &scene->arena, &reference, &err) == 0);
    CL_CLEANUP_FD int fd = cl_launch_find(scene->store.dir, &reference, &scene->arena, &plan, &err);
    CHECK(fd >= 0);
    CHECK_TEXT(err.msg, "");
    CHECK(plan.image_layers.count == fake->count);
    for (size_t i = 0; i < plan.image_layers.count && i < fake->count; i++) {
        char path[SCENE_PATH_SIZE];
        struct stat status;

        (void)snprintf(path, sizeof(path), "layers/%s/tree/file", plan.image_layers.items[i]);
        CHECK(strlen(scene_read(scene, path)) == 1);
        CHECK(stat(scene_path(scene, "%s", path), &status) == 0 && status.st_uid == geteuid());
        CHECK(!scene_has(scene, "unsynced"));
        (void)snprintf(path, sizeof(path), "layers/%s/unsynced", plan.image_layers.items[i]);
        CHECK(!scene_has(scene, path));
    }
}

/* Nothing of a pull is left in the making, and no process. */
static inline void check_settled(const struct scene *scene)
{
    static const char *const directories[] = {"work", "leases", "trash"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(directories); i++)
        CHECK(check_count_entries(scene_path(scene, "%s", directories[i])) == 0);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

#endif
