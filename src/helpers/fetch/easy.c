#include "helpers/fetch/easy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"

enum {
    BULK_BUFFER = 256 << 10,
    KEEPALIVE_S = 30,
};

/* --- what curl asks -------------------------------------------------------- */

static size_t on_header(char *line, size_t one, size_t size, void *context)
{
    struct cl_exchange *exchange = context;
    struct cl_head *head = &exchange->head;

    (void)one; /* always 1: CURLOPT_HEADERFUNCTION(3) */
    cl_pace_count(&exchange->pace, exchange->net->now_ns, size);
    int r = cl_head_add(head, line, size, &exchange->err);
    if (r < 0)
        (void)cl_prefix(&exchange->err, "%s", exchange->url.place);
    if (r == 1) {
        const int64_t length = cl_head_length(head);

        exchange->pace.small = length >= 0 && length <= CL_PACE_SMALL;
        r = 0;
        if (head->status / 100 == 2)
            r = exchange->owner->on_head(exchange->context, head, &exchange->err);
    }
    if (r < 0)
        exchange->refused = 1;
    return r < 0 ? 0 : size;
}

/* What an answer says that isn't a success; the rest of what doesn't end isn't waited for. */
static size_t hear_complaint(struct cl_exchange *exchange, const char *data, size_t size)
{
    struct cl_buf *complaint = &exchange->complaint;
    const size_t room = complaint->cap - complaint->size;

    if (cl_buf_add(complaint, data, cl_min_u64(size, room)) < 0 || size > room) {
        exchange->silenced = 1;
        return 0;
    }
    return size;
}

static size_t on_body(char *data, size_t one, size_t size, void *context)
{
    struct cl_exchange *exchange = context;

    (void)one; /* always 1: CURLOPT_WRITEFUNCTION(3) */
    cl_pace_count(&exchange->pace, exchange->net->now_ns, size);
    if (exchange->head.status / 100 != 2)
        return hear_complaint(exchange, data, size);
    if (exchange->owner->on_data(exchange->context, data, size, &exchange->err) < 0) {
        exchange->refused = 1;
        return 0;
    }
    return size;
}

static int refuse_reach(struct cl_exchange *exchange, enum cl_reach reach)
{
    exchange->refused = 1;
    return cl_refuse(&exchange->err, EPERM,
                     "%s sends us to %s, which is %s: refused, since it isn't one itself",
                     exchange->first.place, exchange->url.place, cl_reach_name(reach));
}

static curl_socket_t make_socket(void *context, CL_UNUSED curlsocktype purpose,
                                 struct curl_sockaddr *address)
{
    struct cl_exchange *exchange = context;
    const enum cl_reach reach = cl_reach_of(&address->addr);

