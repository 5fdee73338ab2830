#include "image/registry.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"

enum { ARENA_MAX = 1 << 20, SLOW_AFTER_MS = 2000 };

static struct cl_registry_origin *of(struct cl_origin *origin)
{
    return (struct cl_registry_origin *)(void *)((char *)origin -
                                                 offsetof(struct cl_registry_origin, origin));
}

/* --- asking and hearing ---------------------------------------------------------- */

static struct cl_fetch_request request_for(const struct cl_registry_origin *registry,
                                           enum cl_fetch_kind kind, const char *reference)
{
    return (struct cl_fetch_request){
        .set = CL_RECORD_BIT(CL_FETCH_REQUEST_KIND) | CL_RECORD_BIT(CL_FETCH_REQUEST_ENDPOINTS) |
               CL_RECORD_BIT(CL_FETCH_REQUEST_REPOSITORY) |
               CL_RECORD_BIT(CL_FETCH_REQUEST_REFERENCE) | CL_RECORD_BIT(CL_FETCH_REQUEST_SIZE) |
               CL_RECORD_BIT(CL_FETCH_REQUEST_OFFSET),
        .kind = kind,
        .endpoints = {registry->endpoints, registry->count},
        .repository = registry->repository,
        .reference = reference,
    };
}

static int has(const struct cl_fetch_report *report, enum cl_fetch_report_field field)
{
    return (report->set & CL_RECORD_BIT(field)) != 0;
}

/* What FAILED says: foreign text, made printable. */
static void take_failure(const struct cl_fetch_report *report, struct cl_error *ret)
{
    ret->code = has(report, CL_FETCH_REPORT_CODE) && report->code != 0 ? (int)report->code : EIO;
    (void)snprintf(ret->msg, sizeof(ret->msg), "%s",
                   has(report, CL_FETCH_REPORT_ERROR) ? report->error : "the download failed");
    (void)cl_error_check(ret);
}

/* "host:port" of a URL that is no more than a scheme and that. */
static const char *place_of(const char *url)
{
    const char *mark = strstr(url, "://");

    return mark == NULL ? url : mark + 3;
}

/* Which of its places is being asked, cloister-fetch doesn't say; the last is the registry's. */
static void tell_slow(struct cl_registry_origin *registry)
{
    const char *origin = place_of(registry->endpoints[registry->count - 1].url);
    const int is_alone = strcmp(place_of(registry->endpoints[0].url), origin) == 0;
    char who[512];

    (void)snprintf(who, sizeof(who), "%.400s%s", origin, is_alone ? "" : " and its mirrors");
    registry->slow(registry->slow_context, who);
    registry->slow = NULL;
}

static void wait_a_moment(struct cl_registry_origin *registry)
{
    struct pollfd poll = {.fd = registry->fetcher.channel, .events = POLLIN};

    if (registry->slow != NULL && cl_sys_poll(&poll, 1, SLOW_AFTER_MS) == 0)
        tell_slow(registry);
}

/* Waits for the end of request ID, when no other is under way. */
static int hear_out(struct cl_registry_origin *registry, uint64_t id, struct cl_fetch_report *ret,
                    struct cl_error *err)
{
    do {
        wait_a_moment(registry);
        int r =
            cl_fetcher_listen(&registry->fetcher, &registry->message, &registry->arena, ret, err);

        if (r < 0)
            return r;
    } while (ret->id != id || ret->kind == CL_FETCH_PROGRESS);
    if (ret->kind == CL_FETCH_DONE)
        return 0;
    take_failure(ret, err);
    return -err->code;
}

/* The endpoint that answered is asked first from now on, and alone of those of its place: which
 * scheme that speaks is known. Trouble there is no reason to try the other one, which would be
 * the end of it, or a way from https to http. */
static void prefer(struct cl_registry_origin *registry, const struct cl_fetch_report *report)
{
    size_t count = 1;
    size_t found = 0;

    if (!has(report, CL_FETCH_REPORT_URL))
        return;
    while (found < registry->count && strcmp(registry->endpoints[found].url, report->url) != 0)
        found++;
    if (found == registry->count)
        return;
    const struct cl_fetch_endpoint answered = registry->endpoints[found];
    memmove(&registry->endpoints[1], &registry->endpoints[0], found * sizeof(answered));
    registry->endpoints[0] = answered;
    for (size_t i = 1; i < registry->count; i++) {
        if (strcmp(place_of(registry->endpoints[i].url), place_of(answered.url)) != 0)
            registry->endpoints[count++] = registry->endpoints[i];
    }
    registry->count = count;
}

static int read_body(int body, const struct cl_fetch_report *report, struct cl_buf *ret,
                     struct cl_error *err)
{
    if (report->bytes > ret->cap)
        return cl_refuse(err, EFBIG, "what was fetched is larger than %zu bytes", ret->cap);
    int r = cl_sys_ftruncate(body, (off_t)report->bytes);
    if (r == 0)
        r = (int)CL_SYS3(SYS_lseek, body, 0, SEEK_SET);
    return r < 0 ? cl_fail(err, r, "read what was fetched")
                 : cl_read_all(body, "what was fetched", ret, err);
}

/* REQUEST's body, at most as large as RET's cap. */
static int get(struct cl_registry_origin *registry, struct cl_fetch_request *request,
               struct cl_buf *ret, struct cl_fetch_report *ret_report, struct cl_error *err)
{
    CL_CLEANUP_FD int body = cl_memory_file("body", ret->cap, 0, err);

