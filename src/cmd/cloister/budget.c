#include "cmd/cloister/budget.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cmd/cloister/image_name.h"
#include "cmd/cloister/stored.h"
#include "image/collect.h"

enum { ARENA_MAX = 256 << 20, SHOWN_MOST = 3 };

/* "debian:12, 0123456789ab and 4 more": those of BEFORE that are not in AFTER, in the order in
 * which they were removed. */
static int add_removed(const struct cl_budget *budget, const struct cl_stored_all *before,
                       const struct cl_catalog *after, struct cl_arena *arena, struct cl_buf *buf)
{
    size_t count = 0;
    int r = 0;

    for (size_t i = before->catalog.count; r == 0 && i-- > 0;) {
        const struct cl_catalog_image *image = &before->catalog.images[i];

        if (cl_catalog_find(after, &image->digest) != NULL ||
            cl_digest_equal(&image->digest, &budget->image->digest) || count++ >= SHOWN_MOST)
            continue;
        const char *called = cl_stored_call(before, image, arena);
        r = called == NULL ? -ENOMEM
                           : cl_buf_printf(buf, "%s%.200s", count == 1 ? ": " : ", ", called);
    }
    if (r == 0 && count > SHOWN_MOST)
        r = cl_buf_printf(buf, " and %zu more", count - SHOWN_MOST);
    return r;
}

/* Why what is left takes more than the budget: what is pulled, what is in use, or what other
 * pulls are about to use. */
static int add_reason(const struct cl_budget *budget, const struct cl_collected *collected,
                      const struct cl_catalog *after, struct cl_buf *buf)
{
    const struct cl_catalog_image *image = cl_catalog_find(after, &budget->image->digest);
    const int is_large = image != NULL && image->size_bytes > budget->bytes;
    char size[CL_SIZE_TEXT];
    int r = 0;

    if (!is_large && collected->busy == 0)
        return cl_buf_add_str(buf, "other pulls are about to use what is left");
    if (is_large)
        r = cl_buf_printf(buf, "%.200s alone takes %s", budget->called,
                          cl_size_about(image->size_bytes, size));
    if (r < 0 || collected->busy == 0)
        return r;
    return cl_buf_printf(buf, "%s%" PRIu64 " image%s in use", is_large ? ", and " : "",
                         collected->busy, collected->busy == 1 ? " is" : "s are");
}

static int say(const struct cl_budget *budget, const struct cl_stored_all *before,
               const struct cl_collected *collected, struct cl_arena *arena, struct cl_buf *buf)
{
    struct cl_catalog after = {0};
    struct cl_error ignored = {0};
    char size[CL_SIZE_TEXT];
    uint64_t usage = 0;
    int r = cl_catalog_read(budget->store, arena, &after, &ignored);

    if (r == 0)
        r = cl_store_usage(budget->store, &usage, &ignored);
    if (r == 0 && collected->images > 0) {
        r = cl_buf_printf(buf, "cloister: removed %" PRIu64 " image%s to keep the store within %s",
                          collected->images, collected->images == 1 ? "" : "s",
                          cl_size_text(budget->bytes, size));
        if (r == 0)
            r = add_removed(budget, before, &after, arena, buf);
        if (r == 0)
            r = cl_buf_add(buf, "\n", 1);
    }
    if (r < 0 || usage <= budget->bytes)
        return r;
    r = cl_buf_printf(buf, "cloister: the store takes %s, ", cl_size_about(usage, size));
    if (r == 0)
        r = cl_buf_printf(buf, "more than its budget of %s: ", cl_size_text(budget->bytes, size));
    if (r == 0)
        r = add_reason(budget, collected, &after, buf);
    return r < 0 ? r : cl_buf_add(buf, "\n", 1);
}

void cl_budget_keep(const struct cl_budget *budget)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    struct cl_stored_all before = {.store = CL_STORE_INIT, .fallback = budget->fallback};
    char text[CL_DIGEST_TEXT_SIZE];
    const struct cl_collect_how how = {
        .uid_base = budget->uid_base,
        .budget_bytes = budget->bytes,
        .keep_digest = cl_digest_format(&budget->image->digest, text),
    };
    struct cl_collected collected = {0};
    struct cl_error err = {0};
    int r = budget->is_quiet ? 0 : cl_catalog_read(budget->store, &arena, &before.catalog, &err);

    if (r == 0)
        r = cl_collect(budget->store, &how, &collected, &err);
    /* a closed stderr is the caller's wish, here and below */
    if (r < 0)
        (void)fprintf(stderr, "cloister: can't keep the store within %s: %s\n",
                      cl_size_text(budget->bytes, text), err.msg);
    else if (!budget->is_quiet && say(budget, &before, &collected, &arena, &buf) == 0)
        (void)fputs(cl_buf_text(&buf), stderr);
}

void cl_budget_keep_after_failure(const struct cl_store *store, uint64_t bytes, uint32_t uid_base)
{
    const struct cl_collect_how how = {.uid_base = uid_base, .budget_bytes = bytes};
    struct cl_collected collected;
    struct cl_error ignored = {0};
    uint64_t usage = 0;

    if (cl_store_usage(store, &usage, &ignored) == 0 && usage > bytes)
        (void)cl_collect(store, &how, &collected, &ignored); /* the next pull tries again */
}
