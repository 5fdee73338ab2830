#include "image/documents.h"

#include <errno.h>
#include <string.h>

#include "oci/quote.h"

enum {
    MAX_CONFIG = 4 << 20,
    MAX_INDEX_DEPTH = 4, /* an index that names an index that ... */
};

void cl_documents_done(struct cl_documents *documents)
{
    cl_buf_done(&documents->manifest_bytes);
    cl_buf_done(&documents->config_bytes);
}

/* --- the manifest ---------------------------------------------------------------- */

/* The manifest that REFERENCE names (NULL: the origin's), which must have that digest. */
static int get_manifest(struct cl_documents *documents, const char *reference, struct cl_error *err)
{
    struct cl_buf *bytes = &documents->manifest_bytes;
    const char *wanted = reference != NULL ? reference : documents->wanted;
    char text[CL_DIGEST_TEXT_SIZE];

    cl_buf_done(bytes); /* of the index above */
    *bytes = CL_BUF_INIT(CL_MAX_MANIFEST_BYTES);
    int r = documents->origin->manifest(documents->origin, reference, bytes, documents->type, err);
    if (r < 0)
        return r;
    cl_digest_of(cl_buf_text(bytes), bytes->size, &documents->digest);
    if (wanted != NULL && strcmp(cl_digest_format(&documents->digest, text), wanted) != 0)
        return cl_refuse(err, EBADMSG,
                         "the manifest that came is %.19s..., and %.19s... was asked for", text,
                         wanted);
    return 0;
}

/* What cloister-image says of it is foreign, too. */
static int check_module(const struct cl_documents *documents, struct cl_error *err)
{
    const struct cl_manifest_layers *layers = &documents->manifest.layers;

    if (layers->count == 1 && layers->items[0].compression == CL_COMPRESSION_NONE)
        return 0;
    return cl_refuse(err, EBADMSG, "its record is none of a WebAssembly module");
}

static int parse_manifest(struct cl_documents *documents, struct cl_error *err)
{
    char subject[CL_DIGEST_TEXT_SIZE];
    const char *args[CL_HELPER_MAX_ARGS] = {
        "manifest", cl_digest_format(&documents->digest, subject), documents->platform,
        documents->type[0] == '\0' ? NULL : documents->type};

    if (documents->origin->made != NULL) {
        documents->manifest = *documents->origin->made;
        return 0;
    }
    documents->manifest = (struct cl_manifest_record){0};
    int r = cl_parse(documents->parser, args, &documents->manifest_bytes,
                     CL_INTO(&cl_manifest_shape, &documents->manifest), err);
    if (r < 0)
        return r;
    if ((documents->manifest.set & CL_RECORD_BIT(CL_MANIFEST_TARGET)) == 0)
        return cl_refuse(err, EBADMSG, "%.19s...: what it leads to is not known", subject);
    return cl_documents_are_of_module(documents) ? check_module(documents, err) : 0;
}

/* WANTED: what the index above says. */
static int check_size(const struct cl_documents *documents, uint64_t wanted_bytes,
                      struct cl_error *err)
{
    if (documents->manifest_bytes.size == wanted_bytes)
        return 0;
    return cl_refuse(err, EBADMSG, "the manifest that came has %zu bytes, and its index says %llu",
                     documents->manifest_bytes.size, (unsigned long long)wanted_bytes);
}

int cl_documents_find(struct cl_documents *documents, struct cl_error *err)
{
    const char *reference = NULL;

    for (int depth = 0; depth < MAX_INDEX_DEPTH; depth++) {
        int r = get_manifest(documents, reference, err);

        if (r == 0 && reference != NULL)
            r = check_size(documents, documents->manifest.target_size_bytes, err);
        if (r == 0)
            r = parse_manifest(documents, err);
        if (r < 0)
            return r;
        if (documents->manifest.kind == CL_MANIFEST_IMAGE)
            return 0;
        reference = documents->manifest.target;
    }
    return cl_refuse(err, ELOOP, "its index names an index that names an index ...: %d deep",
                     MAX_INDEX_DEPTH);
}

