#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "helpers/fetch/explain.h"
#include "helpers/fetch/range.h"
#include "helpers/fetch/request_parts.h"

enum {
    MAX_REFUSALS = 4,         /* 401s of one endpoint in a row */
    FORGIVEN_AFTER = 1 << 20, /* bytes that make earlier failures count no more */
};

static unsigned int most_tries(const struct cl_request *request)
{
    return cl_request_is_last_endpoint(request) ? CL_TRIES_ORIGIN : CL_TRIES_MIRROR;
}

static struct cl_range asked_range(const struct cl_request *request)
{
    return (struct cl_range){request->asked_from, request->blob.size};
}

/* --- the body, while it comes ---------------------------------------------- */

static int refuse_range(struct cl_request *request, struct cl_error *err)
{
    const struct cl_head *head = &request->exchange.head;

    request->wrong_range = 1;
    return cl_refuse(err, EPROTO,
                     "%s answers a question for the bytes from %" PRIu64 " on with a wrong range "
                     "(status %u, %.60s)",
                     request->exchange.url.place, request->asked_from, head->status,
                     head->content_range == NULL ? "without Content-Range" : head->content_range);
}

static int begin_blob(struct cl_request *request, const struct cl_head *head, struct cl_error *err)
{
    const struct cl_range range = asked_range(request);
    const int64_t length = cl_head_length(head);

    switch (cl_range_judge(&range, head->status, head->content_range)) {
    case CL_RANGE_FOLLOWS:
        cl_blob_begin(&request->blob, request->asked_from);
        return 0;
    case CL_RANGE_WHOLE:
        if (length >= 0 && (uint64_t)length != request->blob.size)
            return cl_refuse(err, EBADMSG,
                             "%s has a blob of %" PRId64 " bytes there, not of %" PRIu64,
                             request->exchange.url.place, length, request->blob.size);
        cl_blob_begin(&request->blob, 0);
        return 0;
    case CL_RANGE_NOTHING:
    case CL_RANGE_WRONG:
        break;
    }
    return refuse_range(request, err);
}

static int begin_manifest(struct cl_request *request, const struct cl_head *head,
                          struct cl_error *err)
{
    const int64_t length = cl_head_length(head);

    if (head->status != 200)
        return cl_refuse(err, EPROTO, "%s answers with status %u", request->exchange.url.place,
                         head->status);
    if (length >= 0 && (uint64_t)length > request->manifest.cap)
        return cl_refuse(err, EFBIG,
                         "%s has a manifest of %" PRId64 " bytes; %zu are the most that is taken",
                         request->exchange.url.place, length, request->manifest.cap);
    return 0;
}

static int on_head(void *context, const struct cl_head *head, struct cl_error *err)
{
    struct cl_request *request = context;

    request->refusals = 0;
    cl_door_welcomed(request->door, request->scope, request->serial);
    switch (request->what.kind) {
    case CL_FETCH_BLOB:
        return begin_blob(request, head, err);
    case CL_FETCH_MANIFEST:
        return begin_manifest(request, head, err);
    default:
        return 0;
    }
}

/* A manifest, or what comes with a login and isn't looked at. */
static int add_to_manifest(struct cl_request *request, const void *data, size_t size,
                           struct cl_error *err)
{
    int r = cl_buf_add(&request->manifest, data, size);

    if (r == -EFBIG)
        return cl_refuse(err, EFBIG, "%s sends more than the %zu bytes that are taken",
                         request->exchange.url.place, request->manifest.cap);
    return r < 0 ? cl_fail_memory(err) : 0;
}

static int on_data(void *context, const void *data, size_t size, struct cl_error *err)
{
    struct cl_request *request = context;

    if (request->what.kind != CL_FETCH_BLOB)
        return add_to_manifest(request, data, size, err);
    int r = cl_blob_add(&request->blob, data, size, err);
    return r == -EFBIG ? cl_prefix(err, "%s", request->exchange.url.place) : r;
}

/* --- answers, when they are whole ------------------------------------------ */

static const char *keep_text(struct cl_request *request, const char *text)
{
    return text == NULL ? NULL : cl_arena_strdup(&request->arena, text);
}

static void succeed(struct cl_request *request)
{
    const struct cl_head *head = &request->exchange.head;
    const int64_t length = cl_head_length(head);
    struct cl_fetch_report report = {
        .media_type = keep_text(request, head->content_type),
    };

    if (report.media_type != NULL)
        report.set |= CL_RECORD_BIT(CL_FETCH_REPORT_TYPE);
    if (request->what.kind == CL_FETCH_MANIFEST || length >= 0) {
        report.set |= CL_RECORD_BIT(CL_FETCH_REPORT_BYTES);
        report.bytes =
            request->what.kind == CL_FETCH_MANIFEST ? request->manifest.size : (uint64_t)length;
    }
    cl_request_succeed(request, &report);
}

