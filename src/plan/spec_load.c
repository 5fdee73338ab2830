/* From a document to its record: read the bytes, name them by their digest, look into the cache,
 * ask the helper, check, keep.
 *
 * A bundle's seccomp profile goes to the helper a second time, for a program, which is kept
 * beside the plans: an engine's bundles differ in each container's names and have one profile.
 * The records of documents have a directory of their own in the cache, where they throw out
 * nobody else, and are not synced: this boot's id is in their names.
 *
 * What is checked is the same for an answer from the cache and from the helper: it reads as a
 * record, and sets what its kind of document can say.
 */
#include "plan/spec.h"

#include <errno.h>
#include <string.h>

#include "base/boot.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "plan/ask.h"
#include "plan/compile_cache.h"

enum { MAX_NAME = 4095 };

/* --- what each record may say -------------------------------------------------------------- */

#define BIT(field) CL_SPEC_BIT(CL_SPEC_##field)
#define UP_TO(field) (BIT(field) | (BIT(field) - 1))
#define OF_PROGRAM                                                                                 \
    (BIT(SECCOMP) | BIT(SECCOMP_FLAGS) | BIT(SECCOMP_LISTENER) | BIT(SECCOMP_METADATA))
#define OF_BUNDLE (UP_TO(ANNOTATIONS) & ~OF_PROGRAM & ~BIT(SECCOMP_PROFILE))
#define OF_PROCESS (UP_TO(AFFINITY_FINAL) & ~UP_TO(DOMAINNAME) & ~BIT(MOUNT_LABEL))
#define OF_IDENTITY (BIT(CWD) | BIT(UID) | BIT(GID))

/* WARNINGS may stand in each. */
struct rule {
    const char *verb;
    uint64_t allowed;
    uint64_t needed;
};

/* What the helper answers, by the kind of the document. */
static const struct rule answers[CL_SPEC_KIND_COUNT] = {
    [CL_SPEC_CONFIG] = {"spec", OF_BUNDLE | BIT(SECCOMP_PROFILE), BIT(VERSION) | BIT(ROOT)},
    [CL_SPEC_PROCESS] = {"process", OF_PROCESS, OF_IDENTITY},
    [CL_SPEC_RESOURCES_OF] = {"resources", BIT(RESOURCES), BIT(RESOURCES)},
};
/* A bundle when its profile has become a program. */
static const struct rule bundle = {"spec", OF_BUNDLE | OF_PROGRAM, BIT(VERSION) | BIT(ROOT)};
static const struct rule program = {"filter", OF_PROGRAM, BIT(SECCOMP)};

static const struct rule *finished(enum cl_spec_kind kind)
{
    return kind == CL_SPEC_CONFIG ? &bundle : &answers[kind];
}

/* Their names become those of the kernel's files. */
static int check_resources(const struct cl_spec_resources *resources)
{
    for (size_t i = 0; i < resources->count; i++) {
        if (strchr(resources->items[i].name, '/') != NULL ||
            strcmp(resources->items[i].name, "..") == 0)
            return -EBADMSG;
    }
    return 0;
}

/* A process has all of its identity. */
static int check(const struct rule *rule, const struct cl_spec *spec)
{
    const uint64_t set = spec->set & ~BIT(WARNINGS);
    const int has_process = (set & OF_PROCESS) != 0;

    if ((set & ~rule->allowed) != 0 || (set & rule->needed) != rule->needed ||
        (has_process && (set & OF_IDENTITY) != OF_IDENTITY))
        return -EBADMSG;
    return check_resources(&spec->resources);
}

/* --- one record ---------------------------------------------------------------------------- */

/* A document on its way. */
struct loading {
    const struct cl_spec_document *document;
    struct cl_arena *arena;
    struct cl_helper helper;
};

/* A place in the cache. */
struct entry {
    int cache; /* negative: there is none */
    char key[CL_SHA256_HEX_SIZE];
    enum cl_cache_life life;
};

static int read_record(const struct loading *loading, const struct rule *rule,
                       const struct cl_bytes *bytes, struct cl_spec *ret, struct cl_error *err)
{
    struct cl_spec spec;
    int r = cl_spec_read(bytes, loading->arena, &spec, err);

    if (r < 0)
        return r;
    if (check(rule, &spec) < 0)
        return cl_refuse(err, EBADMSG, "cloister-plan answers with what a %s can't say",
                         rule->verb);
    *ret = spec;
    return 0;
}

