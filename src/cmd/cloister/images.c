/* images: what is in the store.
 *
 * The id is the beginning of the manifest's digest, and not of the config's as Docker has it:
 * it is what `pull` prints, what NAME@DIGEST names and what every command here takes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/date.h"
#include "base/num.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/describe_image.h"
#include "cmd/cloister/image_name.h"
#include "cmd/cloister/stored.h"
#include "cmd/cloister/table.h"

enum { ARENA_MAX = 256 << 20, ID_SIZE = CL_DIGEST_TEXT_SIZE };

static const char nothing[] = "<none>";

struct context {
    int all; /* Docker's word for layers that builds leave: there are none here */
    int quiet;
    int digests;
    int no_trunc;
    int names; /* for completion: familiar names, one a line */
    int format_json;
    struct cl_arena *arena;
    struct cl_stored_all stored;
    struct cl_reference wanted; /* what is listed; its domain is NULL: all */
    int wanted_tag;
    struct cl_table table;
    struct cl_json json;
    struct cl_buf buf;
    int64_t now_s;
};

static const struct cl_option options[] = {
    {"quiet", 'q', NULL, "ids alone", cl_set_flag, (int)offsetof(struct context, quiet), NULL},
    {"digests", 0, NULL, "also whole digests", cl_set_flag, (int)offsetof(struct context, digests),
     NULL},
    {"no-trunc", 0, NULL, "ids are whole digests", cl_set_flag,
     (int)offsetof(struct context, no_trunc), NULL},
    {"all", 'a', NULL, "all images (always so)", cl_set_flag, (int)offsetof(struct context, all),
     NULL},
    {"names", 0, NULL, NULL, cl_set_flag, (int)offsetof(struct context, names), NULL},
    CL_OPTION_FORMAT(struct context),
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"json", 0, "say --format json"},
    {"filter", 'f', "not built yet; name a repository, or see --format json"},
    {"tree", 0, "there is none: an index's other platforms are not kept"},
    {NULL, 0, NULL},
};

/* --- which --------------------------------------------------------------------- */

/* What WORD, a name with or without a tag and a digest, leaves. */
static int set_wanted(struct context *context, const char *word, struct cl_error *err)
{
    int r =
        cl_reference_parse(word, context->stored.fallback, context->arena, &context->wanted, err);

    context->wanted_tag = cl_image_name_has_tag(word);
    return r;
}

/* Whether NAME (NULL: none) of IMAGE is listed. */
static int is_wanted(const struct context *context, const struct cl_catalog_image *image,
                     const char *name)
{
    const struct cl_reference *wanted = &context->wanted;
    struct cl_reference reference;
    struct cl_error ignored;

    if (wanted->domain == NULL)
        return 1;
    if (name == NULL || cl_reference_parse(name, NULL, context->arena, &reference, &ignored) < 0 ||
        strcmp(reference.domain, wanted->domain) != 0 ||
        strcmp(reference.repository, wanted->repository) != 0)
        return 0;
    if (wanted->has_digest && !cl_digest_equal(&wanted->digest, &image->digest))
        return 0;
    return !context->wanted_tag ||
           (reference.tag != NULL && strcmp(reference.tag, wanted->tag) == 0);
}

static int has_wanted(const struct context *context, const struct cl_catalog_image *image)
{
    if (context->wanted.domain == NULL)
        return 1;
    for (size_t i = 0; i < image->names.count; i++) {
        if (is_wanted(context, image, image->names.items[i]))
            return 1;
    }
    return 0;
}

/* --- a table ------------------------------------------------------------------- */

static const char *id_of(const struct context *context, const struct cl_catalog_image *image,
                         char ret[ID_SIZE])
{
    if (context->no_trunc)
        return cl_digest_format(&image->digest, ret);
    (void)snprintf(ret, ID_SIZE, "%.*s", CL_STORED_SHORT_DIGITS, image->digest.hex);
    return ret;
}

/* What builders that want the same bytes each time write for no date is none. */
static void format_created(const struct context *context, const struct cl_catalog_image *image,
                           char ret[CL_DATE_AGO_SIZE])
{
    const char *created = image->record.created;
    int64_t created_s;

    if (image->record.set == 0)
        (void)snprintf(ret, CL_DATE_AGO_SIZE, "damaged");
    else if (cl_date_parse(created, &created_s) < 0 || created_s <= 0)
        (void)snprintf(ret, CL_DATE_AGO_SIZE, "-");
    else
        (void)cl_date_ago(context->now_s, created_s, ret);
}

