#include "helpers/image/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "helpers/image/index.h"
#include "helpers/image/manifest_doc.h"
#include "helpers/image/media_type.h"
#include "oci/quote.h"

enum { NAME_MOST = 4095 }; /* what a record has room for */

/* --- what the document is -------------------------------------------------------- */

static int is_image(const struct cl_manifest_doc *doc)
{
    return doc->config != NULL || doc->layers.items != NULL;
}

static int is_index(const struct cl_manifest_doc *doc)
{
    return doc->manifests.items != NULL;
}

static int check_version(const struct cl_manifest_doc *doc, const char *said, struct cl_error *err)
{
    if ((doc->schema_version.present && doc->schema_version.value == 1) ||
        (said != NULL && cl_media_type_find(said).kind == CL_MEDIA_SCHEMA_1) ||
        (doc->media_type != NULL && cl_media_type_find(doc->media_type).kind == CL_MEDIA_SCHEMA_1))
        return cl_media_type_refuse_schema_1(err);
    if (!doc->schema_version.present)
        return cl_refuse(err, EINVAL, "schemaVersion is missing");
    if (doc->schema_version.value != 2)
        return cl_refuse(err, ENOTSUP, "schemaVersion: expected 2, got %" PRIu64,
                         doc->schema_version.value);
    return 0;
}

/* The media type that is said from outside, by the document, or by its members alone. */
static int find_type(const struct cl_manifest_doc *doc, const char *said, struct cl_media_type *ret,
                     struct cl_error *err)
{
    const char *own = doc->media_type;
    char quoted_said[CL_QUOTE_SIZE];
    char quoted_own[CL_QUOTE_SIZE];

    if (said != NULL && own != NULL && strcmp(said, own) != 0)
        return cl_refuse(err, EINVAL, "it came as \"%s\" and calls itself \"%s\"",
                         cl_quote(said, quoted_said), cl_quote(own, quoted_own));
    if (said != NULL || own != NULL)
        *ret = cl_media_type_find(said != NULL ? said : own);
    else if (is_image(doc) || is_index(doc))
        *ret = cl_media_type_find(is_index(doc) ? CL_MEDIA_OCI_INDEX : CL_MEDIA_OCI_IMAGE);
    else
        return cl_refuse(err, EINVAL,
                         "neither an image's manifest nor an index: it has no config, "
                         "no layers and no manifests");
    if (ret->kind == CL_MEDIA_IMAGE || ret->kind == CL_MEDIA_INDEX)
        return 0;
    return cl_media_type_refuse(ret, "manifest or index", err);
}

static int check_members(const struct cl_manifest_doc *doc, const struct cl_media_type *type,
                         struct cl_error *err)
{
    static const char refused[] = "documents that can be read as two things are refused "
                                  "(CVE-2021-41190)";

    if (doc->has_fs_layers && (is_image(doc) || is_index(doc)))
        return cl_refuse(err, EINVAL, "both a manifest of schema 1 and of schema 2; %s", refused);
    if (is_image(doc) && is_index(doc))
        return cl_refuse(err, EINVAL, "both an image (\"%s\") and an index (\"manifests\"); %s",
                         doc->layers.items != NULL ? "layers" : "config", refused);
    if (type->kind == CL_MEDIA_IMAGE && (is_index(doc) || doc->has_fs_layers))
        return cl_refuse(err, EINVAL, "an image by its media type, %s by its content; %s",
                         is_index(doc) ? "an index" : "of schema 1", refused);
    if (type->kind == CL_MEDIA_INDEX && (is_image(doc) || doc->has_fs_layers))
        return cl_refuse(err, EINVAL, "an index by its media type, an image by its content; %s",
                         refused);
    return 0;
}

static int judge(const struct cl_manifest_doc *doc, const char *said, struct cl_media_type *ret,
                 struct cl_error *err)
{
    int r = check_version(doc, said, err);

    if (r == 0)
        r = find_type(doc, said, ret, err);
    return r < 0 ? r : check_members(doc, ret, err);
}

/* --- images ------------------------------------------------------------------------ */

static int refuse_layer(const struct cl_media_type *type, int is_modules, struct cl_error *err)
{
    if (type->kind == CL_MEDIA_MODULE)
        return cl_refuse(err, EINVAL,
                         "a WebAssembly module among layers of files; the config of one alone is "
                         "a \"" CL_MODULE_CONFIG_TYPE "\"");
    return cl_media_type_refuse(type, is_modules ? "module" : "layer", err);
}

