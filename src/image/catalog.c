#include "image/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/layers.h"

/* --- images ---------------------------------------------------------------------- */

/* 1, or 0 when it was removed meanwhile. */
static int read_image(const struct cl_store *store, const struct cl_digest *digest,
                      struct cl_arena *arena, struct cl_catalog_image *ret, struct cl_error *err)
{
    struct cl_catalog_image image = {.digest = *digest};
    struct cl_error ignored;
    struct cl_error failure;
    int r = cl_image_read(store, digest, arena, &image.record, &failure);

    if (r < 0 && r != -ENOENT && r != -EBADMSG) {
        *err = failure;
        return r;
    }
    if (cl_image_used(store, digest, &image.used_s, &ignored) < 0)
        return 0;
    *ret = image;
    return 1;
}

static int compare_images(const void *a, const void *b)
{
    const struct cl_catalog_image *first = a;
    const struct cl_catalog_image *second = b;

    if (first->used_s != second->used_s)
        return first->used_s > second->used_s ? -1 : 1;
    return strcmp(first->digest.hex, second->digest.hex);
}

static int read_images(const struct cl_store *store, struct cl_arena *arena, struct cl_catalog *ret,
                       struct cl_error *err)
{
    struct cl_digests digests = {0};
    int r = cl_images_list(store, arena, &digests, err);

    if (r < 0)
        return r;
    ret->images = cl_arena_array(arena, digests.count, sizeof(*ret->images));
    if (ret->images == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < digests.count; i++) {
        r = read_image(store, &digests.items[i], arena, &ret->images[ret->count], err);
        if (r < 0)
            return r;
        ret->count += (size_t)r;
    }
    if (ret->count > 0)
        qsort(ret->images, ret->count, sizeof(*ret->images), compare_images);
    return 0;
}

/* --- names ----------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const struct cl_image_name *first = a;
    const struct cl_image_name *second = b;
    int order = strcmp(first->digest.hex, second->digest.hex);

    return order != 0 ? order : strcmp(first->text, second->text);
}

/* The first of NAMES, which are sorted, that is of DIGEST or behind it. */
static size_t find_names(const struct cl_image_name *names, size_t count,
                         const struct cl_digest *digest)
{
    size_t low = 0;

    while (count > 0) {
        const size_t half = count / 2;

        if (strcmp(names[low + half].digest.hex, digest->hex) < 0) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

/* Gives each image its part of one list of all names. */
static int read_names(const struct cl_store *store, struct cl_arena *arena,
                      struct cl_catalog *catalog, struct cl_error *err)
{
    struct cl_image_names found = {0};
    int r = cl_names_list(store, arena, &found, err);

    if (r < 0)
        return r;
    struct cl_image_name *names = cl_arena_array(arena, found.count, sizeof(*names));
    const char **texts = cl_arena_array(arena, found.count, sizeof(*texts));
    if (names == NULL || texts == NULL)
        return cl_fail_memory(err);
    if (found.count > 0) {
        memcpy(names, found.items, found.count * sizeof(*names));
        qsort(names, found.count, sizeof(*names), compare_names);
    }
    for (size_t i = 0; i < found.count; i++)
        texts[i] = names[i].text;
    for (size_t i = 0; i < catalog->count; i++) {
        struct cl_catalog_image *image = &catalog->images[i];
        const size_t first = find_names(names, found.count, &image->digest);
        size_t end = first;

        while (end < found.count && cl_digest_equal(&names[end].digest, &image->digest))
            end++;
        image->names = (struct cl_strlist){texts + first, end - first};
    }
    return 0;
}

/* --- sizes ----------------------------------------------------------------------- */

/* An image has a layer. */
struct use {
    const char *layer;
    struct cl_catalog_image *image;
};

static int compare_uses(const void *a, const void *b)
{
    const struct use *first = a;
    const struct use *second = b;

    return strcmp(first->layer, second->layer);
}

static size_t list_uses(const struct cl_catalog *catalog, struct use *ret)
{
    size_t count = 0;

    for (size_t i = 0; i < catalog->count; i++) {
        const struct cl_strlist *layers = &catalog->images[i].record.layers;

        for (size_t j = 0; j < layers->count; j++) {
            if (!cl_layer_name_is_valid(layers->items[j]))
                continue; /* a record that is damaged, or was touched, may say anything */
            if (ret != NULL)
                ret[count] = (struct use){layers->items[j], &catalog->images[i]};
            count++;
        }
    }
    return count;
}

static int add_sizes(const struct cl_store *store, struct cl_arena *arena,
                     const struct cl_catalog *catalog, struct cl_error *err)
{
    const size_t count = list_uses(catalog, NULL);
    struct use *uses = cl_arena_array(arena, count, sizeof(*uses));

    if (uses == NULL)
        return cl_fail_memory(err);
    (void)list_uses(catalog, uses);
    if (count > 0)
        qsort(uses, count, sizeof(*uses), compare_uses);
    for (size_t i = 0, end = 0; i < count; i = end) {
        const uint64_t bytes = cl_layer_bytes(store, uses[i].layer);

        for (end = i; end < count && strcmp(uses[end].layer, uses[i].layer) == 0; end++)
            uses[end].image->size_bytes += bytes;
        if (end == i + 1)
            uses[i].image->own_bytes += bytes;
    }
    return 0;
}

/* --- all of it ------------------------------------------------------------------- */

int cl_catalog_read(const struct cl_store *store, struct cl_arena *arena, struct cl_catalog *ret,
                    struct cl_error *err)
{
    struct cl_catalog catalog = {0};
    int r = read_images(store, arena, &catalog, err);

    if (r == 0)
        r = read_names(store, arena, &catalog, err);
    if (r == 0)
        r = add_sizes(store, arena, &catalog, err);
    if (r == 0)
        *ret = catalog;
    return r;
}

const struct cl_catalog_image *cl_catalog_find(const struct cl_catalog *catalog,
                                               const struct cl_digest *digest)
{
    for (size_t i = 0; i < catalog->count; i++) {
        if (cl_digest_equal(&catalog->images[i].digest, digest))
            return &catalog->images[i];
    }
    return NULL;
}
