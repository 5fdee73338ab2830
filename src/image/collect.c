#include "image/collect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "image/layers.h"
#include "image/lease.h"
#include "image/needed.h"

enum { ARENA_MAX = 256 << 20, MAX_LEASES = 1 << 20 };

struct collection {
    const struct cl_store *store;
    const struct cl_collect_how *how;
    struct cl_arena arena;
    struct cl_digests images;
    struct cl_image_names names;
    struct cl_collected done;
};

/* --- images -------------------------------------------------------------------- */

static int is_named(const struct collection *collection, const struct cl_digest *digest)
{
    for (size_t i = 0; i < collection->names.count; i++) {
        if (cl_digest_equal(&collection->names.items[i].digest, digest))
            return 1;
    }
    return 0;
}

static int drop_names(const struct collection *collection, const struct cl_digest *digest,
                      struct cl_error *err)
{
    for (size_t i = 0; i < collection->names.count; i++) {
        if (!cl_digest_equal(&collection->names.items[i].digest, digest))
            continue;
        int r = cl_name_drop(collection->store, collection->names.items[i].text, err);
        if (r < 0 && r != -ENOENT)
            return r;
    }
    return 0;
}

/* The record goes first: with it, whoever has the name only has nothing to run. */
static int remove_image(struct collection *collection, const struct cl_digest *digest,
                        struct cl_error *err)
{
    int r = cl_image_remove(collection->store, digest, err);

    if (r == -EBUSY) {
        collection->done.busy++;
        return -EBUSY;
    }
    if (r == 0)
        r = drop_names(collection, digest, err);
    if (r == 0)
        collection->done.images++;
    return r;
}

static int remove_unwanted(struct collection *collection, struct cl_error *err)
{
    for (size_t i = 0; i < collection->images.count; i++) {
        const struct cl_digest *digest = &collection->images.items[i];

        if (!collection->how->all && !(collection->how->unnamed && !is_named(collection, digest)))
            continue;
        int r = remove_image(collection, digest, err);
        if (r < 0 && r != -EBUSY)
            return r;
    }
    return 0;
}

/* --- layers -------------------------------------------------------------------- */

/* What both of its records name, as far as they can be read: a loss of power may have left any
 * bytes of one. An image of which neither can be is none. */
static int add_image(struct collection *collection, struct cl_needed *needed,
                     const struct cl_digest *digest, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct cl_image_record record = {0};
    struct cl_strlist layers = {0};
    struct cl_error why = {0};
    int image = cl_image_read(collection->store, digest, &arena, &record, &why);
    int launch = 0;

    if (image == 0 || image == -ENOENT || image == -EBADMSG)
        launch = cl_image_layers(collection->store, digest, &arena, &layers, &why);
    if (launch < 0 && launch != -ENOENT && launch != -EBADMSG)
        image = launch;
    if (image < 0 && image != -ENOENT && image != -EBADMSG) {
        *err = why;
        return image;
    }
    if (image < 0 && launch < 0) {
        int r = remove_image(collection, digest, err);
        return r == -EBUSY ? 0 : r;
    }
    int r = cl_needed_add_image(needed, &record, err);
    for (size_t i = 0; r == 0 && i < layers.count; i++)
        r = cl_needed_add_layer(needed, layers.items[i], err);
    return r;
}

static int add_images(struct collection *collection, struct cl_needed *needed, struct cl_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < collection->images.count; i++)
        r = add_image(collection, needed, &collection->images.items[i], err);
    return r;
}

static int add_leases(const struct collection *collection, struct cl_needed *needed,
                      struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf chains = CL_BUF_INIT(MAX_LEASES * sizeof(struct cl_digest));
    int r = cl_leases_read(collection->store, &chains, err);

    for (size_t at = 0; r == 0 && at < chains.size; at += sizeof(struct cl_digest)) {
        struct cl_digest chain;
        char name[CL_LAYER_NAME_SIZE];

        memcpy(&chain, chains.data + at, sizeof(chain));
        r = cl_layer_find(collection->store, &chain, name, err);
        if (r == 0)
            r = cl_needed_add_layer(needed, name, err);
        else if (r == -ENOENT)
            r = 0; /* it is still being made */
    }
    return r;
}

static int find_needed(struct collection *collection, struct cl_needed *ret, struct cl_error *err)
{
    int r = cl_images_list(collection->store, &collection->arena, &collection->images, err);

    if (r == 0)
        r = add_images(collection, ret, err);
    return r < 0 ? r : add_leases(collection, ret, err);
}

static int sweep_unneeded(struct collection *collection, struct cl_error *err)
{
    CL_CLEANUP_NEEDED struct cl_needed needed = CL_NEEDED_INIT;
    int r = find_needed(collection, &needed, err);

    if (r == 0)
        r = cl_needed_sweep_layers(&needed, collection->store, &collection->done, err);
    if (r == 0)
        r = cl_needed_sweep_files(&needed, collection->store, collection->how->downloads,
                                  &collection->done, err);
    if (r == 0)
        r = cl_layers_sweep(collection->store, err);
    if (r < 0)
        return r;
    collection->done.leftovers += (uint64_t)r;
    return 0;
}

