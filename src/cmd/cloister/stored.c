#include "cmd/cloister/stored.h"

#include <errno.h>
#include <string.h>

#include "base/guess.h"
#include "cmd/cloister/image_name.h"
#include "image/config.h"
#include "oci/reference.h"

enum { DIGITS = CL_SHA256_HEX_SIZE - 1 };

static const char prefix[] = "sha256:";

void cl_stored_done(struct cl_stored_all *all)
{
    cl_store_done(&all->store);
}

int cl_stored_open(struct cl_arena *arena, struct cl_stored_all *ret, struct cl_error *err)
{
    struct cl_stored_all all = CL_STORED_ALL_INIT;
    struct cl_registries_record config = {0};
    int r = cl_image_config_load(arena, &config, err);

    if (r < 0)
        return r;
    all.fallback = cl_image_config_default(&config);
    r = cl_store_open(0, &all.store, err);
    if (r < 0 && r != -ENOENT)
        return r;
    *err = (struct cl_error){0}; /* without a home there is no store either */
    *ret = all;
    return 0;
}

int cl_stored_read(struct cl_stored_all *all, struct cl_arena *arena, struct cl_error *err)
{
    all->catalog = (struct cl_catalog){0};
    return all->store.dir < 0 ? 0 : cl_catalog_read(&all->store, arena, &all->catalog, err);
}

const char *cl_stored_call(const struct cl_stored_all *all, const struct cl_catalog_image *image,
                           struct cl_arena *arena)
{
    return image->names.count > 0
               ? cl_image_name_familiar(image->names.items[0], all->fallback, arena)
               : cl_arena_strndup(arena, image->digest.hex, CL_STORED_SHORT_DIGITS);
}

/* --- what there is not ------------------------------------------------------------ */

static int refuse_unknown(const struct cl_stored_all *all, const char *word, struct cl_arena *arena,
                          struct cl_error *err)
{
    const struct cl_catalog *catalog = &all->catalog;
    struct cl_guess guess = {0};

    for (size_t i = 0; i < catalog->count; i++) {
        const struct cl_strlist *names = &catalog->images[i].names;

        for (size_t j = 0; j < names->count; j++) {
            const char *familiar = cl_image_name_familiar(names->items[j], all->fallback, arena);

            if (familiar == NULL)
                return cl_fail_memory(err);
            cl_guess_try_start(&guess, word, familiar);
        }
    }
    if (guess.best != NULL)
        return cl_refuse(err, ENOENT, "no image %.200s here; did you mean %.100s?", word,
                         guess.best);
    if (strcmp(word, "host") == 0 || strncmp(word, "rootfs:", 7) == 0)
        return cl_refuse(err, ENOENT, "%.200s is on this machine, and not in the store", word);
    return cl_refuse(err, ENOENT, "no image %.200s here; cloister images lists them", word);
}

/* --- by digits --------------------------------------------------------------------- */

static int is_digits(const char *text)
{
    const size_t size = strspn(text, "0123456789abcdef");

    return size >= CL_STORED_LEAST_DIGITS && size <= DIGITS && text[size] == '\0';
}

int cl_stored_is_digits(const char *word)
{
    return is_digits(word) ||
           (strncmp(word, prefix, sizeof(prefix) - 1) == 0 && is_digits(word + sizeof(prefix) - 1));
}

/* 1, 0 when there is none, or -EINVAL. */
static int find_digits(const struct cl_catalog *catalog, const char *digits, struct cl_stored *ret,
                       struct cl_error *err)
{
    const struct cl_catalog_image *found = NULL;

    for (size_t i = 0; i < catalog->count; i++) {
        const struct cl_catalog_image *image = &catalog->images[i];

        if (strncmp(image->digest.hex, digits, strlen(digits)) != 0)
            continue;
        if (found != NULL)
            return cl_refuse(err, EINVAL, "%s is the beginning of several images: %.20s, %.20s ...",
                             digits, found->digest.hex, image->digest.hex);
        found = image;
    }
    if (found == NULL)
        return 0;
    *ret = (struct cl_stored){.image = found};
    return 1;
}

/* --- by name ----------------------------------------------------------------------- */

/* One of the image's names, the same in all that REFERENCE says but the digest. */
static int has_such_name(const struct cl_catalog_image *image, const struct cl_reference *reference,
                         int has_tag, struct cl_arena *arena)
{
    struct cl_reference name;
    struct cl_error ignored;

    for (size_t i = 0; i < image->names.count; i++) {
        if (cl_reference_parse(image->names.items[i], NULL, arena, &name, &ignored) == 0 &&
            strcmp(name.domain, reference->domain) == 0 &&
            strcmp(name.repository, reference->repository) == 0 &&
            (!has_tag || (name.tag != NULL && strcmp(name.tag, reference->tag) == 0)))
            return 1;
    }
    return 0;
}

/* 1, or 0 when there is none, or -ENOMEM. */
static int find_name(const struct cl_catalog *catalog, const struct cl_reference *reference,
                     struct cl_arena *arena, struct cl_stored *ret, struct cl_error *err)
{
    const char *text = cl_reference_text(reference, arena);

    if (text == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < catalog->count; i++) {
        const struct cl_strlist *names = &catalog->images[i].names;

        for (size_t j = 0; j < names->count; j++) {
            if (strcmp(names->items[j], text) == 0) {
                *ret = (struct cl_stored){&catalog->images[i], names->items[j]};
                return 1;
            }
        }
    }
    if (!reference->has_digest)
        return 0;
    const struct cl_catalog_image *image = cl_catalog_find(catalog, &reference->digest);
    if (image == NULL || !has_such_name(image, reference, reference->tag != NULL, arena))
        return 0;
    *ret = (struct cl_stored){.image = image};
    return 1;
}

int cl_stored_find(const struct cl_stored_all *all, const char *word, struct cl_arena *arena,
                   struct cl_stored *ret, struct cl_error *err)
{
    const struct cl_catalog *catalog = &all->catalog;
    struct cl_reference reference;
    const char *digits = word;
    struct cl_error failure;
    int r = 0;

    if (strncmp(word, prefix, sizeof(prefix) - 1) == 0) {
        digits = word + sizeof(prefix) - 1;
        if (!is_digits(digits))
            return cl_refuse(err, EINVAL, "%.100s: expected sha256: and %d to %d digits (0-9, a-f)",
                             word, CL_STORED_LEAST_DIGITS, DIGITS);
    } else {
        r = cl_reference_parse(word, all->fallback, arena, &reference, &failure);
        if (r < 0 && !is_digits(word)) { /* 64 digits are no name */
            *err = failure;
            return r;
        }
        r = r < 0 ? 0 : find_name(catalog, &reference, arena, ret, err);
    }
    if (r == 0 && is_digits(digits))
        r = find_digits(catalog, digits, ret, err);
    if (r == 0)
        return refuse_unknown(all, word, arena, err);
    return r < 0 ? r : 0;
}