    if (exchange->was_sent && !cl_reach_allows(exchange->reach, reach)) {
        (void)refuse_reach(exchange, reach);
        return CURL_SOCKET_BAD;
    }
    const int fd = cl_sys_socket(address->family, address->socktype, address->protocol);
    if (fd < 0)
        errno = -fd;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* A connection is there, new or kept from another exchange: who is at its other end? */
static int before_request(void *context, char *peer, CL_UNUSED char *own, CL_UNUSED int peer_port,
                          CL_UNUSED int own_port)
{
    struct cl_exchange *exchange = context;
    const enum cl_reach reach = cl_reach_of_text(peer);

    if (exchange->was_sent && !cl_reach_allows(exchange->reach, reach)) {
        (void)refuse_reach(exchange, reach);
        return CURL_PREREQFUNC_ABORT;
    }
    exchange->refused = 0;   /* one of several addresses may have been */
    exchange->reach = reach; /* who may send us on now: no further in than this, ever */
    exchange->paced = 1;
    cl_pace_begin(&exchange->pace, exchange->net->now_ns);
    return CURL_PREREQFUNC_OK;
}

/* --- options --------------------------------------------------------------- */

static int add_header(struct cl_exchange *exchange, const char *fmt, ...) CL_PRINTF(2, 3);

static int add_header(struct cl_exchange *exchange, const char *fmt, ...)
{
    va_list args;
    char *line = NULL;

    va_start(args, fmt);
    const int size = vasprintf(&line, fmt, args);
    va_end(args);
    if (size < 0)
        return -ENOMEM;
    struct curl_slist *list = curl_slist_append(exchange->headers, line);
    explicit_bzero(line, (size_t)size);
    free(line);
    if (list == NULL)
        return -ENOMEM;
    exchange->headers = list;
    return 0;
}

/* A registry that compresses on the fly would send other bytes than the digest is of. */
static int make_headers(struct cl_exchange *exchange)
{
    const struct cl_ask *ask = &exchange->ask;
    int r = add_header(exchange, "Accept-Encoding: identity");

    if (r == 0 && ask->accept != NULL)
        r = add_header(exchange, "Accept: %s", ask->accept);
    if (r == 0 && ask->from > 0)
        r = add_header(exchange, "Range: bytes=%" PRIu64 "-", ask->from);
    if (r == 0 && exchange->authorization != NULL)
        r = add_header(exchange, "Authorization: %s", exchange->authorization);
    return r;
}

/* All that can fail is memory. */
#define SET(option, value) failed |= curl_easy_setopt(easy, option, value) != CURLE_OK

static int set_callbacks(struct cl_exchange *exchange)
{
    CURL *easy = exchange->easy;
    int failed = 0;

    SET(CURLOPT_PRIVATE, exchange);
    SET(CURLOPT_ERRORBUFFER, exchange->curl_says);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, exchange);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_OPENSOCKETFUNCTION, make_socket);
    SET(CURLOPT_OPENSOCKETDATA, exchange);
    SET(CURLOPT_PREREQFUNCTION, before_request);
    SET(CURLOPT_PREREQDATA, exchange);
    return failed;
}

static int set_question(const struct cl_exchange *exchange)
{
    CURL *easy = exchange->easy;
    int failed = 0;

    SET(CURLOPT_URL, exchange->url.text);
    SET(CURLOPT_HTTPHEADER, exchange->headers);
    SET(CURLOPT_USERAGENT, "cloister/" CL_VERSION);
    switch (exchange->ask.method) {
    case CL_METHOD_GET:
        SET(CURLOPT_HTTPGET, 1L);
        break;
    case CL_METHOD_POST:
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, exchange->form);
        SET(CURLOPT_POSTFIELDSIZE, (long)strlen(exchange->form));
        break;
    }
    return failed;
}

/* HTTP/2 would put all layers of a pull into one connection, which a long way makes slower,
 * take a tenth to a fifth more of the processor for large bodies, and bring one more parser of
 * foreign bytes; what it saves, round trips of many small questions, a pull has not. */
static int set_connection(const struct cl_exchange *exchange)
{
    CURL *easy = exchange->easy;
    int failed = 0;

    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, ""); /* whatever the environment says */
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* no wait for a resolver's thread that nobody needs any more */
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    SET(CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(exchange->net->waits.connect_ns / CL_NS_PER_MS));
    SET(CURLOPT_BUFFERSIZE, exchange->ask.bulk ? (long)BULK_BUFFER : (long)CURL_MAX_WRITE_SIZE);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    return failed;
}

int cl_easy_make(struct cl_exchange *exchange, struct cl_error *err)
{
    exchange->easy = curl_easy_init();
    if (exchange->easy == NULL || make_headers(exchange) < 0 || set_callbacks(exchange) ||
        set_question(exchange) || set_connection(exchange))
        return cl_fail_memory(err);
    if (!exchange->url.tls)
        return 0;
    return cl_trust_apply(&exchange->net->trust, exchange->easy, exchange->ask.authority, err);
}

void cl_easy_drop(struct cl_exchange *exchange)
{
    for (struct curl_slist *item = exchange->headers; item != NULL; item = item->next)
        explicit_bzero(item->data, strlen(item->data));
    curl_slist_free_all(exchange->headers);
    exchange->headers = NULL;
    curl_easy_cleanup(exchange->easy);
    exchange->easy = NULL;
}
