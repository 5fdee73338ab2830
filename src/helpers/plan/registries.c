/* A walk over maps, each by its table of keys. Whether a mirror may be spoken to without TLS is
 * known at the end alone, when all entries are: such mirrors are kept with their places. */
#include "helpers/plan/registries.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "helpers/plan/yaml_walk.h"
#include "oci/domain.h"
#include "oci/quote.h"

enum { MAX_ENTRIES = 256, MAX_MIRRORS = 16, DOMAIN_MAX = 255, PATH_MAX_BYTES = 4095 };
#define MAX_BUDGET (1ULL << 50)

/* A mirror without TLS. */
struct plain_mirror {
    const struct plain_mirror *older;
    struct cl_yaml_node place; /* its mark alone */
    const char *path;
    const char *domain;
};

struct walk {
    struct cl_yaml yaml;
    struct cl_arena *arena;
    struct cl_registries_record record;
    struct cl_registry *entries; /* room for MAX_ENTRIES */
    struct cl_registry *entry;   /* the one whose keys are read */
    size_t count;
    const struct plain_mirror *plain_mirrors;
};

/* --- maps ------------------------------------------------------------------------- */

static int locate(const struct walk *walk, const struct cl_yaml_node *node, const char *path,
                  struct cl_error *err)
{
    return cl_yaml_locate_node(&walk->yaml, node, path, err);
}

static struct cl_yaml_walk yaml_walk(struct walk *walk)
{
    return (struct cl_yaml_walk){&walk->yaml, walk};
}

static int take_map(struct walk *walk, const struct cl_yaml_node *node, const char *path,
                    const struct cl_yaml_keys *keys, struct cl_error *err)
{
    const struct cl_yaml_walk by_table = yaml_walk(walk);

    return cl_yaml_take_map(&by_table, node, path, keys, err);
}

/* --- values --------------------------------------------------------------------------- */

/* A domain that a name can begin with. */
static int check_domain(const char *text, struct cl_error *err)
{
    static const char *const others[] = {"index.docker.io", "registry-1.docker.io"};
    char quoted[CL_QUOTE_SIZE];
    int r = cl_domain_check(text, strlen(text), err);

    if (r < 0)
        return r;
    if (strlen(text) > DOMAIN_MAX)
        return cl_refuse(err, ENAMETOOLONG, "more than %d bytes", DOMAIN_MAX);
    if (!cl_domain_is_meant(text, strlen(text)))
        return cl_refuse(err, EINVAL,
                         "no name of an image can begin with \"%s\"; a registry's has a dot or a "
                         "port, or is localhost",
                         cl_quote(text, quoted));
    for (size_t i = 0; i < CL_ARRAY_SIZE(others); i++) {
        if (strcmp(text, others[i]) == 0)
            return cl_refuse(err, EINVAL, "write docker.io, as the names of images have it");
    }
    return 0;
}

static int copy_text(struct walk *walk, const char *text, const char **ret, struct cl_error *err)
{
    *ret = cl_arena_strdup(walk->arena, text);
    return *ret == NULL ? cl_fail_memory(err) : 0;
}

static int take_default(void *context, const struct cl_yaml_node *value, const char *path,
                        struct cl_error *err)
{
    struct walk *walk = context;
    int r = cl_yaml_want_text(&walk->yaml, value, path, err);

    if (r < 0)
        return r;
    if (check_domain(value->text, err) < 0)
        return locate(walk, value, path, err);
    walk->record.set |= CL_RECORD_BIT(CL_REGISTRIES_DEFAULT);
    return copy_text(walk, value->text, &walk->record.default_domain, err);
}

static int take_budget(void *context, const struct cl_yaml_node *value, const char *path,
                       struct cl_error *err)
{
    struct walk *walk = context;
    uint64_t bytes = 0;
    int r = cl_yaml_want_text(&walk->yaml, value, path, err);

    if (r < 0)
        return r;
    r = cl_parse_size(value->text, &bytes);
    if (r < 0 || bytes == 0 || bytes > MAX_BUDGET) {
        (void)cl_refuse(err, EINVAL,
                        "expected a size from 1 byte to 1024 TiB, like 20GiB, got "
                        "\"%.40s\"",
                        value->text);
        return locate(walk, value, path, err);
    }
    walk->record.budget_bytes = bytes;
    walk->record.set |= CL_RECORD_BIT(CL_REGISTRIES_BUDGET);
    return 0;
}