/* Of files, or a module's. */
static int take_layer(const struct cl_descriptor *descriptor, int is_modules,
                      struct cl_manifest_layer *ret, struct cl_error *err)
{
    int r = cl_descriptor_check(descriptor, err);

    if (r < 0)
        return r;
    const struct cl_media_type type = cl_media_type_find(descriptor->media_type);
    if (type.kind != (is_modules ? CL_MEDIA_MODULE : CL_MEDIA_LAYER))
        return refuse_layer(&type, is_modules, err);
    *ret = (struct cl_manifest_layer){
        .digest = descriptor->digest,
        .size_bytes = descriptor->size.value,
        .compression = type.compression,
    };
    return 0;
}

/* Of what isn't an image the first word that says what it is. RET is the config's kind. */
static int check_config(const struct cl_manifest_doc *doc, enum cl_media_kind *ret,
                        struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];

    if (doc->config == NULL)
        return cl_refuse(err, EINVAL, "config is missing");
    int r = cl_descriptor_check(doc->config, err);
    if (r < 0)
        return cl_prefix(err, "config");
    const struct cl_media_type type = cl_media_type_find(doc->config->media_type);
    *ret = type.kind;
    if (type.kind == CL_MEDIA_CONFIG || type.kind == CL_MEDIA_MODULE_CONFIG)
        return 0;
    if (doc->artifact_type != NULL)
        return cl_refuse(err, ENOTSUP, "not a container image but an artifact of type \"%s\"",
                         cl_quote(doc->artifact_type, quoted));
    return cl_media_type_refuse(&type, "config", err);
}

/* What crun reads of it: "compat" makes the command a module; "compat-smart" too, if it is one. */
static int is_of_module(const struct cl_manifest_doc *doc)
{
    const char *variant = cl_manifest_doc_annotation(doc, "module.wasm.image/variant");

    return variant != NULL &&
           (strcmp(variant, "compat") == 0 || strcmp(variant, "compat-smart") == 0);
}

static void set_payload(struct cl_manifest_record *record, enum cl_payload payload)
{
    record->payload = payload;
    record->set |= CL_RECORD_BIT(CL_MANIFEST_PAYLOAD);
}

/* A module is one layer. What it was called is only shown. */
static int take_module(const struct cl_manifest_doc *doc, struct cl_manifest_record *record,
                       struct cl_error *err)
{
    const struct cl_descriptor *layers = doc->layers.items;

    if (doc->layers.count != 1)
        return cl_refuse(err, ENOTSUP, "%zu WebAssembly modules; an image that is run has one",
                         doc->layers.count);
    const char *title = cl_descriptor_annotation(&layers[0], "org.opencontainers.image.title");
    if (title != NULL && title[0] != '\0' && strlen(title) <= NAME_MOST) {
        record->title = title;
        record->set |= CL_RECORD_BIT(CL_MANIFEST_TITLE);
    }
    set_payload(record, CL_PAYLOAD_MODULE);
    return 0;
}

static int take_layers(const struct cl_manifest_doc *doc, int is_modules, struct cl_arena *arena,
                       struct cl_manifest_record *record, struct cl_error *err)
{
    const struct cl_descriptor *layers = doc->layers.items;
    struct cl_manifest_layer *items = cl_arena_array(arena, doc->layers.count, sizeof(*items));

    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < doc->layers.count; i++) {
        int r = take_layer(&layers[i], is_modules, &items[i], err);

        if (r < 0)
            return cl_prefix(err, "layers[%zu]", i);
    }
    record->layers = (struct cl_manifest_layers){items, doc->layers.count};
    record->set |= CL_RECORD_BIT(CL_MANIFEST_LAYERS);
    return 0;
}

static int take_image(const struct cl_manifest_doc *doc, struct cl_arena *arena,
                      struct cl_manifest_record *record, struct cl_error *err)
{
    enum cl_media_kind config = CL_MEDIA_UNKNOWN;
    int r = check_config(doc, &config, err);
    const int is_modules = config == CL_MEDIA_MODULE_CONFIG;

    if (r == 0)
        r = take_layers(doc, is_modules, arena, record, err);
    if (r == 0 && is_modules)
        r = take_module(doc, record, err);
    if (r < 0)
        return r;
    if (!is_modules && is_of_module(doc))
        set_payload(record, CL_PAYLOAD_FILES_OF_MODULE);
    record->kind = CL_MANIFEST_IMAGE;
    return 0;
}

