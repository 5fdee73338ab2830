#include "helpers/fetch/request_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "helpers/fetch/json_answers.h"

enum {
    ARENA_CAP = 2 * CL_FETCH_MAX_MESSAGE,
    MIRRORS_SAID = 320, /* bytes of the last error that are about mirrors */
    MIRROR_SAID = 200,
};
#define REPORT_EVERY_NS (100 * CL_NS_PER_MS)
#define FLUSH_EVERY_NS (5 * CL_NS_PER_MS)

/* The OCI's media types, Docker's of version 2, and the one of version 1: what has only that
 * gets an error that names it, rather than "not found". */
static const char accepted_manifests[] =
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.v1+prettyjws";

static void token_is_ready(void *context, const struct cl_error *failure);

/* --- making one ------------------------------------------------------------ */

static int takes_body(uint64_t kind)
{
    return kind == CL_FETCH_MANIFEST || kind == CL_FETCH_BLOB;
}

/* The core has checked them; here they become a part of a URL. */
static int is_path(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-/:+";

    return text[0] != '\0' && text[strspn(text, allowed)] == '\0' && strstr(text, "..") == NULL;
}

static int check_what(const struct cl_fetch_request *what, struct cl_error *err)
{
    const uint64_t needed = CL_RECORD_BIT(CL_FETCH_REQUEST_ID) |
                            CL_RECORD_BIT(CL_FETCH_REQUEST_KIND) |
                            CL_RECORD_BIT(CL_FETCH_REQUEST_ENDPOINTS);

    if ((what->set & needed) != needed)
        return cl_refuse(err, EINVAL, "a request without a number, a kind or endpoints");
    return 0;
}

static int check_subject(const struct cl_fetch_request *what, struct cl_error *err)
{
    if (what->kind == CL_FETCH_LOGIN)
        return 0;
    if (what->repository == NULL || !is_path(what->repository) || what->reference == NULL ||
        !is_path(what->reference) || strchr(what->reference, '/') != NULL)
        return cl_refuse(err, EINVAL, "a request for what has no name, or none for a URL");
    if (what->kind == CL_FETCH_BLOB && (what->set & CL_RECORD_BIT(CL_FETCH_REQUEST_SIZE)) == 0)
        return cl_refuse(err, EINVAL, "a request for a blob of unknown size");
    return 0;
}

static int take_descriptors(struct cl_request *request, int fds[2], struct cl_error *err)
{
    const struct cl_fetch_request *what = &request->what;

    if ((fds[0] >= 0) != takes_body(what->kind) || (fds[1] >= 0 && what->kind != CL_FETCH_BLOB))
        return cl_refuse(err, EINVAL, "a request with descriptors that it has no use for, or none");
    if (what->kind == CL_FETCH_BLOB)
        return cl_blob_init(fds, what->offset_bytes, what->size_bytes, &request->blob, err);
    request->body = CL_TAKE_FD(fds[0]);
    return 0;
}

static int read_message(struct cl_request *request, const struct cl_bytes *bytes,
                        struct cl_error *err)
{
    request->message = cl_realloc(NULL, bytes->size + 1);
    if (request->message == NULL)
        return cl_fail_memory(err);
    memcpy(request->message, bytes->data, bytes->size);
    request->message_size = bytes->size;
    const struct cl_bytes own = {request->message, bytes->size};
    int r = cl_flat_read(&cl_fetch_request_shape, &own, &request->arena, &request->what, err);
    return r < 0 ? r : check_what(&request->what, err);
}

static void set_limits(struct cl_request *request)
{
    struct cl_fetch_request *what = &request->what;
    uint64_t most = what->kind == CL_FETCH_LOGIN ? CL_COMPLAINT_MAX : CL_MAX_MANIFEST_BYTES;

    if (what->kind == CL_FETCH_MANIFEST && (what->set & CL_RECORD_BIT(CL_FETCH_REQUEST_SIZE)) != 0)
        most = cl_min_u64(most, what->size_bytes);
    request->manifest = CL_BUF_INIT(most);
    request->forgiven_bytes = request->blob.have;
    if (what->kind != CL_FETCH_LOGIN)
        (void)snprintf(request->scope, sizeof(request->scope), "repository:%s:pull",
                       what->repository);
}

static void begin_endpoint(struct cl_request *request);

