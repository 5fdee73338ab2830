/* token.h - one bearer token: asked for at a realm, kept until it expires. For auth.c, which
 * knows the doors that tokens open.
 *
 * Source: Docker's token authentication specification and its OAuth 2 variant.
 */
#ifndef CL_HELPERS_FETCH_TOKEN_H
#define CL_HELPERS_FETCH_TOKEN_H

#include "helpers/fetch/exchange.h"
#include "helpers/fetch/tries.h"

struct cl_token;

/* Somebody who waits for a token; the owner must not move it. */
struct cl_token_wait {
    struct cl_token_wait *next;
    struct cl_token *token;                                       /* NULL: doesn't wait */
    void (*ready)(void *context, const struct cl_error *failure); /* NULL: it is there */
    void *context;
};

/* Where and with what to ask. All borrowed; outlives the token. */
struct cl_realm {
    const char *endpoint; /* for messages */
    struct cl_url url;
    const char *service;   /* "": none */
    const char *user;      /* "": no credentials, or none that the realm may know */
    const char *basic;     /* "Basic ...", of the user */
    const char *identity;  /* identity token, in their place; "" */
    const char *authority; /* PEM or "" */
    int withheld;          /* there are credentials, but not for this realm */
    enum cl_reach reach;   /* of who named it */
};

enum cl_token_state { CL_TOKEN_IDLE, CL_TOKEN_ASKING, CL_TOKEN_WAITING };

struct cl_token {
    struct cl_token *next;
    const struct cl_realm *realm;
    char *scope;         /* owned; "" */
    char *authorization; /* "Bearer ..."; NULL: none yet */
    uint64_t serial;     /* another one for each token */
    uint64_t expires_ns;
    int proven; /* it has opened something */
    enum cl_token_state state;
    uint64_t wake_ns;
    struct cl_exchange exchange;
    struct cl_tries tries;
    struct cl_buf body;
    struct cl_token_wait *waiting;
};

struct cl_token *cl_token_new(struct cl_net *net, const struct cl_realm *realm, const char *scope);
void cl_token_free(struct cl_token *token);

int cl_token_is_good(const struct cl_token *token, uint64_t now_ns);
void cl_token_forget(struct cl_token *token);

/* WAIT hears what comes of it. Asks unless that is under way. */
int cl_token_want(struct cl_token *token, struct cl_token_wait *wait, struct cl_error *err);
void cl_token_wait_cancel(struct cl_token_wait *wait);

/* Asks again when it is time; when that is, UINT64_MAX for never. */
uint64_t cl_token_tick(struct cl_token *token, uint64_t now_ns);

#endif