/* The report says how much of the file it is. */
static int write_manifest(struct cl_request *request, struct cl_error *err)
{
    const struct cl_buf *manifest = &request->manifest;
    size_t done = 0;
    int r = 0;

    while (r >= 0 && done < manifest->size) {
        r = (int)cl_sys_pwrite(request->body, manifest->data + done, manifest->size - done,
                               (off_t)done);
        if (r == -EINTR)
            r = 0;
        done += r > 0 ? (size_t)r : 0;
    }
    return r < 0 ? cl_fail(err, r, "write a downloaded manifest") : 0;
}

/* The connection ended as if all were there, but it isn't; or a server gave a part. */
static void ask_for_rest(struct cl_request *request)
{
    const struct cl_again again = {most_tries(request), 0};
    struct cl_error err = {0};

    (void)cl_refuse(&err, ECONNRESET, "%s ended the blob after %" PRIu64 " of %" PRIu64 " bytes",
                    request->exchange.url.place, request->blob.have, request->blob.size);
    cl_request_ask_again(request, &again, &err);
}

static void take_success(struct cl_request *request)
{
    struct cl_error err = {0};

    if (request->what.kind == CL_FETCH_BLOB && request->blob.have < request->blob.size)
        ask_for_rest(request);
    else if (request->what.kind == CL_FETCH_MANIFEST && write_manifest(request, &err) < 0)
        cl_request_fail(request, &err);
    else
        succeed(request);
}

/* A wrong range is answered by doing without, once; there is always the whole. */
static void do_without_range(struct cl_request *request, const struct cl_error *why)
{
    if (request->no_range) {
        cl_request_give_up_endpoint(request, why);
        return;
    }
    request->no_range = 1;
    cl_request_ask(request);
}

static void take_unsatisfied_range(struct cl_request *request)
{
    const struct cl_range range = asked_range(request);
    const struct cl_head *head = &request->exchange.head;
    struct cl_error err = {0};

    if (request->what.kind == CL_FETCH_BLOB &&
        cl_range_judge(&range, head->status, head->content_range) == CL_RANGE_NOTHING) {
        succeed(request);
        return;
    }
    (void)refuse_range(request, &err);
    do_without_range(request, &err);
}

/* --- refusals -------------------------------------------------------------- */

static void take_challenge(struct cl_request *request)
{
    const struct cl_exchange *exchange = &request->exchange;
    const struct cl_challenge_seen seen = {
        .scope = request->scope,
        .serial = exchange->authorization == NULL ? 0 : request->serial,
        .had_authorization = exchange->authorization != NULL,
        .head = &exchange->head,
        .reach = exchange->reach,
    };
    struct cl_error err = {0};
    int r = 0;

    request->challenged = 1;
    request->plainly = 0;
    if (!cl_url_same_place(&exchange->url, &exchange->first))
        r = cl_refuse(&err, EACCES, "%s, where %s sends us to, wants credentials: it gets none",
                      exchange->url.place, exchange->first.place);
    else if (++request->refusals > MAX_REFUSALS)
        r = cl_refuse(&err, EACCES, "%s wants other credentials each time", exchange->url.place);
    else
        r = cl_door_challenged(request->door, &seen, &err);
    if (r == 0 && request->what.kind == CL_FETCH_LOGIN &&
        cl_door_withheld_from(request->door) != NULL)
        r = cl_refuse(&err, EACCES,
                      "%s gives out its tokens at %s, which is another's host: the credentials "
                      "weren't sent there",
                      exchange->url.place, cl_door_withheld_from(request->door));
    if (r < 0)
        cl_request_give_up_endpoint(request, &err);
    else
        cl_request_ask(request);
}

static void say_missing(const struct cl_request *request, const char *said, struct cl_error *err)
{
    const struct cl_fetch_request *what = &request->what;
    const char *place = request->exchange.url.place;
    const char *mark = strchr(what->kind == CL_FETCH_LOGIN ? "" : what->reference, ':');

    if (what->kind == CL_FETCH_LOGIN)
        (void)cl_refuse(err, ENOENT, "%s is no registry: it has no /v2/", place);
    else if (what->kind == CL_FETCH_BLOB)
        (void)cl_refuse(err, ENOENT, "%s has no blob %s in %s%s", place, what->reference,
                        what->repository, said);
    else
        (void)cl_refuse(err, ENOENT, "%s has no image %s%s%s%s", place, what->repository,
                        mark != NULL ? "@" : ":", what->reference, said);
}

