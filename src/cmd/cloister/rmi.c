/* rmi: names of images, and images, out of the store.
 *
 * What a word means is looked up, and done, under the lock that pulls and collections take, so
 * that a name can't come or go in between. Layers go at the end, once. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/image_name.h"
#include "cmd/cloister/stored.h"
#include "cmd/cloister/unpack_range.h"
#include "image/collect.h"

enum { ARENA_MAX = 256 << 20, SHOWN_MOST = 3, SHOWN_SIZE = 256 };

struct context {
    int force;
    struct cl_stored_all all;
    struct cl_arena *arena; /* of one word */
    struct cl_buf done;
    int deleted;
};

static const struct cl_option options[] = {
    {"force", 'f', NULL, "with all names; of one in use the names alone", cl_set_flag,
     (int)offsetof(struct context, force), NULL},
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"no-prune", 0, "there is no choice: layers that no image has are of no use"},
    {"all", 'a', "see cloister prune --all"},
    {"platform", 0, "there is no choice: an image is for one platform"},
    {NULL, 0, NULL},
};

/* --- who uses it ---------------------------------------------------------------- */

struct users {
    const struct cl_digest *digest;
    char text[SHOWN_SIZE];
    size_t count;
};

static int visit_one(void *data, struct cl_visit *visit, CL_UNUSED struct cl_error *err)
{
    struct users *users = data;
    const struct cl_plan *plan = visit->plan;
    char digest[CL_DIGEST_TEXT_SIZE];
    const size_t used = strlen(users->text);

    if (!visit->alive || plan == NULL || !cl_plan_has(plan, CL_FIELD_IMAGE_DIGEST) ||
        strcmp(plan->image_digest, cl_digest_format(users->digest, digest)) != 0)
        return 0;
    if (users->count++ < SHOWN_MOST)
        (void)snprintf(users->text + used, sizeof(users->text) - used, "%s%.64s",
                       used == 0 ? "" : ", ",
                       cl_plan_has(plan, CL_FIELD_NAME) ? plan->name : visit->status->id);
    return 0;
}

/* "the sandbox web", or who else it may be: sandboxes of another state directory, a pull. */
static void find_users(const struct cl_digest *digest, char *ret, size_t size)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    struct users users = {.digest = digest};
    struct cl_error ignored = {0};

    if (cl_state_open(&state, &ignored) == 0)
        (void)cl_state_walk(&state, visit_one, &users, &ignored); /* what it found is enough */
    if (users.count == 0)
        (void)snprintf(ret, size, "somebody");
    else if (users.count <= SHOWN_MOST)
        (void)snprintf(ret, size, "the sandbox%s %s", users.count == 1 ? "" : "es", users.text);
    else
        (void)snprintf(ret, size, "the sandboxes %s and %zu more", users.text,
                       users.count - SHOWN_MOST);
}

/* --- doing ---------------------------------------------------------------------- */

static int untag(struct context *context, const char *name, struct cl_error *err)
{
    const char *familiar = cl_image_name_familiar(name, context->all.fallback, context->arena);
    int r = familiar == NULL ? cl_fail_memory(err) : cl_name_drop(&context->all.store, name, err);

    if (r < 0 && r != -ENOENT)
        return r;
    return cl_buf_printf(&context->done, "Untagged: %s\n", familiar) < 0 ? cl_fail_memory(err) : 0;
}

static int untag_all(struct context *context, const struct cl_catalog_image *image,
                     struct cl_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < image->names.count; i++)
        r = untag(context, image->names.items[i], err);
    return r;
}

/* It is in use: its names can go, it can't. */
static int leave(struct context *context, const struct cl_catalog_image *image,
                 struct cl_error *err)
{
    const char *called = cl_stored_call(&context->all, image, context->arena);
    char users[SHOWN_SIZE + 64];

    if (called == NULL)
        return cl_fail_memory(err);
    find_users(&image->digest, users, sizeof(users));
    if (image->names.count == 0)
        return cl_refuse(err, EBUSY, "%.200s is in use by %s: end it first", called, users);
    if (!context->force)
        return cl_refuse(err, EBUSY,
                         "%.200s is in use by %s: end it first, or take the name away with -f, and "
                         "the rest with cloister prune --images when it has ended",
                         called, users);
    int r = untag_all(context, image, err);
    if (r == 0) /* a closed stderr is the caller's wish */
        (void)fprintf(
            stderr,
            "cloister: %s has no name any more and is in use by %s: its layers stay until "
            "that ends, and cloister prune --images\n",
            called, users);
    return r;
}

