#include "helpers/image/saved.h"

#include <errno.h>
#include <string.h>

#include "helpers/common/json_decode.h"
#include "helpers/image/names.h"
#include "oci/quote.h"

enum { NAME_MAX_BYTES = 4095, MAX_TAGS = 4096 };

struct saved {
    const char *config;
    struct cl_strlist layers;
    struct cl_strlist tags;
};

#define THIS saved
static const struct cl_decode_field saved_fields[] = {
    CL_DECODE_ROW("Config", TEXT, config, NAME_MAX_BYTES),
    CL_DECODE_ROW("Layers", TEXTS, layers, CL_MAX_LAYERS),
    CL_DECODE_ROW("RepoTags", TEXTS, tags, MAX_TAGS),
};
static const struct cl_decode_shape saved_shape = CL_DECODE_SHAPE(saved_fields, CL_DECODE_OPEN);
#undef THIS

typedef int (*is_meant_fn)(const char *name, const char *tag);

static int has_tag(const struct saved *image, const char *tag, is_meant_fn is_meant)
{
    for (size_t i = 0; i < image->tags.count; i++) {
        if (is_meant(image->tags.items[i], tag))
            return 1;
    }
    return 0;
}

/* How many are meant, and the first of them. */
static size_t count_tagged(const struct saved *images, size_t count, const char *tag,
                           is_meant_fn is_meant, size_t *ret_first)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        if (!has_tag(&images[i], tag, is_meant))
            continue;
        if (found++ == 0)
            *ret_first = i;
    }
    return found;
}

static struct cl_names tags_of(const struct saved *images, size_t count)
{
    struct cl_names names = {.count = 0};

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < images[i].tags.count; j++)
            cl_names_add(&names, images[i].tags.items[j]);
    }
    return names;
}

static int choose_tagged(const struct saved *images, size_t count, const char *tag, size_t *ret,
                         struct cl_error *err)
{
    const struct cl_names names = tags_of(images, count);
    char quoted[CL_QUOTE_SIZE];
    size_t found = count_tagged(images, count, tag, cl_name_is, ret);

    if (found == 0)
        found = count_tagged(images, count, tag, cl_name_has_tag, ret);
    if (found == 1)
        return 0;
    return cl_refuse(err, found == 0 ? ENOENT : EINVAL, "%s the tag \"%s\"; there %s %s",
                     found == 0 ? "no image has" : "several images have", cl_quote(tag, quoted),
                     names.count == 1 ? "is" : "are", names.count == 0 ? "no tags" : names.text);
}

static int choose(const struct saved *images, size_t count, const char *tag, size_t *ret,
                  struct cl_error *err)
{
    if (count == 0)
        return cl_refuse(err, ENOENT, "the archive has no image");
    if (tag != NULL)
        return choose_tagged(images, count, tag, ret, err);
    const struct cl_names names = tags_of(images, count);
    if (count > 1)
        return cl_refuse(err, EINVAL, "%zu images; name one of them: there %s %s", count,
                         names.count == 1 ? "is" : "are",
                         names.count == 0 ? "no tags" : names.text);
    *ret = 0;
    return 0;
}

/* As members of the archive are named: parts with slashes between, none of them ".", ".." or
 * nothing. */
static int check_name(const char *name, struct cl_error *err)
{
    const char *part = name;
    char quoted[CL_QUOTE_SIZE];

    for (;;) {
        size_t size = strcspn(part, "/");

        if (size == 0 || (size == 1 && part[0] == '.') ||
            (size == 2 && part[0] == '.' && part[1] == '.'))
            return cl_refuse(err, EINVAL, "expected a plain relative path, got \"%s\"",
                             cl_quote(name, quoted));
        if (part[size] == '\0')
            return strlen(name) <= NAME_MAX_BYTES
                       ? 0
                       : cl_refuse(err, ENAMETOOLONG, "more than %d bytes", NAME_MAX_BYTES);
        part += size + 1;
    }
}

static int check_image(const struct saved *image, struct cl_error *err)
{
    if (image->config == NULL)
        return cl_refuse(err, EINVAL, "Config is missing");
    if (check_name(image->config, err) < 0)
        return cl_prefix(err, "Config");
    for (size_t i = 0; i < image->layers.count; i++) {
        if (check_name(image->layers.items[i], err) < 0)
            return cl_prefix(err, "Layers[%zu]", i);
    }
    return 0;
}

static int take(const struct cl_decode_list *list, const char *tag, struct cl_saved_record *ret,
                struct cl_error *err)
{
    const struct saved *images = list->items;
    size_t index = 0;
    int r = choose(images, list->count, tag, &index, err);

    if (r < 0)
        return r;
    r = check_image(&images[index], err);
    if (r < 0)
        return cl_prefix(err, "[%zu]", index);
    *ret = (struct cl_saved_record){
        .set = CL_RECORD_BIT(CL_SAVED_CONFIG) | CL_RECORD_BIT(CL_SAVED_LAYERS) |
               CL_RECORD_BIT(CL_SAVED_TAGS),
        .config = images[index].config,
        .layers = images[index].layers,
        .tags = images[index].tags,
    };
    return 0;
}

int cl_saved_choose(const struct cl_document *document, const char *tag, struct cl_arena *arena,
                    struct cl_saved_record *ret, struct cl_error *err)
{
    struct cl_decode_list list = {.items = NULL};
    int r = cl_decode_array(&saved_shape, document, arena, &list, err);

    if (r < 0)
        return r;
    r = take(&list, tag, ret, err);
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(document->name)) : 0;
}