/* --- both --------------------------------------------------------------------------- */

static void set_target(struct cl_manifest_record *record, const struct cl_descriptor *target)
{
    record->target = target->digest;
    record->target_size_bytes = target->size.value;
    record->target_type = target->media_type;
    record->set |= CL_RECORD_BIT(CL_MANIFEST_TARGET) | CL_RECORD_BIT(CL_MANIFEST_TARGET_SIZE) |
                   CL_RECORD_BIT(CL_MANIFEST_TARGET_TYPE);
}

static int take_choice(const struct cl_manifest_doc *doc, const struct cl_descriptor *choice,
                       struct cl_manifest_record *record, struct cl_error *err)
{
    int r = cl_descriptor_check(choice, err);

    if (r < 0)
        return cl_prefix(err, "manifests[%td]",
                         choice - (const struct cl_descriptor *)doc->manifests.items);
    if (cl_media_type_find(choice->media_type).kind == CL_MEDIA_SCHEMA_1)
        return cl_media_type_refuse_schema_1(err);
    record->kind = CL_MANIFEST_CHOICE;
    set_target(record, choice);
    return 0;
}

static struct cl_manifest_record begin_record(const struct cl_media_type *type)
{
    return (struct cl_manifest_record){
        .set = CL_RECORD_BIT(CL_MANIFEST_KIND) | CL_RECORD_BIT(CL_MANIFEST_MEDIA_TYPE),
        .media_type = type->name,
    };
}

static int take_manifest(const struct cl_manifest_doc *doc,
                         const struct cl_manifest_request *request, struct cl_arena *arena,
                         struct cl_manifest_record *ret, struct cl_error *err)
{
    const struct cl_descriptor *choice = NULL;
    struct cl_media_type type = {.kind = CL_MEDIA_UNKNOWN};
    int r = judge(doc, request->media_type, &type, err);

    if (r < 0)
        return r;
    struct cl_manifest_record record = begin_record(&type);
    if (type.kind == CL_MEDIA_IMAGE) {
        r = take_image(doc, arena, &record, err);
        if (r == 0)
            set_target(&record, doc->config);
    } else {
        r = cl_index_choose(doc, request->platform, arena, &choice, err);
        if (r == 0)
            r = take_choice(doc, choice, &record, err);
    }
    if (r == 0)
        *ret = record;
    return r;
}

int cl_manifest_parse(const struct cl_document *document, const struct cl_manifest_request *request,
                      struct cl_arena *arena, struct cl_manifest_record *ret, struct cl_error *err)
{
    struct cl_manifest_doc doc = {.media_type = NULL};
    int r = cl_manifest_doc_decode(document, arena, &doc, err);

    if (r < 0)
        return r;
    r = take_manifest(&doc, request, arena, ret, err);
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(document->name)) : 0;
}

static int take_layout(const struct cl_manifest_doc *doc, const struct cl_manifest_request *request,
                       struct cl_arena *arena, struct cl_manifest_record *ret, struct cl_error *err)
{
    const struct cl_descriptor *choice = NULL;
    struct cl_media_type type = {.kind = CL_MEDIA_UNKNOWN};
    int r = judge(doc, doc->media_type == NULL ? CL_MEDIA_OCI_INDEX : NULL, &type, err);

    if (r < 0)
        return r;
    if (type.kind != CL_MEDIA_INDEX)
        return cl_refuse(err, EINVAL, "an image's manifest, and no index of a layout");
    r = cl_index_choose_tagged(doc, request, arena, &choice, err);
    if (r < 0)
        return r;
    struct cl_manifest_record record = begin_record(&type);
    r = take_choice(doc, choice, &record, err);
    if (r < 0)
        return r;
    const char *name = cl_index_name(choice);
    if (name != NULL && strlen(name) <= NAME_MOST) { /* a longer one names nothing */
        record.name = name;
        record.set |= CL_RECORD_BIT(CL_MANIFEST_NAME);
    }
    *ret = record;
    return 0;
}

int cl_layout_parse(const struct cl_document *document, const struct cl_manifest_request *request,
                    struct cl_arena *arena, struct cl_manifest_record *ret, struct cl_error *err)
{
    struct cl_manifest_doc doc = {.media_type = NULL};
    int r = cl_manifest_doc_decode(document, arena, &doc, err);

    if (r < 0)
        return r;
    r = take_layout(&doc, request, arena, ret, err);
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(document->name)) : 0;
}