/* An entry that does not read is as good as none. */
static int find(const struct loading *loading, const struct entry *entry, const struct rule *rule,
                struct cl_spec *ret, struct cl_bytes *ret_bytes)
{
    struct cl_error ignored;

    if (entry->cache < 0)
        return entry->cache;
    int r = cl_plan_cache_load(entry->cache, entry->key, loading->arena, ret_bytes);
    return r < 0 ? r : read_record(loading, rule, ret_bytes, ret, &ignored);
}

static void keep(const struct entry *entry, const struct cl_bytes *bytes)
{
    if (entry->cache >= 0) /* the record is here; the cache can wait */
        (void)cl_plan_cache_store(entry->cache, entry->key, bytes, entry->life);
}

static int ask(const struct loading *loading, const struct rule *rule, const struct cl_buf *input,
               struct cl_bytes *ret, struct cl_error *err)
{
    const char *name = loading->document->name;
    const struct cl_helper_call call = {
        .args = {rule->verb, name},
        .subject = name,
        .inputs = {input},
        .timeout_ns = CL_ASK_SECONDS * CL_NS_PER_S,
    };
    struct cl_answer answer = {.arena = loading->arena, .max_size = CL_SPEC_MAX_SIZE};
    int r = cl_ask(&loading->helper, &call, &answer, err);

    if (r == 0)
        *ret = answer.bytes;
    return r;
}

/* --- a profile ----------------------------------------------------------------------------- */

/* What libseccomp makes of it may depend on the kernel. */
static int name_profile(const struct loading *loading, const struct cl_buf *profile,
                        struct entry *ret, struct cl_error *err)
{
    struct cl_sha256 hash;

    cl_ask_name(&hash, CL_ASK_SPEC(CL_SPEC_RECORD_VERSION), CL_SPEC_KIND_COUNT, &loading->helper);
    if (cl_ask_add_machine(&hash, err) < 0)
        return -err->code;
    cl_ask_add(&hash, profile->data, profile->size);
    cl_sha256_final_hex(&hash, ret->key);
    return 0;
}

static int compile(const struct loading *loading, const struct cl_bytes *profile,
                   struct cl_spec *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf input = CL_BUF_INIT(CL_SPEC_MAX_INPUT);
    struct entry entry = {.life = CL_CACHE_LASTING};
    struct cl_bytes bytes = {0};

    if (cl_buf_add(&input, profile->data, profile->size) < 0)
        return cl_fail_memory(err);
    int r = name_profile(loading, &input, &entry, err);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int cache = cl_plan_cache_open(loading->document->cache_dir, CL_CACHE_PLANS);
    entry.cache = cache;
    if (find(loading, &entry, &program, ret, &bytes) == 0)
        return 0;
    r = ask(loading, &program, &input, &bytes, err);
    if (r == 0)
        r = read_record(loading, &program, &bytes, ret, err);
    if (r == 0)
        keep(&entry, &bytes);
    return r;
}

/* SPEC's warnings and MORE, as far as there is room. */
static int add_warnings(const struct loading *loading, const struct cl_strlist *more,
                        struct cl_spec *spec, struct cl_error *err)
{
    const char **lines =
        cl_arena_array(loading->arena, CL_SPEC_MAX_WARNINGS, sizeof(*spec->warnings.items));
    size_t count = 0;

    if (lines == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < spec->warnings.count; i++)
        lines[count++] = spec->warnings.items[i];
    for (size_t i = 0; i < more->count && count < CL_SPEC_MAX_WARNINGS; i++)
        lines[count++] = more->items[i];
    spec->warnings = (struct cl_strlist){lines, count};
    if (count > 0)
        cl_spec_mark(spec, CL_SPEC_WARNINGS);
    return 0;
}