static void begin(struct cl_request *request, int fds[2])
{
    struct cl_error err = {0};
    int r = check_subject(&request->what, &err);

    if (r == 0)
        r = take_descriptors(request, fds, &err);
    if (r < 0) {
        cl_request_fail(request, &err);
        return;
    }
    set_limits(request);
    if (request->what.kind == CL_FETCH_BLOB && request->blob.size > 0 &&
        request->blob.have == request->blob.size) {
        const struct cl_fetch_report report = {0};

        cl_request_succeed(request, &report); /* nothing is left to be asked for */
        return;
    }
    begin_endpoint(request);
}

struct cl_request *cl_request_new(const struct cl_request_host *host, const struct cl_bytes *bytes,
                                  int fds[2], struct cl_error *err)
{
    struct cl_request *request = cl_calloc(1, sizeof(*request));

    if (request == NULL) {
        (void)cl_fail_memory(err);
        return NULL;
    }
    request->host = *host;
    request->arena = CL_ARENA_INIT(ARENA_CAP);
    request->body = -1;
    request->blob.body = -1;
    request->blob.ticks = -1;
    request->mirrors = CL_BUF_INIT(MIRRORS_SAID);
    request->wait = (struct cl_token_wait){.ready = token_is_ready, .context = request};
    cl_exchange_init(&request->exchange, host->net, &cl_request_answers, request);
    if (read_message(request, bytes, err) < 0) {
        cl_request_free(request);
        return NULL;
    }
    begin(request, fds);
    return request;
}

void cl_request_free(struct cl_request *request)
{
    cl_token_wait_cancel(&request->wait);
    cl_exchange_done(&request->exchange);
    cl_blob_done(&request->blob);
    cl_fd_close(&request->body);
    cl_buf_done(&request->manifest);
    cl_buf_done(&request->mirrors);
    cl_arena_done(&request->arena);
    if (request->message != NULL) /* it has secrets */
        explicit_bzero(request->message, request->message_size);
    free(request->message);
    free(request);
}

/* --- asking ---------------------------------------------------------------- */

static const struct cl_fetch_endpoint *current(const struct cl_request *request)
{
    return &request->what.endpoints.items[request->endpoint];
}

int cl_request_is_last_endpoint(const struct cl_request *request)
{
    return request->endpoint + 1 == request->what.endpoints.count;
}

static int make_url(const struct cl_request *request, struct cl_url *ret, struct cl_error *err)
{
    const struct cl_fetch_request *what = &request->what;
    char path[CL_SCOPE_SIZE * 2] = "/v2/";

    if (what->kind != CL_FETCH_LOGIN)
        (void)snprintf(path, sizeof(path), "/v2/%s/%s/%s", what->repository,
                       what->kind == CL_FETCH_BLOB ? "blobs" : "manifests", what->reference);
    return cl_url_parse(path, cl_door_url(request->door), "what is asked for", ret, err);
}

static int start_exchange(struct cl_request *request, const struct cl_grant *grant,
                          struct cl_error *err)
{
    const uint64_t kind = request->what.kind;
    CL_CLEANUP_URL struct cl_url url = {0};
    int r = make_url(request, &url, err);

    if (r < 0)
        return r;
    request->manifest.size = 0;
    request->serial = grant->serial;
    request->wrong_range = 0;
    request->asked_from = request->no_range ? 0 : request->blob.have;
    const struct cl_ask ask = {
        .method = CL_METHOD_GET,
        .url = &url,
        .accept = kind == CL_FETCH_MANIFEST ? accepted_manifests : NULL,
        .authorization = grant->authorization,
        .authority = cl_door_authority(request->door),
        .from = request->asked_from,
        .bulk = kind == CL_FETCH_BLOB,
    };
    return cl_exchange_start(&request->exchange, &ask, err);
}

void cl_request_ask(struct cl_request *request)
{
    struct cl_grant grant = {0};
    struct cl_error err = {0};
    int r = 1;

    if (!request->plainly)
        r = cl_door_grant(request->door, request->scope, &request->wait, &grant, &err);
    if (r == 0)
        request->state = CL_REQUEST_WAITING_TOKEN;
    if (r == 1) {
        request->state = CL_REQUEST_ASKING;
        r = start_exchange(request, &grant, &err);
    }
    if (r < 0)
        cl_request_give_up_endpoint(request, &err);
}

