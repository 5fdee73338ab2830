#include "helpers/fetch/url.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"

static void handle_done(CURLU **handle)
{
    curl_url_cleanup(*handle);
}
#define CL_CLEANUP_HANDLE CL_CLEANUP(handle_done)

static void part_done(char **part)
{
    curl_free(*part);
}
#define CL_CLEANUP_PART CL_CLEANUP(part_done)

void cl_url_done(struct cl_url *url)
{
    free(url->text);
    url->text = NULL;
}

static int take_scheme(CURLU *handle, struct cl_url *url)
{
    CL_CLEANUP_PART char *scheme = NULL;

    if (curl_url_get(handle, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        return -EINVAL;
    url->tls = strcmp(scheme, "https") == 0;
    return url->tls || strcmp(scheme, "http") == 0 ? 0 : -EPROTONOSUPPORT;
}

static int take_host(CURLU *handle, struct cl_url *url)
{
    CL_CLEANUP_PART char *host = NULL;

    if (curl_url_get(handle, CURLUPART_HOST, &host, 0) != CURLUE_OK || host[0] == '\0' ||
        strlen(host) >= sizeof(url->host))
        return -EINVAL;
    for (size_t i = 0; host[i] != '\0'; i++) {
        const char c = host[i];

        if (c <= ' ' || c >= 0x7f)
            return -EINVAL;
        url->host[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    return 0;
}

static int take_port(CURLU *handle, struct cl_url *url)
{
    CL_CLEANUP_PART char *text = NULL;
    uint64_t port;

    if (curl_url_get(handle, CURLUPART_PORT, &text, CURLU_DEFAULT_PORT) != CURLUE_OK ||
        cl_parse_u64(text, &port) < 0 || port < 1 || port > UINT16_MAX)
        return -EINVAL;
    url->port = (uint16_t)port;
    return 0;
}

static int take_text(CURLU *handle, struct cl_url *url)
{
    CL_CLEANUP_PART char *text = NULL;

    if (curl_url_get(handle, CURLUPART_URL, &text, 0) != CURLUE_OK || strlen(text) > CL_URL_MAX)
        return -EINVAL;
    char *copy = strdup(text);
    if (copy == NULL)
        return -ENOMEM;
    free(url->text);
    url->text = copy;
    return 0;
}

static int take_apart(CURLU *handle, struct cl_url *url)
{
    int r = take_scheme(handle, url);

    if (r == 0)
        r = take_host(handle, url);
    if (r == 0)
        r = take_port(handle, url);
    if (r == 0)
        r = take_text(handle, url);
    if (r < 0)
        return r;
    const int usual = url->port == (url->tls ? 443 : 80);
    (void)snprintf(url->place, sizeof(url->place), usual ? "%s" : "%s:%u", url->host, url->port);
    return 0;
}

/* For a message: a URL that names a user may name his password. */
static const char *shown(const char *text)
{
    return strchr(text, '@') == NULL ? text : "one with a user's name";
}

int cl_url_parse(const char *text, const struct cl_url *base, const char *what, struct cl_url *ret,
                 struct cl_error *err)
{
    CL_CLEANUP_HANDLE CURLU *handle = curl_url();
    CL_CLEANUP_URL struct cl_url url = {0};
    CURLUcode code = CURLUE_OK;

    if (handle == NULL)
        return cl_fail_memory(err);
    if (strlen(text) > CL_URL_MAX)
        return cl_refuse(err, EINVAL, "%s is longer than %d bytes", what, CL_URL_MAX);
    if (base != NULL)
        code = curl_url_set(handle, CURLUPART_URL, base->text, 0);
    if (code == CURLUE_OK)
        code = curl_url_set(handle, CURLUPART_URL, text, CURLU_DISALLOW_USER);
    if (code == CURLUE_OUT_OF_MEMORY)
        return cl_fail_memory(err);
    if (code != CURLUE_OK)
        return cl_refuse(err, EINVAL, "%s is no URL that is taken (%.100s): %s", what, shown(text),
                         curl_url_strerror(code));
    int r = take_apart(handle, &url);
    if (r == -ENOMEM)
        return cl_fail_memory(err);
    if (r < 0)
        return cl_refuse(err, -r, "%s is no http or https URL with an ASCII host (%.100s)", what,
                         shown(text));
    *ret = url;
    url.text = NULL;
    return 0;
}

int cl_url_same_place(const struct cl_url *a, const struct cl_url *b)
{
    return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

int cl_url_add_query(struct cl_url *url, const char *name, const char *value, struct cl_error *err)
{
    CL_CLEANUP_HANDLE CURLU *handle = curl_url();
    CL_CLEANUP_BUF struct cl_buf pair = CL_BUF_INIT(CL_URL_MAX);

    if (handle == NULL)
        return cl_fail_memory(err);
    if (cl_buf_printf(&pair, "%s=%s", name, value) < 0)
        return cl_refuse(err, EINVAL, "the %s for %s is too long", name, url->place);
    CURLUcode code = curl_url_set(handle, CURLUPART_URL, url->text, 0);
    if (code == CURLUE_OK)
        code =
            curl_url_set(handle, CURLUPART_QUERY, pair.data, CURLU_APPENDQUERY | CURLU_URLENCODE);
    if (code == CURLUE_OK && take_text(handle, url) == 0)
        return 0;
    return cl_refuse(err, EINVAL, "the %s can't be added to the URL at %s", name, url->place);
}