/* Puts the program in the place of SPEC's profile. */
static int finish(const struct loading *loading, struct cl_spec *spec, struct cl_bytes *ret_bytes,
                  struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf whole = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    struct cl_spec filter = {.set = 0};
    int r = compile(loading, &spec->profile, &filter, err);

    if (r < 0)
        return r;
    spec->seccomp = filter.seccomp;
    spec->seccomp_flags = filter.seccomp_flags;
    spec->seccomp_listener = filter.seccomp_listener;
    spec->seccomp_metadata = filter.seccomp_metadata;
    spec->set = (spec->set & ~BIT(SECCOMP_PROFILE)) | (filter.set & OF_PROGRAM);
    r = add_warnings(loading, &filter.warnings, spec, err);
    if (r == 0)
        r = cl_spec_write(spec, &whole, err);
    if (r < 0)
        return r;
    const char *copy = cl_arena_strndup(loading->arena, whole.data, whole.size);
    if (copy == NULL)
        return cl_fail_memory(err);
    *ret_bytes = (struct cl_bytes){copy, whole.size};
    return 0;
}

/* --- the document -------------------------------------------------------------------------- */

/* Opening a pipe is the caller's; what can't be read to its end, as a device, is no document. */
static int read_document(const struct cl_spec_document *document, struct cl_buf *ret,
                         struct cl_error *err)
{
    struct stat status;
    int r = cl_sys_fstat(document->fd, &status);

    if (r < 0)
        return cl_fail(err, r, "%.200s", document->name);
    if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode))
        return cl_refuse(err, EINVAL, "%.200s: neither a file nor a pipe", document->name);
    return cl_read_all(document->fd, document->name, ret, err);
}

/* The entry's name. Without the boot's id there is no cache. */
static int name_document(const struct loading *loading, const struct cl_buf *text,
                         struct entry *ret, struct cl_error *err)
{
    char boot[CL_BOOT_ID_SIZE];
    struct cl_sha256 hash;
    int r = cl_boot_id(boot, err);

    if (r < 0)
        return r;
    cl_ask_name(&hash, CL_ASK_SPEC(CL_SPEC_RECORD_VERSION), loading->document->kind,
                &loading->helper);
    if (cl_ask_add_machine(&hash, err) < 0)
        return -err->code;
    cl_ask_add(&hash, boot, strlen(boot));
    cl_ask_add(&hash, cl_buf_text(text), text->size);
    cl_sha256_final_hex(&hash, ret->key);
    return 0;
}

static int make(const struct loading *loading, const struct cl_buf *text, struct cl_spec *ret,
                struct cl_bytes *ret_bytes, struct cl_error *err)
{
    const struct rule *rule = &answers[loading->document->kind];
    int r = ask(loading, rule, text, ret_bytes, err);

    if (r == 0)
        r = read_record(loading, rule, ret_bytes, ret, err);
    if (r < 0 || !cl_spec_has(ret, CL_SPEC_SECCOMP_PROFILE))
        return r;
    return finish(loading, ret, ret_bytes, err);
}

static int load(const struct loading *loading, struct cl_spec *ret, struct cl_bytes *ret_bytes,
                struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(CL_SPEC_MAX_INPUT);
    struct entry entry = {.life = CL_CACHE_THIS_BOOT};
    struct cl_error ignored;
    int r = read_document(loading->document, &text, err);

    if (r < 0)
        return r;
    CL_CLEANUP_FD int cache = cl_plan_cache_open(loading->document->cache_dir, CL_CACHE_SPECS);
    entry.cache = name_document(loading, &text, &entry, &ignored) < 0 ? -ENOENT : cache;
    if (find(loading, &entry, finished(loading->document->kind), ret, ret_bytes) == 0)
        return 0;
    r = make(loading, &text, ret, ret_bytes, err);
    if (r == 0)
        keep(&entry, ret_bytes);
    return r;
}

int cl_spec_load(const struct cl_spec_document *document, struct cl_arena *arena,
                 struct cl_spec *ret, struct cl_bytes *ret_bytes, struct cl_error *err)
{
    struct loading loading = {.document = document, .arena = arena};
    struct cl_spec spec = {.set = 0};
    struct cl_bytes bytes = {0};

    CL_ASSERT(document->kind < CL_SPEC_KIND_COUNT);
    if (document->name[0] == '\0' || strlen(document->name) > MAX_NAME)
        return cl_refuse(err, EINVAL, "a document needs a name of 1 to %d bytes", MAX_NAME);
    int r = cl_helper_find(document->helper_dir, "cloister-plan", &loading.helper, err);
    if (r == 0)
        r = load(&loading, &spec, &bytes, err);
    if (r < 0)
        return r;
    *ret = spec;
    *ret_bytes = bytes;
    return 0;
}