/* The image goes before its names do: who has only a name then finds nothing (launch.h). */
static int delete_image(struct context *context, const struct cl_catalog_image *image,
                        struct cl_error *err)
{
    int r = cl_image_remove(&context->all.store, &image->digest, err);

    if (r == -EBUSY)
        return leave(context, image, err);
    if (r < 0)
        return r;
    context->deleted = 1;
    r = untag_all(context, image, err);
    if (r < 0)
        return r;
    return cl_buf_printf(&context->done, "Deleted: sha256:%s\n", image->digest.hex) < 0
               ? cl_fail_memory(err)
               : 0;
}

static int refuse_names(const struct context *context, const struct cl_catalog_image *image,
                        const char *word, struct cl_error *err)
{
    char shown[SHOWN_SIZE] = "";
    const size_t count = image->names.count;

    for (size_t i = 0; i < count && i < SHOWN_MOST; i++) {
        const char *familiar =
            cl_image_name_familiar(image->names.items[i], context->all.fallback, context->arena);
        const size_t used = strlen(shown);

        if (familiar == NULL)
            return cl_fail_memory(err);
        (void)snprintf(shown + used, sizeof(shown) - used, "%s%s", i == 0 ? "" : ", ", familiar);
    }
    return cl_refuse(err, EINVAL, "%.80s has %zu names (%s%s): remove them by name, or all with -f",
                     word, count, shown, count > SHOWN_MOST ? ", ..." : "");
}

static int do_word(struct context *context, const char *word, struct cl_error *err)
{
    struct cl_stored found = {0};
    int r = cl_stored_read(&context->all, context->arena, err);

    if (r == 0)
        r = cl_stored_find(&context->all, word, context->arena, &found, err);
    if (r < 0)
        return r;
    CL_ASSERT(found.image != NULL);
    if (found.image->names.count <= 1)
        return delete_image(context, found.image, err);
    if (found.name != NULL)
        return untag(context, found.name, err);
    return context->force ? delete_image(context, found.image, err)
                          : refuse_names(context, found.image, word, err);
}

static int remove_word(struct context *context, const char *word, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_FD int lock = -1;

    const struct cl_store *store = &context->all.store;

    if (store->dir >= 0) {
        lock = cl_store_lock(store, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE | CL_LOCK_WAIT);
        if (lock < 0)
            return cl_fail(err, lock, "lock %s", store->path);
    }
    context->arena = &arena;
    return do_word(context, word, err);
}

static int collect(const struct context *context, const struct cl_unpack_range *range,
                   struct cl_error *err)
{
    const struct cl_collect_how how = {.uid_base = range->base, .budget_bytes = UINT64_MAX};
    struct cl_collected ignored;

    return context->deleted ? cl_collect(&context->all.store, &how, &ignored, err) : 0;
}

/* All are tried; the first failure is told. */
static int remove_all(struct context *context, int count, char *const words[], struct cl_error *err)
{
    CL_CLEANUP_UNPACK_RANGE struct cl_unpack_range range = CL_UNPACK_RANGE_INIT;
    struct cl_error first = {0};
    struct cl_error failure = {0};
    int r = cl_unpack_range_take(&range, err);

    if (r < 0)
        return r;
    for (int i = 0; i < count; i++) {
        if (remove_word(context, words[i], &failure) < 0 && first.code == 0)
            first = failure;
    }
    if (collect(context, &range, &failure) < 0 && first.code == 0)
        first = failure;
    r = cl_print(&context->done, err);
    if (r < 0 || first.code == 0)
        return r;
    *err = first;
    return -first.code;
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct context context = {.all = CL_STORED_ALL_INIT, .done = CL_BUF_INIT(CL_OUTPUT_MAX)};
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (first >= argc)
        return cl_refuse(err, EINVAL, "rmi: no image named; see cloister images");
    int r = cl_stored_open(&arena, &context.all, err);
    if (r == 0)
        r = remove_all(&context, argc - first, argv + first, err);
    cl_stored_done(&context.all);
    cl_buf_done(&context.done);
    return r;
}

const struct cl_command cl_command_rmi = {
    .name = "rmi",
    .usage = "[OPTIONS] IMAGE...",
    .help = "Remove images, or names of them, from the store",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
    .operands = "@stored",
};
