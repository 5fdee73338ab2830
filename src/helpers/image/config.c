#include "helpers/image/config.h"

#include <errno.h>
#include <string.h>

#include "base/signals.h"
#include "helpers/common/json_decode.h"
#include "helpers/image/media_type.h"
#include "oci/digest.h"
#include "oci/quote.h"

enum { TEXT_MAX = 255, PATH_MAX_BYTES = 4095, MAX_ENTRIES = 4096 };

/* --- the shapes ----------------------------------------------------------------- */

struct run_config {
    const char *user;
    struct cl_strlist env;
    struct cl_strlist entrypoint;
    struct cl_strlist command;
    const char *workdir;
    const char *stop_signal;
    struct cl_decode_list labels; /* struct cl_decode_pair */
};

struct rootfs {
    const char *type;
    struct cl_strlist diff_ids;
};

struct config_doc {
    const char *architecture;
    const char *os;
    const char *variant;
    const char *created;
    const struct run_config *config;
    const struct rootfs *rootfs;
};

/* Of a WebAssembly artifact. */
struct module_doc {
    const char *architecture;
    const char *os;
    const char *created;
    struct cl_strlist layer_digests;
};

#define THIS run_config
static const struct cl_decode_field run_fields[] = {
    CL_DECODE_ROW("User", TEXT, user, TEXT_MAX),
    CL_DECODE_ROW("Env", TEXTS, env, MAX_ENTRIES),
    CL_DECODE_ROW("Entrypoint", TEXTS, entrypoint, MAX_ENTRIES),
    CL_DECODE_ROW("Cmd", TEXTS, command, MAX_ENTRIES),
    CL_DECODE_ROW("WorkingDir", TEXT, workdir, PATH_MAX_BYTES),
    CL_DECODE_ROW("StopSignal", TEXT, stop_signal, TEXT_MAX),
    CL_DECODE_ROW("Labels", PAIRS, labels, MAX_ENTRIES),
};
static const struct cl_decode_shape run_shape = CL_DECODE_SHAPE(run_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS rootfs
static const struct cl_decode_field rootfs_fields[] = {
    CL_DECODE_ROW("type", TEXT, type, TEXT_MAX),
    CL_DECODE_ROW("diff_ids", TEXTS, diff_ids, CL_MAX_LAYERS),
};
static const struct cl_decode_shape rootfs_shape = CL_DECODE_SHAPE(rootfs_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS config_doc
static const struct cl_decode_field doc_fields[] = {
    CL_DECODE_ROW("architecture", TEXT, architecture, TEXT_MAX),
    CL_DECODE_ROW("os", TEXT, os, TEXT_MAX),
    CL_DECODE_ROW("variant", TEXT, variant, TEXT_MAX),
    CL_DECODE_ROW("created", TEXT, created, TEXT_MAX),
    CL_DECODE_ROW_OF("config", OBJECT, config, UINT64_MAX, &run_shape),
    CL_DECODE_ROW_OF("rootfs", OBJECT, rootfs, UINT64_MAX, &rootfs_shape),
};
static const struct cl_decode_shape doc_shape = CL_DECODE_SHAPE(doc_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS module_doc
static const struct cl_decode_field module_fields[] = {
    CL_DECODE_ROW("architecture", TEXT, architecture, TEXT_MAX),
    CL_DECODE_ROW("os", TEXT, os, TEXT_MAX),
    CL_DECODE_ROW("created", TEXT, created, TEXT_MAX),
    CL_DECODE_ROW("layerDigests", TEXTS, layer_digests, CL_MAX_LAYERS),
};
static const struct cl_decode_shape module_shape = CL_DECODE_SHAPE(module_fields, CL_DECODE_OPEN);
#undef THIS

/* --- what it says ------------------------------------------------------------------- */

static void take_text(struct cl_config_record *record, enum cl_config_field field,
                      const char **member, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    *member = text;
    record->set |= CL_RECORD_BIT(field);
}

static void take_texts(struct cl_config_record *record, enum cl_config_field field,
                       struct cl_strlist *member, const struct cl_strlist *texts)
{
    if (texts->items == NULL)
        return;
    *member = *texts;
    record->set |= CL_RECORD_BIT(field);
}

static int is_word(const char *text, const char *word)
{
    return text != NULL && strcmp(text, word) == 0;
}

/* A module's operating system is its interface: Docker's builder calls WASI's first preview "wasi",
 * others "wasip1"; components have wasip2. */
static int check_interface(const char *os, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];

    if (os != NULL && os[0] != '\0' && !is_word(os, "wasi") && !is_word(os, "wasip1") &&
        !is_word(os, "wasip2"))
        return cl_refuse(err, ENOTSUP,
                         "os: the module is built for \"%s\", only wasip1 and wasip2 run here",
                         cl_quote(os, quoted));
    return 0;
}

static int check_os(const struct config_doc *doc, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];

    if (is_word(doc->architecture, "wasm"))
        return check_interface(doc->os, err);
    if (doc->os != NULL && doc->os[0] != '\0' && strcmp(doc->os, "linux") != 0)
        return cl_refuse(err, ENOTSUP, "os: the image is built for \"%s\", only linux runs here",
                         cl_quote(doc->os, quoted));
    return 0;
}

static int check_digests(const char *name, const struct cl_strlist *digests, struct cl_error *err)
{
    for (size_t i = 0; i < digests->count; i++) {
        struct cl_digest digest;

        if (cl_digest_parse(digests->items[i], &digest, err) < 0)
            return cl_prefix(err, "%s[%zu]", name, i);
    }
    return 0;
}

static int take_rootfs(const struct config_doc *doc, struct cl_config_record *record,
                       struct cl_error *err)
{
    const struct rootfs *rootfs = doc->rootfs;
    char quoted[CL_QUOTE_SIZE];

    if (rootfs == NULL)
        return cl_refuse(err, EINVAL, "rootfs is missing: no config of an image");
    if (rootfs->type == NULL)
        return cl_refuse(err, EINVAL, "rootfs.type is missing");
    if (strcmp(rootfs->type, "layers") != 0)
        return cl_refuse(err, ENOTSUP, "rootfs.type: expected layers, got \"%s\"",
                         cl_quote(rootfs->type, quoted));
    int r = check_digests("rootfs.diff_ids", &rootfs->diff_ids, err);
    if (r < 0)
        return r;
    record->diff_ids = rootfs->diff_ids; /* an image without layers has null */
    record->set |= CL_RECORD_BIT(CL_CONFIG_DIFF_IDS);
    return 0;
}

static int check_env(const struct cl_strlist *env, struct cl_error *err)
{
    for (size_t i = 0; i < env->count; i++) {
        const char *equals = strchr(env->items[i], '=');
        char quoted[CL_QUOTE_SIZE];

        if (equals == NULL || equals == env->items[i])
            return cl_refuse(err, EINVAL, "config.Env[%zu]: expected NAME=value, got \"%s\"", i,
                             cl_quote(env->items[i], quoted));
    }
    return 0;
}

static int take_stop_signal(const struct run_config *config, struct cl_config_record *record,
                            struct cl_error *err)
{
    int number = 0;

    if (config->stop_signal == NULL || config->stop_signal[0] == '\0')
        return 0;
    if (cl_signal_parse(config->stop_signal, &number, err) < 0)
        return cl_prefix(err, "config.StopSignal");
    record->stop_signal = (uint64_t)number;
    record->set |= CL_RECORD_BIT(CL_CONFIG_STOP_SIGNAL);
    return 0;
}

/* A name with "=" in it could not be told from its value again: it is left out. */
static int take_labels(const struct run_config *config, struct cl_arena *arena,
                       struct cl_config_record *record, struct cl_error *err)
{
    const struct cl_decode_pair *pairs = config->labels.items;
    const char **items = cl_arena_array(arena, config->labels.count, sizeof(*items));
    size_t count = 0;

    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < config->labels.count; i++) {
        if (strchr(pairs[i].key, '=') != NULL)
            continue;
        items[count] = cl_arena_printf(arena, "%s=%s", pairs[i].key, pairs[i].value);
        if (items[count++] == NULL)
            return cl_fail_memory(err);
    }
    const struct cl_strlist labels = {pairs == NULL ? NULL : items, count};
    take_texts(record, CL_CONFIG_LABELS, &record->labels, &labels);
    return 0;
}