static int take_http(void *context, const struct cl_yaml_node *value, const char *path,
                     struct cl_error *err)
{
    struct walk *walk = context;
    int is_true;
    int r = cl_yaml_want_bool(&walk->yaml, value, path, &is_true, err);

    if (r == 0)
        walk->entry->plain_http = (uint32_t)is_true;
    return r;
}

static int take_authority(void *context, const struct cl_yaml_node *value, const char *path,
                          struct cl_error *err)
{
    struct walk *walk = context;
    int r = cl_yaml_want_text(&walk->yaml, value, path, err);

    if (r < 0)
        return r;
    if (value->text[0] != '/' || strlen(value->text) > PATH_MAX_BYTES) {
        (void)cl_refuse(err, EINVAL, "expected an absolute path of a file, got \"%.80s\"",
                        value->text);
        return locate(walk, value, path, err);
    }
    return copy_text(walk, value->text, &walk->entry->authority_file, err);
}

/* --- mirrors ---------------------------------------------------------------------------- */

/* "https://HOST[:PORT]" or, with *RET_PLAIN, "http://HOST[:PORT]". */
static int check_mirror(const char *url, int *ret_plain, const char **ret_domain,
                        struct cl_error *err)
{
    static const char tls[] = "https://";
    static const char plain[] = "http://";
    int is_plain = strncmp(url, plain, sizeof(plain) - 1) == 0;
    char quoted[CL_QUOTE_SIZE];

    if (!is_plain && strncmp(url, tls, sizeof(tls) - 1) != 0)
        return cl_refuse(err, EINVAL, "expected https://HOST[:PORT], got \"%s\"",
                         cl_quote(url, quoted));
    const char *domain = url + (is_plain ? sizeof(plain) : sizeof(tls)) - 1;
    if (strchr(domain, '/') != NULL)
        return cl_refuse(err, EINVAL,
                         "a mirror has no path: expected https://HOST[:PORT], got "
                         "\"%s\"",
                         cl_quote(url, quoted));
    if (strlen(domain) > DOMAIN_MAX)
        return cl_refuse(err, ENAMETOOLONG, "more than %d bytes", DOMAIN_MAX);
    int r = cl_domain_check(domain, strlen(domain), err);
    if (r < 0)
        return r;
    *ret_plain = is_plain;
    *ret_domain = domain;
    return 0;
}

static int remember_plain(struct walk *walk, const struct cl_yaml_node *value, const char *path,
                          const char *domain, struct cl_error *err)
{
    struct plain_mirror *mirror = cl_arena_alloc(walk->arena, sizeof(*mirror));

    if (mirror == NULL)
        return cl_fail_memory(err);
    mirror->older = walk->plain_mirrors;
    mirror->place.mark = value->mark;
    mirror->path = path;
    walk->plain_mirrors = mirror;
    return copy_text(walk, domain, &mirror->domain, err);
}

static int take_mirror(void *context, const struct cl_yaml_node *value, const char *path,
                       struct cl_error *err)
{
    struct walk *walk = context;
    int is_plain = 0;
    const char *domain = NULL;
    int r = cl_yaml_want_text(&walk->yaml, value, path, err);

    if (r < 0)
        return r;
    if (check_mirror(value->text, &is_plain, &domain, err) < 0)
        return locate(walk, value, path, err);
    const char *mirrors = cl_arena_printf(walk->arena, "%s%s\n", walk->entry->mirrors, value->text);
    if (mirrors == NULL)
        return cl_fail_memory(err);
    walk->entry->mirrors = mirrors;
    return is_plain ? remember_plain(walk, value, path, domain, err) : 0;
}

static int take_mirrors(void *context, const struct cl_yaml_node *value, const char *path,
                        struct cl_error *err)
{
    static const struct cl_yaml_items mirrors = {take_mirror, MAX_MIRRORS, "mirrors"};
    const struct cl_yaml_walk by_table = yaml_walk(context);

    return cl_yaml_take_list(&by_table, value, path, &mirrors, err);
}

static int check_plain_mirrors(const struct walk *walk, struct cl_error *err)
{
    for (const struct plain_mirror *m = walk->plain_mirrors; m != NULL; m = m->older) {
        int is_allowed = cl_domain_is_loopback(m->domain);

        for (size_t i = 0; i < walk->count; i++)
            is_allowed |=
                walk->entries[i].plain_http && strcmp(walk->entries[i].domain, m->domain) == 0;
        if (is_allowed)
            continue;
        (void)cl_refuse(err, EACCES,
                        "http:// to another machine needs an entry for it: %s: {http: true}",
                        m->domain);
        return locate(walk, &m->place, m->path, err);
    }
    return 0;
}

