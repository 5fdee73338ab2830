/* url.h - URLs as far as rules about hosts need them, taken apart by libcurl's own parser, so
 * that what is checked is what is connected to.
 *
 * Only http and https; a user name in a URL, a host with bytes outside of ASCII (curl would
 * look up another name than the one that was compared) and port 0 are errors.
 *
 * Source: RFC 3986; curl_url(3).
 */
#ifndef CL_HELPERS_FETCH_URL_H
#define CL_HELPERS_FETCH_URL_H

#include "base/error.h"

enum { CL_URL_MAX = 8192, CL_URL_HOST_SIZE = 256, CL_URL_PLACE_SIZE = CL_URL_HOST_SIZE + 8 };

struct cl_url {
    char *text; /* normalised; owned */
    int tls;
    uint16_t port;
    char host[CL_URL_HOST_SIZE];   /* lower case; an IPv6 address in brackets */
    char place[CL_URL_PLACE_SIZE]; /* for messages: HOST, or HOST:PORT when that isn't the usual */
};

void cl_url_done(struct cl_url *url);
#define CL_CLEANUP_URL CL_CLEANUP(cl_url_done)

/* TEXT, which may be relative where BASE is not NULL. -EINVAL; WHAT begins the message. */
int cl_url_parse(const char *text, const struct cl_url *base, const char *what, struct cl_url *ret,
                 struct cl_error *err);

/* The same scheme, host and port: what credentials belong to. */
int cl_url_same_place(const struct cl_url *a, const struct cl_url *b);

/* Adds "NAME=VALUE" to the query. */
int cl_url_add_query(struct cl_url *url, const char *name, const char *value, struct cl_error *err);

#endif