static int add_row(struct context *context, const struct cl_catalog_image *image, const char *name)
{
    struct cl_image_name_parts parts = {nothing, NULL};
    char id[ID_SIZE];
    char digest[CL_DIGEST_TEXT_SIZE];
    char created[CL_DATE_AGO_SIZE];
    char used[CL_DATE_AGO_SIZE];
    char size[CL_SIZE_TEXT];
    char own[CL_SIZE_TEXT];
    const char *cells[CL_TABLE_COLUMNS];
    size_t count = 0;

    if (name != NULL &&
        cl_image_name_split(name, context->stored.fallback, context->arena, &parts) < 0)
        return -ENOMEM;
    format_created(context, image, created);
    cells[count++] = parts.repository;
    cells[count++] = parts.tag == NULL ? nothing : parts.tag;
    if (context->digests)
        cells[count++] = cl_digest_format(&image->digest, digest);
    cells[count++] = id_of(context, image, id);
    cells[count++] = created;
    cells[count++] = cl_date_ago(context->now_s, (int64_t)image->used_s, used);
    cells[count++] = cl_size_about(image->size_bytes, size);
    cells[count++] = cl_size_about(image->own_bytes, own);
    CL_ASSERT(count == context->table.columns);
    return cl_table_add(&context->table, cells);
}

static int add_rows(struct context *context, const struct cl_catalog_image *image)
{
    int r = 0;

    if (image->names.count == 0)
        return is_wanted(context, image, NULL) ? add_row(context, image, NULL) : 0;
    for (size_t i = 0; r == 0 && i < image->names.count; i++) {
        if (is_wanted(context, image, image->names.items[i]))
            r = add_row(context, image, image->names.items[i]);
    }
    return r;
}

static int write_table(struct context *context, const struct cl_catalog *catalog)
{
    static const char *const head[] = {"REPOSITORY", "TAG", "ID", "CREATED", "USED", "SIZE", "OWN"};
    static const char *const head_with_digests[] = {"REPOSITORY", "TAG",  "DIGEST", "ID",
                                                    "CREATED",    "USED", "SIZE",   "OWN"};

    context->table = (struct cl_table){.arena = context->arena,
                                       .columns = CL_ARRAY_SIZE(head) + (context->digests ? 1 : 0)};
    int r = cl_table_add(&context->table, context->digests ? head_with_digests : head);
    for (size_t i = 0; r == 0 && i < catalog->count; i++)
        r = add_rows(context, &catalog->images[i]);
    return r < 0 ? r : cl_table_write(&context->table, &context->buf);
}

/* --- the others ---------------------------------------------------------------- */

static int write_words(struct context *context, const struct cl_catalog *catalog)
{
    char id[ID_SIZE];
    int r = 0;

    for (size_t i = 0; r == 0 && i < catalog->count; i++) {
        const struct cl_catalog_image *image = &catalog->images[i];

        if (!context->names && has_wanted(context, image))
            r = cl_buf_printf(&context->buf, "%s\n", id_of(context, image, id));
        for (size_t j = 0; r == 0 && context->names && j < image->names.count; j++) {
            const char *familiar = cl_image_name_familiar(image->names.items[j],
                                                          context->stored.fallback, context->arena);

            r = familiar == NULL ? -ENOMEM : cl_buf_printf(&context->buf, "%s\n", familiar);
        }
    }
    return r;
}

static int write_json(struct context *context, const struct cl_catalog *catalog)
{
    cl_json_begin(&context->json, &context->buf, 1);
    cl_json_array(&context->json, NULL);
    for (size_t i = 0; i < catalog->count; i++) {
        if (!has_wanted(context, &catalog->images[i]))
            continue;
        cl_json_object(&context->json, NULL);
        cl_describe_image(&context->json, &catalog->images[i]);
        cl_json_close(&context->json, '}');
    }
    cl_json_close(&context->json, ']');
    return cl_json_end(&context->json);
}

static int list(struct context *context, const char *word, struct cl_error *err)
{
    const struct cl_catalog *catalog = &context->stored.catalog;
    int r = cl_stored_open(context->arena, &context->stored, err);

    if (r == 0 && word != NULL)
        r = set_wanted(context, word, err);
    if (r == 0)
        r = cl_stored_read(&context->stored, context->arena, err);
    if (r < 0)
        return r;
    if (context->quiet || context->names)
        r = write_words(context, catalog);
    else if (context->format_json)
        r = write_json(context, catalog);
    else
        r = write_table(context, catalog);
    return r < 0 ? cl_fail_memory(err) : cl_print(&context->buf, err);
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct context context = {
        .arena = &arena, .stored = CL_STORED_ALL_INIT, .buf = CL_BUF_INIT(CL_OUTPUT_MAX)};
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (argc - first > 1)
        return cl_refuse(err, EINVAL, "images takes one name, got also \"%.100s\"",
                         argv[first + 1]);
    context.now_s = (int64_t)(cl_clock_wall_ns() / CL_NS_PER_S);
    int r = list(&context, argv[first], err); /* the list of words ends with NULL */
    cl_stored_done(&context.stored);
    cl_buf_done(&context.buf);
    return r;
}

const struct cl_command cl_command_images = {
    .name = "images",
    .usage = "[OPTIONS] [NAME]",
    .help = "List the images in the store",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
    .operands = "@stored",
};