    if (body < 0)
        return body;
    int r = cl_fetcher_ask(&registry->fetcher, request, body, -1, err);
    if (r == 0)
        r = hear_out(registry, request->id, ret_report, err);
    if (r < 0)
        return r;
    prefer(registry, ret_report);
    return read_body(body, ret_report, ret, err);
}

/* --- the origin ------------------------------------------------------------------ */

static int get_manifest(struct cl_origin *origin, const char *reference, struct cl_buf *ret,
                        char ret_type[CL_MEDIA_TYPE_SIZE], struct cl_error *err)
{
    struct cl_registry_origin *registry = of(origin);
    struct cl_fetch_request request = request_for(
        registry, CL_FETCH_MANIFEST, reference != NULL ? reference : registry->reference);
    struct cl_fetch_report report = {0};

    request.size_bytes = ret->cap;
    int r = get(registry, &request, ret, &report, err);
    if (r == 0)
        (void)snprintf(ret_type, CL_MEDIA_TYPE_SIZE, "%s",
                       has(&report, CL_FETCH_REPORT_TYPE) ? report.media_type : "");
    return r;
}

static int get_config(struct cl_origin *origin, const struct cl_manifest_record *manifest,
                      struct cl_buf *ret, struct cl_error *err)
{
    struct cl_registry_origin *registry = of(origin);
    struct cl_fetch_request request = request_for(registry, CL_FETCH_BLOB, manifest->target);
    struct cl_fetch_report report = {0};

    if (manifest->target_size_bytes > ret->cap)
        return cl_refuse(err, EFBIG, "the image's config is larger than %zu bytes", ret->cap);
    request.size_bytes = manifest->target_size_bytes;
    return get(registry, &request, ret, &report, err);
}

static int open_layer(struct cl_origin *origin, const struct cl_blob_wanted *wanted,
                      struct cl_blob_source *ret, struct cl_error *err)
{
    struct cl_registry_origin *registry = of(origin);
    struct cl_fetch_request request = request_for(registry, CL_FETCH_BLOB, wanted->layer->digest);
    int ends[2];
    int r = cl_sys_pipe2(ends, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    CL_CLEANUP_FD int ticks = ends[0];
    CL_CLEANUP_FD int theirs = ends[1];
    request.size_bytes = wanted->layer->size_bytes;
    request.offset_bytes = wanted->have_bytes;
    r = cl_fetcher_ask(&registry->fetcher, &request, wanted->download, theirs, err);
    if (r == 0)
        *ret = (struct cl_blob_source){
            .fd = wanted->download, .ticks = CL_TAKE_FD(ticks), .id = request.id};
    return r;
}

static int listen_to(struct cl_origin *origin, struct cl_download_report *ret, struct cl_error *err)
{
    struct cl_registry_origin *registry = of(origin);
    struct cl_fetch_report report = {0};
    int r =
        cl_fetcher_listen(&registry->fetcher, &registry->message, &registry->arena, &report, err);

    if (r < 0)
        return r;
    *ret = (struct cl_download_report){.id = report.id, .ended = report.kind != CL_FETCH_PROGRESS};
    if (report.kind == CL_FETCH_FAILED)
        take_failure(&report, &ret->error);
    return 1;
}

void cl_registry_done(struct cl_registry_origin *registry)
{
    cl_fetcher_done(&registry->fetcher);
    cl_buf_done(&registry->message);
    cl_arena_done(&registry->arena);
}

int cl_registry_open(const struct cl_reference *reference,
                     const struct cl_fetch_endpoints *endpoints, int without_landlock,
                     struct cl_registry_origin *ret, struct cl_error *err)
{
    if (endpoints->count == 0 || endpoints->count > CL_MAX_ENDPOINTS)
        return cl_refuse(err, EINVAL, "a registry has 1 to %d places, mirrors included",
                         CL_MAX_ENDPOINTS);
    *ret = (struct cl_registry_origin){
        .origin = {.manifest = get_manifest,
                   .config = get_config,
                   .open = open_layer,
                   .listen = listen_to,
                   .downloads = 1},
        .fetcher = CL_FETCHER_INIT,
        .message = CL_BUF_INIT(CL_FETCH_MAX_MESSAGE),
        .arena = CL_ARENA_INIT(ARENA_MAX),
        .count = endpoints->count,
        .repository = reference->repository,
        .reference = reference->tag,
    };
    memcpy(ret->endpoints, endpoints->items, endpoints->count * sizeof(*endpoints->items));
    if (reference->has_digest)
        ret->reference = cl_digest_format(&reference->digest, ret->digest);
    int r = cl_fetcher_start(without_landlock, &ret->fetcher, err);
    ret->origin.news = ret->fetcher.channel;
    if (r < 0)
        cl_registry_done(ret);
    return r;
}

/* --- without an image ------------------------------------------------------------ */

int cl_registry_login(struct cl_registry_origin *registry, struct cl_error *err)
{
    struct cl_fetch_request request = request_for(registry, CL_FETCH_LOGIN, registry->reference);
    struct cl_fetch_report report = {0};
    int r = cl_fetcher_ask(&registry->fetcher, &request, -1, -1, err);

    if (r == 0)
        r = hear_out(registry, request.id, &report, err);
    if (r == 0)
        prefer(registry, &report);
    return r;
}