static int take_run_config(const struct run_config *config, struct cl_arena *arena,
                           struct cl_config_record *record, struct cl_error *err)
{
    int r = check_env(&config->env, err);

    if (r < 0)
        return r;
    take_texts(record, CL_CONFIG_ENV, &record->env, &config->env);
    take_texts(record, CL_CONFIG_ENTRYPOINT, &record->entrypoint, &config->entrypoint);
    take_texts(record, CL_CONFIG_COMMAND, &record->command, &config->command);
    take_text(record, CL_CONFIG_WORKDIR, &record->workdir, config->workdir);
    take_text(record, CL_CONFIG_USER, &record->user, config->user);
    r = take_stop_signal(config, record, err);
    return r < 0 ? r : take_labels(config, arena, record, err);
}

static int take_doc(const struct config_doc *doc, struct cl_arena *arena,
                    struct cl_config_record *ret, struct cl_error *err)
{
    struct cl_config_record record = {.set = 0};
    int r = check_os(doc, err);

    if (r == 0)
        r = take_rootfs(doc, &record, err);
    if (r == 0 && doc->config != NULL)
        r = take_run_config(doc->config, arena, &record, err);
    if (r < 0)
        return r;
    take_text(&record, CL_CONFIG_ARCHITECTURE, &record.architecture, doc->architecture);
    take_text(&record, CL_CONFIG_OS, &record.os, doc->os);
    take_text(&record, CL_CONFIG_VARIANT, &record.variant, doc->variant);
    take_text(&record, CL_CONFIG_CREATED, &record.created, doc->created);
    *ret = record;
    return 0;
}

