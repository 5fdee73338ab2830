#include "cmd/cloister/run_image.h"

#include <errno.h>

#include "base/fd.h"
#include "cmd/cloister/obtain.h"
#include "cmd/cloister/stored.h"
#include "image/config.h"
#include "image/launch.h"
#include "plan/decide.h"

/* The store may have been moved since the record was written. */
static int settle(const struct cl_store *store, int lock, const struct cl_plan *plan,
                  struct cl_arena *arena, struct cl_plan *ret)
{
    const char *path = cl_arena_printf(arena, "%s/layers", store->path);

    if (path == NULL)
        return -ENOMEM;
    *ret = *plan;
    ret->image_path = path;
    return lock;
}

/* As `images` shows images, in place of a name. -ENOENT without a message: there is none. */
static int find_by_digits(const char *word, struct cl_arena *arena, struct cl_plan *ret,
                          struct cl_error *err)
{
    CL_CLEANUP_STORED struct cl_stored_all all = CL_STORED_ALL_INIT;
    struct cl_stored found = {0};
    struct cl_error why = {0};
    int r = cl_stored_is_digits(word) ? cl_stored_open(arena, &all, err) : -ENOENT;

    if (r == 0)
        r = cl_stored_read(&all, arena, err);
    if (r < 0)
        return r;
    r = cl_stored_find(&all, word, arena, &found, &why);
    if (r == 0)
        return cl_launch_find_digest(all.store.dir, &found.image->digest, arena, ret, err);
    if (r != -ENOENT)
        *err = why;
    return r;
}

/* The launch record of what IMAGE names: its locked descriptor, or -ENOENT without a message. */
static int find(const struct cl_run_image *image, const struct cl_store *store,
                struct cl_arena *arena, struct cl_plan *ret, struct cl_error *err)
{
    struct cl_registries_record config;
    struct cl_reference reference;
    struct cl_plan plan = {0};
    struct cl_error unnamed = {0};
    int r = cl_image_config_load(arena, &config, err);

    if (r < 0)
        return r;
    r = cl_reference_parse(image->text, cl_image_config_default(&config), arena, &reference,
                           &unnamed);
    CL_CLEANUP_FD int lock =
        r < 0 ? -ENOENT : cl_launch_find(store->dir, &reference, arena, &plan, err);
    if (lock == -ENOENT)
        lock = find_by_digits(image->text, arena, &plan, err);
    if (lock == -ENOENT && r < 0) {
        *err = unnamed;
        return r;
    }
    if (lock < 0)
        return lock;
    r = settle(store, lock, &plan, arena, ret);
    return r < 0 ? cl_fail_memory(err) : CL_TAKE_FD(lock);
}

/* Pulls it, and finds what came by its digest: the name may be another's by then. */
static int pull(const struct cl_run_image *image, const struct cl_store *store,
                struct cl_arena *arena, struct cl_plan *ret, struct cl_error *err)
{
    struct cl_obtain how = CL_OBTAIN_INIT;
    struct cl_pulled pulled;
    struct cl_plan plan = {0};

    how.store = store;
    how.text = image->text;
    how.arena = arena;
    how.progress = image->progress;
    how.only_news = 1;
    how.without_landlock = image->without_landlock;
    int r = cl_obtain(&how, &pulled, err);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int lock = cl_launch_find_digest(store->dir, &pulled.digest, arena, &plan, err);
    if (lock == -ENOENT)
        return cl_refuse(err, EAGAIN, "the image was removed as soon as it was here; run it again");
    if (lock < 0)
        return lock;
    r = settle(store, lock, &plan, arena, ret);
    return r < 0 ? cl_fail_memory(err) : CL_TAKE_FD(lock);
}

static int find_or_pull(const struct cl_run_image *image, struct cl_arena *arena,
                        struct cl_plan *ret, struct cl_error *err)
{
    CL_CLEANUP_STORE struct cl_store store = CL_STORE_INIT;
    const int is_local = cl_image_is_local(image->text);
    const int may_pull = is_local || image->pull != CL_PULL_NEVER; /* no network is needed */
    int r = cl_store_open(may_pull, &store, err);

    if (r < 0)
        return r; /* -ENOENT without a message: none, and nothing may be pulled */
    /* What lies on this host is read each time: nobody says when it changes. */
    r = image->pull == CL_PULL_ALWAYS || is_local ? -ENOENT : find(image, &store, arena, ret, err);
    if (r == -EBADMSG)
        return cl_hint(err, "cloister pull %.200s", image->text);
    if (r == -ENOENT && may_pull)
        r = pull(image, &store, arena, ret, err);
    return r;
}

int cl_run_image_part(const struct cl_run_image *image, struct cl_arena *arena, struct cl_plan *ret,
                      int *ret_lock, struct cl_error *err)
{
    if (image->text == NULL || !cl_image_is_name(image->text))
        return 0;
    int lock = find_or_pull(image, arena, ret, err);
    if (lock == -ENOENT && err->code == 0)
        return 0;
    if (lock < 0)
        return lock;
    *ret_lock = lock;
    return 0;
}
