#include "helpers/image/index.h"

#include <errno.h>
#include <string.h>

#include "helpers/image/media_type.h"
#include "helpers/image/names.h"
#include "oci/quote.h"

/* Descriptors that may be chosen, in the index's order. */
struct candidates {
    const struct cl_descriptor **items;
    size_t count;
};

static int is_word(const char *text, const char *word)
{
    return text != NULL && strcmp(text, word) == 0;
}

/* What BuildKit attaches: vnd.docker.reference.type is "attestation-manifest". */
static int is_attestation(const struct cl_descriptor *descriptor)
{
    const struct cl_platform *platform = descriptor->platform;

    return cl_descriptor_annotation(descriptor, "vnd.docker.reference.type") != NULL ||
           (platform != NULL && is_word(platform->os, "unknown") &&
            is_word(platform->architecture, "unknown"));
}

/* Artifacts are no images, but WebAssembly modules are run, too. Their writers call them by the
 * config's media type, by the layer's, and by "application/vnd.wasm.module.v1+wasm" and its kin. */
static int is_other_artifact(const struct cl_descriptor *descriptor)
{
    const char *type = descriptor->artifact_type;

    return type != NULL && strcmp(type, "application/wasm") != 0 &&
           strncmp(type, "application/vnd.wasm.", strlen("application/vnd.wasm.")) != 0;
}

/* Whether an image can be behind it. Media types that nobody knows must be ignored
 * (image-index.md, "manifests"). */
static int may_be_image(const struct cl_descriptor *descriptor)
{
    if (descriptor->media_type == NULL)
        return 1; /* refused when it is chosen */
    const struct cl_media_type type = cl_media_type_find(descriptor->media_type);
    int is_manifest = type.kind == CL_MEDIA_IMAGE || type.kind == CL_MEDIA_INDEX ||
                      type.kind == CL_MEDIA_SCHEMA_1;

    return is_manifest && !is_other_artifact(descriptor) && !is_attestation(descriptor);
}

static int find_candidates(const struct cl_manifest_doc *doc, struct cl_arena *arena,
                           struct candidates *ret, struct cl_error *err)
{
    const struct cl_descriptor *all = doc->manifests.items;
    struct candidates found = {
        cl_arena_array(arena, doc->manifests.count, sizeof(const struct cl_descriptor *)), 0};

    if (found.items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < doc->manifests.count; i++) {
        if (may_be_image(&all[i]))
            found.items[found.count++] = &all[i];
    }
    if (found.count == 0)
        return cl_refuse(err, ENOENT, "there is no image in this index%s",
                         doc->manifests.count == 0 ? "" : ", only attestations and artifacts");
    *ret = found;
    return 0;
}

/* --- by platform ------------------------------------------------------------- */

static int refuse_platform(const struct candidates *candidates, const char *wanted,
                           struct cl_arena *arena, struct cl_error *err)
{
    struct cl_names names = {.count = 0};

    for (size_t i = 0; i < candidates->count; i++) {
        const struct cl_platform *platform = candidates->items[i]->platform;
        const char *text = platform == NULL ? NULL : cl_platform_text(platform, arena);

        if (platform != NULL && text == NULL)
            return cl_fail_memory(err);
        if (text != NULL)
            cl_names_add(&names, text);
    }
    if (names.count == 0)
        return cl_refuse(err, ENOENT,
                         "%zu manifests and no platform of any; name one by its digest",
                         candidates->count);
    return cl_refuse(err, ENOENT, "the image has %s, not %s", names.text, wanted);
}

/* What runs on every machine: the first module that is no component, else the first of all. */
static const struct cl_descriptor *find_module(const struct candidates *candidates)
{
    const struct cl_descriptor *found = NULL;

    for (size_t i = 0; i < candidates->count; i++) {
        const struct cl_platform *platform = candidates->items[i]->platform;

        if (platform == NULL || !is_word(platform->architecture, "wasm"))
            continue;
        if (!is_word(platform->os, "wasip2"))
            return candidates->items[i];
        if (found == NULL)
            found = candidates->items[i];
    }
    return found;
}

static int choose_platform(const struct candidates *candidates, const char *text,
                           struct cl_arena *arena, const struct cl_descriptor **ret,
                           struct cl_error *err)
{
    struct cl_platform wanted = {0};
    int r = cl_platform_parse(text, arena, &wanted, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < candidates->count; i++) {
        const struct cl_platform *offered = candidates->items[i]->platform;

        if (offered == NULL ? candidates->count == 1 : cl_platform_matches(&wanted, offered)) {
            *ret = candidates->items[i];
            return 0;
        }
    }
    *ret = find_module(candidates);
    return *ret == NULL ? refuse_platform(candidates, text, arena, err) : 0;
}