static void token_is_ready(void *context, const struct cl_error *failure)
{
    struct cl_request *request = context;

    if (failure != NULL && request->challenged) {
        cl_request_give_up_endpoint(request, failure);
        return;
    }
    request->plainly = failure != NULL; /* another repository may have been locked, not this one */
    cl_request_ask(request);
}

static int choose_door(struct cl_request *request, struct cl_error *err)
{
    int r = cl_auth_door(request->host.auth, current(request), &request->door, err);

    if (r < 0 || cl_request_is_last_endpoint(request) || cl_door_avoided(request->door) == NULL)
        return r;
    *err = *cl_door_avoided(request->door);
    return -err->code;
}

static void begin_endpoint(struct cl_request *request)
{
    struct cl_error err = {0};

    request->tries = (struct cl_tries){.all = request->tries.all};
    request->refusals = 0;
    request->challenged = 0;
    request->plainly = 0;
    request->no_range = 0;
    if (choose_door(request, &err) < 0)
        cl_request_give_up_endpoint(request, &err);
    else
        cl_request_ask(request);
}

void cl_request_ask_again(struct cl_request *request, const struct cl_again *again,
                          const struct cl_error *why)
{
    uint64_t wait_ns = 0;
    uint32_t random = 0;

    (void)cl_sys_getrandom(&random, sizeof(random)); /* any number will do */
    if (!cl_tries_again(&request->tries, again->most, random, &wait_ns)) {
        cl_request_give_up_endpoint(request, why);
        return;
    }
    wait_ns = cl_max_u64(wait_ns, again->least_ns);
    request->state = CL_REQUEST_WAITING_TIME;
    request->wake_ns = cl_clock_boot_ns() + wait_ns / request->host.net->waits.hurry;
}

/* --- ends ------------------------------------------------------------------ */

/* The core asks some registries by https first and then by http, at the same place: that one
 * doesn't speak TLS is no news then. */
static int is_scheme_tried(const struct cl_request *request, const struct cl_error *why)
{
    const char *next = request->what.endpoints.items[request->endpoint + 1].url;

    return why->code == EPROTONOSUPPORT && strncmp(next, "http:", 5) == 0;
}

/* As far as there is room; what doesn't fit ends with a word. */
static void note_mirror(struct cl_request *request, const struct cl_error *why)
{
    struct cl_buf *said = &request->mirrors;
    const char *mark = said->size > 0 ? "; " : "";
    const size_t room = cl_min_u64(MIRROR_SAID, said->cap - said->size - strlen("; ..."));
    size_t size = strlen(why->msg);

    if (is_scheme_tried(request, why) || said->cap - said->size <= strlen("; ..."))
        return;
    if (size <= room) {
        (void)cl_buf_printf(said, "%s%s", mark, why->msg);
        return;
    }
    for (size = room; size > 0 && why->msg[size] != ' ';)
        size--;
    (void)cl_buf_printf(said, "%s%.*s...", mark, (int)size, why->msg);
}

/* Who shows a certificate speaks TLS: whoever it is, plain HTTP is no answer to one that isn't to
 * be trusted, and what that says is no news. */
static size_t next_endpoint(const struct cl_request *request, const struct cl_error *why)
{
    const struct cl_fetch_endpoints *all = &request->what.endpoints;
    const char *now = current(request)->url;
    const size_t next = request->endpoint + 1;

    if (why->code == EKEYREJECTED && next < all->count && strncmp(now, "https://", 8) == 0 &&
        strncmp(all->items[next].url, "http://", 7) == 0 &&
        strcmp(now + 8, all->items[next].url + 7) == 0)
        return next + 1;
    return next;
}

void cl_request_give_up_endpoint(struct cl_request *request, const struct cl_error *why)
{
    const size_t next = next_endpoint(request, why);

    if (next >= request->what.endpoints.count) {
        struct cl_error err = *why;

        if (request->mirrors.size > 0 && strcmp(request->mirrors.data, why->msg) != 0)
            (void)cl_hint(&err, "before that, %s", request->mirrors.data);
        cl_request_fail(request, &err);
        return;
    }
    note_mirror(request, why);
    request->endpoint = next;
    begin_endpoint(request);
}