/* --- the maps of the file ---------------------------------------------------------------- */

static const struct cl_yaml_key store_rows[] = {{"budget", take_budget}};
static const struct cl_yaml_keys store_keys = {store_rows, CL_ARRAY_SIZE(store_rows)};

static const struct cl_yaml_key entry_rows[] = {
    {"mirrors", take_mirrors}, {"http", take_http}, {"authority", take_authority}};
static const struct cl_yaml_keys entry_keys = {entry_rows, CL_ARRAY_SIZE(entry_rows)};

static int take_store(void *context, const struct cl_yaml_node *value, const char *path,
                      struct cl_error *err)
{
    struct walk *walk = context;
    return take_map(walk, value, path, &store_keys, err);
}

static int take_entry(struct walk *walk, const struct cl_yaml_node *key, const char *prefix,
                      struct cl_error *err)
{
    CL_CLEANUP_YAML_NODE struct cl_yaml_node value = {.kind = CL_YAML_END};
    const char *path = cl_arena_printf(walk->arena, "%s.%s", prefix, key->text);

    if (path == NULL)
        return cl_fail_memory(err);
    if (walk->count == MAX_ENTRIES) {
        (void)cl_refuse(err, E2BIG, "more than %d registries", MAX_ENTRIES);
        return locate(walk, key, prefix, err);
    }
    if (check_domain(key->text, err) < 0)
        return locate(walk, key, prefix, err);
    walk->entry = &walk->entries[walk->count++];
    *walk->entry = (struct cl_registry){.mirrors = "", .authority_file = ""};
    int r = copy_text(walk, key->text, &walk->entry->domain, err);
    if (r == 0)
        r = cl_yaml_next(&walk->yaml, &value, err);
    return r < 0 ? r : take_map(walk, &value, path, &entry_keys, err);
}

static int take_registries(void *context, const struct cl_yaml_node *value, const char *path,
                           struct cl_error *err)
{
    struct walk *walk = context;
    const struct cl_yaml_seen *seen = NULL;
    int r = cl_yaml_want_kind(&walk->yaml, value, CL_YAML_MAP, path, err);

    while (r == 0) {
        CL_CLEANUP_YAML_NODE struct cl_yaml_node key = {.kind = CL_YAML_END};

        r = cl_yaml_next_key(&walk->yaml, path, &seen, &key, err);
        if (r == 0 && key.kind == CL_YAML_END)
            break;
        if (r == 0)
            r = take_entry(walk, &key, path, err);
    }
    return r;
}

static const struct cl_yaml_key top_rows[] = {
    {"default", take_default}, {"store", take_store}, {"registries", take_registries}};
static const struct cl_yaml_keys top_keys = {top_rows, CL_ARRAY_SIZE(top_rows)};

static int take_document(struct walk *walk, struct cl_error *err)
{
    CL_CLEANUP_YAML_NODE struct cl_yaml_node root = {.kind = CL_YAML_END};
    int r = cl_yaml_first(&walk->yaml, &root, err);

    if (r == 0)
        r = take_map(walk, &root, "", &top_keys, err);
    if (r == 0)
        r = cl_yaml_finish(&walk->yaml, err);
    return r < 0 ? r : check_plain_mirrors(walk, err);
}

int cl_registries_parse(const struct cl_document *document, struct cl_arena *arena,
                        struct cl_registries_record *ret, struct cl_error *err)
{
    struct walk walk = {.arena = arena,
                        .entries = cl_arena_array(arena, MAX_ENTRIES, sizeof(*walk.entries))};

    if (walk.entries == NULL)
        return cl_fail_memory(err);
    int r = cl_yaml_init(&walk.yaml, document, "registries file", arena, err);
    if (r < 0)
        return r;
    r = take_document(&walk, err);
    cl_yaml_done(&walk.yaml);
    if (r < 0)
        return r;
    walk.record.entries = (struct cl_registries){walk.entries, walk.count};
    walk.record.set |= CL_RECORD_BIT(CL_REGISTRIES_ENTRIES);
    *ret = walk.record;
    return 0;
}
