/* exchange.h - one question to a server and its answer, by way of the redirects in between.
 *
 * Each hop is a transfer of curl's; redirects are followed here and not by curl, because the
 * rules about them are ours: at most five, never from https to http, never to an address that
 * only we can reach (helpers/fetch/rules.h; looked at where the connection is made, so that a
 * name that resolves to something else the second time gains nothing), and with no
 * credentials but to the place they are for.
 *
 * Owner: whoever holds the struct; cl_exchange_init before, cl_exchange_done after. It must
 * not be moved. The owner hears of it by its functions; the last one is on_end.
 */
#ifndef CL_HELPERS_FETCH_EXCHANGE_H
#define CL_HELPERS_FETCH_EXCHANGE_H

#include <curl/curl.h>

#include "base/buf.h"
#include "helpers/fetch/head.h"
#include "helpers/fetch/net.h"
#include "helpers/fetch/pace.h"
#include "helpers/fetch/rules.h"
#include "helpers/fetch/url.h"

enum { CL_MAX_REDIRECTS = 5 };

enum cl_method { CL_METHOD_GET, CL_METHOD_POST };

struct cl_ask {
    enum cl_method method;
    const struct cl_url *url;
    const char *accept;        /* outlives the exchange; NULL: whatever */
    const char *authorization; /* NULL: none */
    int once;                  /* the authorization is for this hop alone, whatever follows */
    const char *form;          /* POST: its body */
    const char *authority;     /* PEM or ""; outlives the exchange */
    uint64_t from;             /* bytes from here on; 0: all */
    int bulk;                  /* a big body */
    int has_sender;            /* the URL was named by a server, at an address of this reach: */
    enum cl_reach sender_reach;
};

enum cl_end {
    CL_END_ANSWERED,    /* a whole answer, of any status but a redirect's: see `head` */
    CL_END_UNREACHABLE, /* no such name, no connection */
    CL_END_UNTRUSTED,   /* TLS */
    CL_END_CUT,         /* the connection ended or stalled: it may be better the next time */
    CL_END_REFUSED,     /* by us: rules, bounds, what the owner said */
};

struct cl_exchange;

struct cl_exchange_owner {
    /* The head of an answer of status 2xx is there, its body follows. < 0 ends it. */
    int (*on_head)(void *context, const struct cl_head *head, struct cl_error *err);
    int (*on_data)(void *context, const void *data, size_t size, struct cl_error *err);
    /* It has ended; but for ANSWERED, exchange->err says why. May start it again. */
    void (*on_end)(void *context, enum cl_end end);
};

struct cl_exchange {
    struct cl_exchange *next; /* of the net's */
    struct cl_net *net;
    const struct cl_exchange_owner *owner;
    void *context;

    CURL *easy; /* NULL: not under way */
    struct curl_slist *headers;
    struct cl_ask ask;   /* but for what follows */
    char *authorization; /* owned, as the form */
    char *form;
    struct cl_url url; /* of this hop */
    struct cl_url first;
    unsigned int redirects;
    int was_sent;        /* somebody told us to ask this URL */
    enum cl_reach reach; /* of who did, or of who is asked */
    int silenced;        /* an answer whose body has gone on for long enough */

    struct cl_head head;
    struct cl_buf complaint; /* the body of an answer other than 2xx */
    struct cl_pace pace;
    int paced;      /* the request was sent */
    int unanswered; /* and given up before a whole head came */
    struct cl_error err;
    int refused; /* err is set by us */
    char curl_says[CURL_ERROR_SIZE];
};

void cl_exchange_init(struct cl_exchange *ret, struct cl_net *net,
                      const struct cl_exchange_owner *owner, void *context);
void cl_exchange_done(struct cl_exchange *exchange);

/* The exchange isn't under way. */
int cl_exchange_start(struct cl_exchange *exchange, const struct cl_ask *ask, struct cl_error *err);

/* Ends it where it is, without on_end. */
void cl_exchange_stop(struct cl_exchange *exchange);

/* For helpers/fetch/net.c. */
void cl_exchange_finished(struct cl_exchange *exchange, CURLcode code);
/* 1: it was given up. */
int cl_exchange_watch(struct cl_exchange *exchange, uint64_t now_ns);

#endif