/* --- the config ------------------------------------------------------------------ */

static int check_digest(struct cl_documents *documents, struct cl_error *err)
{
    const struct cl_buf *bytes = &documents->config_bytes;
    struct cl_digest named;
    int r = cl_digest_parse(documents->manifest.target, &named, err);

    if (r < 0)
        return r;
    cl_digest_of(cl_buf_text(bytes), bytes->size, &documents->config_digest);
    if (!cl_digest_equal(&named, &documents->config_digest) ||
        bytes->size != documents->manifest.target_size_bytes)
        return cl_refuse(err, EBADMSG,
                         "the config that came is not the one that the manifest names");
    return 0;
}

/* Of operating system and architecture alone: configs are often wrong about the variant. One
 * that says nothing is for anything. */
static int is_for(const char *own, const char *wanted)
{
    const size_t size = strcspn(strchr(wanted, '/') + 1, "/") + strcspn(wanted, "/") + 1;

    return strncmp(own, wanted, size) == 0 && (own[size] == '\0' || own[size] == '/');
}

/* Runs on every machine. */
static int take_wasm(struct cl_documents *documents, struct cl_error *err)
{
    const char *os = documents->config.os;

    documents->platform =
        os == NULL ? "wasm" : cl_arena_printf(documents->parser->arena, "%s/wasm", os);
    return documents->platform == NULL ? cl_fail_memory(err) : 0;
}

/* An index has chosen by its own words; a manifest that was asked for by name hasn't. */
static int check_platform(struct cl_documents *documents, struct cl_error *err)
{
    const struct cl_config_record *config = &documents->config;
    char quoted[CL_QUOTE_SIZE];

    if (config->architecture != NULL && strcmp(config->architecture, "wasm") == 0)
        return take_wasm(documents, err);
    if (config->architecture == NULL || config->os == NULL)
        return 0;
    const char *variant = config->variant == NULL ? "" : config->variant;
    const char *own = cl_arena_printf(documents->parser->arena, "%s/%s%s%s", config->os,
                                      config->architecture, variant[0] == '\0' ? "" : "/", variant);
    if (own == NULL)
        return cl_fail_memory(err);
    if (!is_for(own, documents->platform)) {
        (void)cl_refuse(err, EINVAL, "it is for %s, not for %s", cl_quote(own, quoted),
                        documents->platform);
        return cl_hint(err, "`cloister pull --platform OS/ARCHITECTURE` takes one that is named");
    }
    documents->platform = own;
    return 0;
}

/* Not all who write a module's config say it there; the manifest says the same of the one layer,
 * which is not packed. */
static void find_module_digest(struct cl_documents *documents)
{
    struct cl_config_record *config = &documents->config;

    if (!cl_documents_are_of_module(documents) || config->diff_ids.count > 0)
        return;
    config->diff_ids = (struct cl_strlist){&documents->manifest.layers.items[0].digest, 1};
    config->set |= CL_RECORD_BIT(CL_CONFIG_DIFF_IDS);
}

int cl_documents_find_config(struct cl_documents *documents, struct cl_error *err)
{
    const char *args[CL_HELPER_MAX_ARGS] = {
        "config", "the image's config",
        cl_documents_are_of_module(documents) ? CL_MODULE_CONFIG_TYPE : NULL};
    struct cl_buf *bytes = &documents->config_bytes;

    *bytes = CL_BUF_INIT(MAX_CONFIG);
    int r = documents->origin->config(documents->origin, &documents->manifest, bytes, err);
    if (r == 0)
        r = check_digest(documents, err);
    if (r == 0)
        r = cl_parse(documents->parser, args, bytes, CL_INTO(&cl_config_shape, &documents->config),
                     err);
    if (r == 0)
        r = check_platform(documents, err);
    if (r < 0)
        return r;
    find_module_digest(documents);
    if (documents->config.diff_ids.count != documents->manifest.layers.count)
        return cl_refuse(err, EBADMSG, "the manifest has %zu layers, and the config knows %zu",
                         documents->manifest.layers.count, documents->config.diff_ids.count);
    return 0;
}
