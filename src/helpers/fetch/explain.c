#include "helpers/fetch/explain.h"

#include <errno.h>
#include <string.h>

#include "helpers/fetch/json_answers.h"

/* What curl says, without what our own words say. */
static const char *reason_of(const struct cl_exchange *exchange, CURLcode code)
{
    static const char certificate[] = "SSL certificate problem: ";
    const char *says = exchange->curl_says;

    if (strncmp(says, certificate, strlen(certificate)) == 0)
        says += strlen(certificate);
    return says[0] != '\0' ? says : curl_easy_strerror(code);
}

/* Of all that connect(2) can fail with, what a caller may act upon: EACCES, say, would be taken
 * for a registry's. */
static int code_of(long errnum)
{
    switch (errnum) {
    case ECONNREFUSED:
    case ECONNRESET:
    case ETIMEDOUT:
    case ENETUNREACH:
        return (int)errnum;
    default:
        return EHOSTUNREACH;
    }
}

static enum cl_end explain_connection(const struct cl_exchange *exchange, struct cl_error *err)
{
    const struct cl_url *url = &exchange->url;
    long errnum = 0;

    (void)curl_easy_getinfo(exchange->easy, CURLINFO_OS_ERRNO, &errnum);
    if (errnum <= 0)
        errnum = EHOSTUNREACH;
    (void)cl_fail(err, (int)errnum, "can't connect to %s, port %u", url->host, url->port);
    err->code = code_of(errnum);
    if (errnum == ECONNREFUSED)
        (void)cl_hint(err, "is the registry running?");
    return CL_END_UNREACHABLE;
}

static enum cl_end explain_timeout(const struct cl_exchange *exchange, struct cl_error *err)
{
    const struct cl_url *url = &exchange->url;

    /* The one limit that curl has from us is for the time before the request. */
    (void)cl_refuse(err, ETIMEDOUT, "can't connect to %s, port %u: %.160s", url->host, url->port,
                    reason_of(exchange, CURLE_OPERATION_TIMEDOUT));
    return CL_END_UNREACHABLE;
}

static enum cl_end explain_name(const struct cl_exchange *exchange, struct cl_error *err)
{
    (void)cl_refuse(err, EHOSTUNREACH,
                    "%s: this name has no address; is it right, and does /etc/resolv.conf name a "
                    "server that answers?",
                    exchange->url.host);
    return CL_END_UNREACHABLE;
}

static enum cl_end explain_tls(const struct cl_exchange *exchange, CURLcode code,
                               struct cl_error *err)
{
    const char *place = exchange->url.place;
    const char *reason = reason_of(exchange, code);

    if (strstr(reason, "wrong version number") != NULL ||
        strstr(reason, "packet length too long") != NULL)
        (void)cl_refuse(err, EPROTONOSUPPORT,
                        "%s doesn't speak TLS at port %u; if that is meant to be so, let "
                        "registries.yaml say `http: true` for it",
                        exchange->url.host, exchange->url.port);
    else if (strstr(reason, "unable to get local issuer") != NULL ||
             strstr(reason, "self-signed") != NULL || strstr(reason, "self signed") != NULL)
        (void)cl_refuse(err, EKEYREJECTED,
                        "%s: nobody known signed its certificate (%.100s); if it is the right one, "
                        "name its authority's file in registries.yaml, as `authority: FILE`",
                        place, reason);
    else if (code == CURLE_SSL_CACERT_BADFILE)
        (void)cl_refuse(err, EKEYREJECTED,
                        "%s: the authority that is named for it can't be read: it has to be PEM, "
                        "-----BEGIN CERTIFICATE----- and so on",
                        place);
    else if (code == CURLE_PEER_FAILED_VERIFICATION)
        (void)cl_refuse(err, EKEYREJECTED, "%s: its certificate isn't valid for it: %.200s", place,
                        reason);
    else
        (void)cl_refuse(err, EPROTO, "%s: no TLS connection: %.200s", place, reason);
    /* A handshake that breaks off is a broken connection like any other. */
    return err->code == EPROTO && strstr(reason, "SSL_ERROR_SYSCALL") != NULL ? CL_END_UNREACHABLE
                                                                              : CL_END_UNTRUSTED;
}

static enum cl_end explain_answer(const struct cl_exchange *exchange, CURLcode code,
                                  struct cl_error *err)
{
    const char *place = exchange->url.place;

    switch ((int)code) {
    case CURLE_GOT_NOTHING:
        (void)cl_refuse(err, ECONNRESET, "%s closed the connection without an answer", place);
        return CL_END_CUT;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        (void)cl_refuse(err, EPROTO, "%s doesn't answer in HTTP: %.200s", place,
                        reason_of(exchange, code));
        return CL_END_REFUSED;
    case CURLE_OUT_OF_MEMORY: /* curl's word for a line of more than 100 KiB, too */
        if (exchange->paced && !exchange->head.complete)
            (void)cl_refuse(err, EFBIG, "%s: its headers don't end", place);
        else
            (void)cl_fail_memory(err);
        return CL_END_REFUSED;
    default: /* receiving, sending, a part of the body */
        (void)cl_refuse(err, ECONNRESET, "%s: the connection broke: %.200s", place,
                        reason_of(exchange, code));
        return CL_END_CUT;
    }
}

enum cl_end cl_explain(const struct cl_exchange *exchange, CURLcode code, struct cl_error *err)
{
    switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return explain_name(exchange, err);
    case CURLE_COULDNT_CONNECT:
        return explain_connection(exchange, err);
    case CURLE_OPERATION_TIMEDOUT:
        return explain_timeout(exchange, err);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return explain_tls(exchange, code, err);
    default:
        return explain_answer(exchange, code, err);
    }
}

void cl_explain_complaint(const struct cl_exchange *exchange, struct cl_buf *ret)
{
    CL_CLEANUP_BUF struct cl_buf said = CL_BUF_INIT(512);

    cl_complaint_read(cl_buf_text(&exchange->complaint), exchange->complaint.size, &said);
    if (said.size > 0)
        (void)cl_buf_printf(ret, " (%s)", said.data); /* a hint; nothing where it doesn't fit */
}
