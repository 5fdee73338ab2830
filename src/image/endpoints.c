#include "image/endpoints.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/follow.h"
#include "image/credentials.h"

enum { MAX_ENDPOINTS = 32, MAX_AUTHORITY = 64 << 10 };

/* The list in the making. */
struct list {
    const struct cl_parser *parser;
    const struct cl_registries_record *config;
    const char *repository;
    struct cl_fetch_endpoint items[MAX_ENDPOINTS];
    size_t count;
};

static const struct cl_registry *find_registry(const struct cl_registries_record *config,
                                               const char *domain)
{
    for (size_t i = 0; i < config->entries.count; i++) {
        if (strcmp(config->entries.items[i].domain, domain) == 0)
            return &config->entries.items[i];
    }
    return NULL;
}

/* The PEM file's text; "" where none is named. */
static int read_authority(const struct list *list, const struct cl_registry *registry,
                          const char **ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf pem = CL_BUF_INIT(MAX_AUTHORITY);

    *ret = "";
    if (registry == NULL || registry->authority_file[0] == '\0')
        return 0;
    CL_CLEANUP_FD int fd = cl_follow_regular(registry->authority_file, MAX_AUTHORITY, err);
    if (fd < 0)
        return cl_prefix(err, "the authority of %.100s", registry->domain);
    int r = cl_read_all(fd, registry->authority_file, &pem, err);
    if (r < 0)
        return r;
    *ret = cl_arena_strdup(list->parser->arena, cl_buf_text(&pem));
    return *ret == NULL ? cl_fail_memory(err) : 0;
}

/* URL's own credentials are DOMAIN's: they never go with another's. */
static int add(struct list *list, const char *url, const char *domain,
               const struct cl_fetch_endpoint *rest, struct cl_error *err)
{
    if (list->count == MAX_ENDPOINTS)
        return cl_refuse(err, E2BIG, "%.100s has more than %d mirrors", domain, MAX_ENDPOINTS - 2);
    if (url == NULL)
        return cl_fail_memory(err);
    list->items[list->count] = *rest;
    list->items[list->count++].url = url;
    return 0;
}

static int fill(struct list *list, const char *domain, const struct cl_auth_record *auth,
                struct cl_fetch_endpoint *ret, struct cl_error *err)
{
    *ret = (struct cl_fetch_endpoint){.url = "", .user = "", .secret = "", .identity = ""};
    if (auth->kind == CL_AUTH_BASIC) {
        ret->user = auth->user;
        ret->secret = auth->secret;
    } else if (auth->kind == CL_AUTH_IDENTITY) {
        ret->identity = auth->secret;
    }
    return read_authority(list, find_registry(list->config, domain), &ret->authority, err);
}

static int find_rest(struct list *list, const char *domain, struct cl_fetch_endpoint *ret,
                     struct cl_error *err)
{
    struct cl_auth_record auth = {0};
    int r = cl_credentials_find(list->parser, domain, list->repository, &auth, err);

    return r < 0 ? r : fill(list, domain, &auth, ret, err);
}

static int add_registry(struct list *list, const char *domain, const struct cl_fetch_endpoint *rest,
                        struct cl_error *err)
{
    const struct cl_registry *registry = find_registry(list->config, domain);
    const char *host = cl_reference_host(domain);
    struct cl_arena *arena = list->parser->arena;
    int r = add(list, cl_arena_printf(arena, "https://%s", host), domain, rest, err);

    if (r == 0 && (cl_domain_is_loopback(host) || (registry != NULL && registry->plain_http)))
        r = add(list, cl_arena_printf(arena, "http://%s", host), domain, rest, err);
    return r;
}

static int add_mirror(struct list *list, const char *url, size_t size, struct cl_error *err)
{
    const char *copy = cl_arena_strndup(list->parser->arena, url, size);
    struct cl_fetch_endpoint rest;

    if (copy == NULL)
        return cl_fail_memory(err);
    const char *domain = strstr(copy, "://");
    if (domain == NULL)
        return cl_refuse(err, EINVAL, "the mirror %.100s is no URL", copy);
    domain += 3;
    int r = find_rest(list, domain, &rest, err);
    return r < 0 ? r : add(list, copy, domain, &rest, err);
}

static int add_mirrors(struct list *list, const char *domain, struct cl_error *err)
{
    const struct cl_registry *registry = find_registry(list->config, domain);
    const char *at = registry == NULL ? "" : registry->mirrors;
    int r = 0;

    while (r == 0 && *at != '\0') {
        const size_t size = strcspn(at, "\n");

        if (size > 0)
            r = add_mirror(list, at, size, err);
        at += size + (at[size] == '\n');
    }
    return r;
}

static int finish(const struct list *list, struct cl_fetch_endpoints *ret, struct cl_error *err)
{
    struct cl_fetch_endpoint *items =
        cl_arena_array(list->parser->arena, list->count, sizeof(*items));

    if (items == NULL)
        return cl_fail_memory(err);
    memcpy(items, list->items, list->count * sizeof(*items));
    *ret = (struct cl_fetch_endpoints){items, list->count};
    return 0;
}

int cl_endpoints_find(const struct cl_parser *parser, const struct cl_registries_record *config,
                      const struct cl_reference *reference, struct cl_fetch_endpoints *ret,
                      struct cl_error *err)
{
    struct list list = {.parser = parser, .config = config, .repository = reference->repository};
    struct cl_fetch_endpoint rest;
    int r = add_mirrors(&list, reference->domain, err);

    if (r == 0)
        r = find_rest(&list, reference->domain, &rest, err);
    if (r == 0)
        r = add_registry(&list, reference->domain, &rest, err);
    return r < 0 ? r : finish(&list, ret, err);
}

int cl_endpoints_for_login(const struct cl_parser *parser,
                           const struct cl_registries_record *config,
                           const struct cl_login_as *login, struct cl_fetch_endpoints *ret,
                           struct cl_error *err)
{
    struct list list = {.parser = parser, .config = config, .repository = ""};
    struct cl_fetch_endpoint rest;
    int r = fill(&list, login->domain, login->record, &rest, err);

    if (r == 0)
        r = add_registry(&list, login->domain, &rest, err);
    return r < 0 ? r : finish(&list, ret, err);
}