static int parse_image(const struct cl_document *document, struct cl_arena *arena,
                       struct cl_config_record *ret, struct cl_error *err)
{
    struct config_doc doc = {.os = NULL};
    int r = cl_decode(&doc_shape, document, arena, &doc, err);

    if (r < 0)
        return r;
    r = take_doc(&doc, arena, ret, err);
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(document->name)) : 0;
}

static int take_module(const struct module_doc *doc, struct cl_config_record *ret,
                       struct cl_error *err)
{
    struct cl_config_record record = {.set = 0};
    char quoted[CL_QUOTE_SIZE];

    if (doc->architecture != NULL && doc->architecture[0] != '\0' &&
        !is_word(doc->architecture, "wasm"))
        return cl_refuse(err, EINVAL, "architecture: expected wasm, got \"%s\"",
                         cl_quote(doc->architecture, quoted));
    int r = check_interface(doc->os, err);
    if (r == 0)
        r = check_digests("layerDigests", &doc->layer_digests, err);
    if (r < 0)
        return r;
    take_text(&record, CL_CONFIG_ARCHITECTURE, &record.architecture, "wasm");
    take_text(&record, CL_CONFIG_OS, &record.os, doc->os);
    take_text(&record, CL_CONFIG_CREATED, &record.created, doc->created);
    if (doc->layer_digests.count > 0)
        take_texts(&record, CL_CONFIG_DIFF_IDS, &record.diff_ids, &doc->layer_digests);
    *ret = record;
    return 0;
}

static int parse_module(const struct cl_document *document, struct cl_arena *arena,
                        struct cl_config_record *ret, struct cl_error *err)
{
    struct module_doc doc = {.os = NULL};
    int r = cl_decode(&module_shape, document, arena, &doc, err);

    if (r < 0)
        return r;
    r = take_module(&doc, ret, err);
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(document->name)) : 0;
}

int cl_config_parse(const struct cl_document *document, const char *type, struct cl_arena *arena,
                    struct cl_config_record *ret, struct cl_error *err)
{
    const int is_modules = type != NULL && cl_media_type_find(type).kind == CL_MEDIA_MODULE_CONFIG;

    return is_modules ? parse_module(document, arena, ret, err)
                      : parse_image(document, arena, ret, err);
}