static void set_report(struct cl_request *request, const struct cl_fetch_report *report)
{
    request->report = *report;
    request->report.set |= CL_RECORD_BIT(CL_FETCH_REPORT_ID) | CL_RECORD_BIT(CL_FETCH_REPORT_KIND);
    request->report.id = request->what.id;
    if (request->what.kind == CL_FETCH_BLOB) {
        request->report.set |= CL_RECORD_BIT(CL_FETCH_REPORT_BYTES);
        request->report.bytes = request->blob.have;
    }
    if (request->what.endpoints.count > 0) {
        request->report.set |= CL_RECORD_BIT(CL_FETCH_REPORT_URL);
        request->report.url = current(request)->url;
    }
    request->state = CL_REQUEST_REPORTING;
}

void cl_request_fail(struct cl_request *request, const struct cl_error *why)
{
    request->failure = *why;
    const struct cl_fetch_report report = {
        .set = CL_RECORD_BIT(CL_FETCH_REPORT_CODE) | CL_RECORD_BIT(CL_FETCH_REPORT_ERROR),
        .kind = CL_FETCH_FAILED,
        .code = (uint64_t)why->code,
        .error = request->failure.msg,
    };
    set_report(request, &report);
}

void cl_request_succeed(struct cl_request *request, const struct cl_fetch_report *report)
{
    struct cl_fetch_report done = *report;

    done.kind = CL_FETCH_DONE;
    set_report(request, &done);
}

/* --- what is due ----------------------------------------------------------- */

static void report_progress(struct cl_request *request, uint64_t now_ns)
{
    const struct cl_fetch_report report = {
        .set = CL_RECORD_BIT(CL_FETCH_REPORT_ID) | CL_RECORD_BIT(CL_FETCH_REPORT_KIND) |
               CL_RECORD_BIT(CL_FETCH_REPORT_BYTES),
        .id = request->what.id,
        .kind = CL_FETCH_PROGRESS,
        .bytes = request->blob.have,
    };

    if (request->blob.have == request->reported_bytes ||
        now_ns - request->reported_ns < REPORT_EVERY_NS)
        return;
    if (request->host.report(request->host.context, &report) < 0)
        return; /* the core is behind: it will hear of more later */
    request->reported_ns = now_ns;
    request->reported_bytes = request->blob.have;
}

/* The file is written when there is enough, or after a moment. When the next write is due. */
static uint64_t flush_blob(struct cl_request *request, uint64_t now_ns)
{
    struct cl_blob *blob = &request->blob;
    struct cl_error err = {0};

    if (blob->gathered_size == 0 && !cl_blob_owes_tick(blob))
        return UINT64_MAX;
    if (now_ns - request->flushed_ns < FLUSH_EVERY_NS)
        return request->flushed_ns + FLUSH_EVERY_NS;
    request->flushed_ns = now_ns;
    if (cl_blob_flush(blob, &err) < 0) {
        cl_exchange_stop(&request->exchange);
        cl_token_wait_cancel(&request->wait);
        cl_request_fail(request, &err);
    }
    return UINT64_MAX;
}

/* The last tick goes before the last report, and the pipe is closed in between. */
static void report_end(struct cl_request *request)
{
    struct cl_error err = {0};

    (void)cl_blob_tick(&request->blob, &err); /* to a reader that may have gone */
    if (cl_blob_owes_tick(&request->blob) && !request->blob.abandoned)
        return;
    cl_blob_done(&request->blob);
    cl_fd_close(&request->body);
    if (request->host.report(request->host.context, &request->report) == 0)
        request->state = CL_REQUEST_OVER;
}

uint64_t cl_request_tick(struct cl_request *request, uint64_t now_ns)
{
    uint64_t next = UINT64_MAX;

    if (request->state == CL_REQUEST_WAITING_TIME) {
        if (now_ns >= request->wake_ns)
            cl_request_ask(request);
        else
            next = request->wake_ns;
    }
    if (request->what.kind == CL_FETCH_BLOB && request->state < CL_REQUEST_REPORTING) {
        next = cl_min_u64(next, flush_blob(request, now_ns));
        report_progress(request, now_ns);
    }
    if (request->state == CL_REQUEST_REPORTING)
        report_end(request);
    return next;
}

int cl_request_slow_pipe(const struct cl_request *request)
{
    return cl_blob_owes_tick(&request->blob) ? request->blob.ticks : -1;
}

int cl_request_is_over(const struct cl_request *request)
{
    return request->state == CL_REQUEST_OVER;
}