int cl_index_choose(const struct cl_manifest_doc *doc, const char *platform, struct cl_arena *arena,
                    const struct cl_descriptor **ret, struct cl_error *err)
{
    struct candidates candidates = {0};
    int r = find_candidates(doc, arena, &candidates, err);

    return r < 0 ? r : choose_platform(&candidates, platform, arena, ret, err);
}

/* --- by tag -------------------------------------------------------------------- */

/* The short name that the specification has, or the whole one that containerd adds. */
static const char *short_name(const struct cl_descriptor *descriptor)
{
    return cl_descriptor_annotation(descriptor, "org.opencontainers.image.ref.name");
}

static const char *whole_name(const struct cl_descriptor *descriptor)
{
    return cl_descriptor_annotation(descriptor, "io.containerd.image.name");
}

const char *cl_index_name(const struct cl_descriptor *descriptor)
{
    const char *whole = whole_name(descriptor);

    return whole != NULL ? whole : short_name(descriptor);
}

typedef int (*is_meant_fn)(const char *name, const char *tag);

static int has_tag(const struct cl_descriptor *descriptor, const char *tag, is_meant_fn is_meant)
{
    return is_meant(short_name(descriptor), tag) || is_meant(whole_name(descriptor), tag);
}

static void list_names(const struct candidates *candidates, struct cl_names *names)
{
    for (size_t i = 0; i < candidates->count; i++) {
        const char *name = cl_index_name(candidates->items[i]);

        if (name != NULL)
            cl_names_add(names, name);
    }
}

static size_t keep(struct candidates *candidates, const char *tag, is_meant_fn is_meant)
{
    size_t kept = 0;

    for (size_t i = 0; i < candidates->count; i++) {
        if (has_tag(candidates->items[i], tag, is_meant))
            candidates->items[kept++] = candidates->items[i];
    }
    return kept;
}

/* Leaves those with TAG; those that have it as their whole name count more. */
static int keep_tagged(struct candidates *candidates, const char *tag, struct cl_error *err)
{
    struct cl_names names = {.count = 0};
    char quoted[CL_QUOTE_SIZE];

    list_names(candidates, &names);
    size_t kept = keep(candidates, tag, cl_name_is);
    if (kept == 0)
        kept = keep(candidates, tag, cl_name_has_tag);
    if (kept == 0)
        return cl_refuse(err, ENOENT, "no image has the tag \"%s\"; there %s %s",
                         cl_quote(tag, quoted), names.count == 1 ? "is" : "are",
                         names.count == 0 ? "no tags" : names.text);
    candidates->count = kept;
    return 0;
}

static int is_twin(const struct candidates *candidates, size_t count,
                   const struct cl_descriptor *one)
{
    for (size_t i = 0; one->digest != NULL && i < count; i++) {
        if (is_word(candidates->items[i]->digest, one->digest))
            return 1;
    }
    return 0;
}

/* An image that has several names stands there once for each: the first is as good as all. */
static void drop_twins(struct candidates *candidates)
{
    size_t kept = 0;

    for (size_t i = 0; i < candidates->count; i++) {
        if (!is_twin(candidates, kept, candidates->items[i]))
            candidates->items[kept++] = candidates->items[i];
    }
    candidates->count = kept;
}

/* Several with one name, or none, are one image for several platforms. */
static int refuse_several(const struct candidates *candidates, struct cl_error *err)
{
    const char *first = cl_index_name(candidates->items[0]);
    struct cl_names names = {.count = 0};
    int differ = 0;

    for (size_t i = 1; i < candidates->count; i++) {
        const char *name = cl_index_name(candidates->items[i]);

        differ |= (name == NULL) != (first == NULL) || (name != NULL && strcmp(name, first) != 0);
    }
    if (!differ)
        return 0;
    list_names(candidates, &names);
    return cl_refuse(err, EINVAL, "several images; name one of %s", names.text);
}

int cl_index_choose_tagged(const struct cl_manifest_doc *doc,
                           const struct cl_manifest_request *request, struct cl_arena *arena,
                           const struct cl_descriptor **ret, struct cl_error *err)
{
    struct candidates candidates = {0};
    int r = find_candidates(doc, arena, &candidates, err);

    if (r == 0 && request->tag != NULL)
        r = keep_tagged(&candidates, request->tag, err);
    if (r == 0) {
        drop_twins(&candidates);
        r = refuse_several(&candidates, err);
    }
    return r < 0 ? r : choose_platform(&candidates, request->platform, arena, ret, err);
}