/* --- the budget ------------------------------------------------------------------ */

struct candidate {
    const struct cl_digest *digest;
    uint64_t used_s;
};

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *first = a;
    const struct candidate *second = b;

    return first->used_s < second->used_s ? -1 : first->used_s > second->used_s;
}

static int list_candidates(struct collection *collection, struct candidate **ret, size_t *ret_count,
                           struct cl_error *err)
{
    struct candidate *items =
        cl_arena_array(&collection->arena, collection->images.count, sizeof(*items));
    size_t count = 0;

    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < collection->images.count; i++) {
        const struct cl_digest *digest = &collection->images.items[i];
        const char *keep = collection->how->keep_digest;

        if (keep != NULL && strcmp(keep + strcspn(keep, ":") + 1, digest->hex) == 0)
            continue;
        items[count].digest = digest;
        if (cl_image_used(collection->store, digest, &items[count].used_s, err) == 0)
            count++;
    }
    qsort(items, count, sizeof(*items), compare_candidates);
    *ret = items;
    *ret_count = count;
    return 0;
}

static int keep_budget(struct collection *collection, struct cl_error *err)
{
    struct candidate *candidates = NULL;
    uint64_t usage = 0;
    size_t count = 0;
    int r = cl_store_usage(collection->store, &usage, err);

    if (r == 0 && usage > collection->how->budget_bytes)
        r = list_candidates(collection, &candidates, &count, err);
    for (size_t i = 0; r == 0 && i < count && usage > collection->how->budget_bytes; i++) {
        r = remove_image(collection, candidates[i].digest, err);
        if (r == -EBUSY) {
            r = 0;
            continue;
        }
        if (r == 0)
            r = sweep_unneeded(collection, err);
        if (r == 0)
            r = cl_store_usage(collection->store, &usage, err);
    }
    return r;
}

/* --- how much there is ------------------------------------------------------------ */

int cl_store_usage(const struct cl_store *store, uint64_t *ret_bytes, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(store->dir, "layers", O_RDONLY | O_DIRECTORY, 0);
    struct cl_dir entries;
    const char *name;
    uint64_t bytes = 0;
    int r;

    if (fd < 0)
        return cl_fail(err, fd, "open %s/layers", store->path);
    cl_dir_start(&entries, fd);
    while ((r = cl_dir_next(&entries, &name, NULL)) > 0)
        bytes += cl_layer_name_is_valid(name) ? cl_layer_bytes(store, name) : 0;
    if (r < 0)
        return cl_fail(err, r, "list %s/layers", store->path);
    *ret_bytes = bytes;
    return 0;
}

/* --- all of it ------------------------------------------------------------------- */

static int collect(struct collection *collection, struct cl_error *err)
{
    int r = cl_images_list(collection->store, &collection->arena, &collection->images, err);

    if (r == 0)
        r = cl_names_list(collection->store, &collection->arena, &collection->names, err);
    if (r == 0)
        r = remove_unwanted(collection, err);
    if (r == 0)
        r = sweep_unneeded(collection, err);
    if (r == 0 && collection->how->budget_bytes != UINT64_MAX)
        r = keep_budget(collection, err);
    return r;
}

int cl_collect(const struct cl_store *store, const struct cl_collect_how *how,
               struct cl_collected *ret, struct cl_error *err)
{
    struct collection collection = {.store = store, .how = how, .arena = CL_ARENA_INIT(ARENA_MAX)};
    CL_CLEANUP_FD int lock =
        cl_store_lock(store, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE | CL_LOCK_WAIT);

    if (lock < 0)
        return cl_fail(err, lock, "lock %s", store->path);
    int r = collect(&collection, err);
    cl_fd_close(&lock); /* what was moved away is nobody's */
    cl_arena_done(&collection.arena);
    if (r == 0)
        r = cl_empty_trash(store, how->uid_base, err);
    if (r == 0)
        *ret = collection.done;
    return r;
}

int cl_collect_leftovers(const struct cl_store *store, uint32_t uid_base, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf ignored = CL_BUF_INIT(MAX_LEASES * sizeof(struct cl_digest));
    CL_CLEANUP_FD int lock =
        cl_store_lock(store, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE | CL_LOCK_WAIT);

    if (lock < 0)
        return cl_fail(err, lock, "lock %s", store->path);
    int r = cl_leases_read(store, &ignored, err);
    if (r == 0)
        r = cl_layers_sweep(store, err);
    cl_fd_close(&lock);
    return r < 0 ? r : cl_empty_trash(store, uid_base, err);
}