static void take_refusal(struct cl_request *request)
{
    CL_CLEANUP_BUF struct cl_buf said = CL_BUF_INIT(512);
    const struct cl_exchange *exchange = &request->exchange;
    const char *withheld = cl_door_withheld_from(request->door);
    struct cl_error err = {0};

    cl_explain_complaint(exchange, &said);
    if (exchange->head.status == 404)
        say_missing(request, cl_buf_text(&said), &err);
    else if (exchange->head.status == 403)
        (void)cl_refuse(&err, EACCES, "%s denies this%s", exchange->url.place, cl_buf_text(&said));
    else
        (void)cl_refuse(&err, EIO, "%s answers with status %u%s", exchange->url.place,
                        exchange->head.status, cl_buf_text(&said));
    if (withheld != NULL)
        (void)cl_hint(&err, "credentials for %s were not sent to %s, as it is another's host",
                      cl_door_url(request->door)->place, withheld);
    cl_request_give_up_endpoint(request, &err);
}

/* 408, 429 and 5xx: it may be better in a while, and the server may know when. */
static void take_trouble(struct cl_request *request)
{
    CL_CLEANUP_BUF struct cl_buf said = CL_BUF_INIT(512);
    const struct cl_exchange *exchange = &request->exchange;
    const struct cl_head *head = &exchange->head;
    struct cl_again again = {most_tries(request), 0};
    struct cl_error err = {0};

    cl_explain_complaint(exchange, &said);
    if (head->status == 429)
        (void)cl_refuse(&err, EBUSY, "%s has had too many requests from here%s",
                        exchange->url.place, cl_buf_text(&said));
    else
        (void)cl_refuse(&err, EIO, "%s has trouble of its own: status %u%s", exchange->url.place,
                        head->status, cl_buf_text(&said));
    if (head->retry_after != NULL &&
        cl_retry_after(head->retry_after, cl_clock_wall_ns(), &again.least_ns) == 0)
        (void)cl_hint(&err, "it asks to come back in %llu s", again.least_ns / CL_NS_PER_S);
    if (again.least_ns > CL_LONGEST_RETRY_AFTER_NS ||
        (head->status == 429 && !cl_request_is_last_endpoint(request)))
        cl_request_give_up_endpoint(request, &err);
    else
        cl_request_ask_again(request, &again, &err);
}

static void take_answer(struct cl_request *request)
{
    const unsigned int status = request->exchange.head.status;

    if (status / 100 == 2)
        take_success(request);
    else if (status == 401)
        take_challenge(request);
    else if (status == 416)
        take_unsatisfied_range(request);
    else if (status == 408 || status == 429 || status / 100 == 5)
        take_trouble(request);
    else
        take_refusal(request);
}

/* --- ends ------------------------------------------------------------------ */

/* In the middle of a blob, a registry that was there will be there again. */
static int was_there(const struct cl_request *request)
{
    return request->blob.have > request->what.offset_bytes;
}

static void take_unreachable(struct cl_request *request, const struct cl_error *why)
{
    const struct cl_again again = {was_there(request) ? CL_TRIES_ORIGIN : CL_TRIES_CONNECT, 0};

    if (cl_request_is_last_endpoint(request)) {
        cl_request_ask_again(request, &again, why);
        return;
    }
    cl_door_avoid(request->door, why);
    cl_request_give_up_endpoint(request, why);
}

/* What came is kept, whatever ended it. */
static int keep_blob(struct cl_request *request, struct cl_error *err)
{
    if (request->what.kind != CL_FETCH_BLOB)
        return 0;
    int r = cl_blob_flush(&request->blob, err);
    if (request->blob.have - request->forgiven_bytes >= FORGIVEN_AFTER) {
        request->forgiven_bytes = request->blob.have;
        cl_tries_progressed(&request->tries);
    }
    return r;
}

static void on_end(void *context, enum cl_end how)
{
    struct cl_request *request = context;
    const struct cl_again again = {request->exchange.unanswered && !was_there(request)
                                       ? CL_TRIES_CONNECT
                                       : most_tries(request),
                                   0};
    const struct cl_error why = request->exchange.err;
    struct cl_error err = {0};

    if (keep_blob(request, &err) < 0) {
        cl_request_fail(request, &err);
        return;
    }
    switch (how) {
    case CL_END_ANSWERED:
        take_answer(request);
        return;
    case CL_END_CUT:
        cl_request_ask_again(request, &again, &why);
        return;
    case CL_END_UNREACHABLE:
        take_unreachable(request, &why);
        return;
    case CL_END_UNTRUSTED:
        cl_door_avoid(request->door, &why);
        cl_request_give_up_endpoint(request, &why);
        return;
    case CL_END_REFUSED:
        if (request->wrong_range)
            do_without_range(request, &why);
        else
            cl_request_give_up_endpoint(request, &why);
        return;
    }
}

const struct cl_exchange_owner cl_request_answers = {on_head, on_data, on_end};
