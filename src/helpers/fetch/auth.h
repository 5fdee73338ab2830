/* auth.h - how each endpoint wants to be asked: what its first 401 said, and the tokens that
 * were got since.
 *
 * A "door" is an endpoint together with the credentials for it. Nothing is known of it at
 * first; a 401 tells whether it takes Basic or tokens, and from then on each question comes
 * with what it wants. A token is for one scope and is asked for once, however many wait for
 * it; it is kept until it expires or a 401 says that it has.
 *
 * Who gets to see what:
 *   the endpoint itself   Basic, or the bearer token (helpers/fetch/exchange.h sees to it that
 *                         no redirect takes them elsewhere)
 *   the token server      the password or identity token, if cl_realm_may_know; else it is
 *                         asked without, and errors say so
 * The scope is always "pull" of the repository that is asked for, whatever the challenge says:
 * a challenge can't make us ask for a token for anything else.
 *
 * Sources: Docker's token authentication specification and its OAuth 2 variant; RFC 6750, 7617.
 */
#ifndef CL_HELPERS_FETCH_AUTH_H
#define CL_HELPERS_FETCH_AUTH_H

#include "helpers/fetch/token.h"
#include "oci/fetch.h"

struct cl_door;

struct cl_auth {
    struct cl_net *net;
    struct cl_door *doors;
};

/* What a question is to come with. Borrowed, good until the next call. */
struct cl_grant {
    const char *authorization; /* the header's value; NULL: none */
    uint64_t serial;           /* of the token; 0: isn't one */
};

/* What came of a question. */
struct cl_challenge_seen {
    const char *scope;
    uint64_t serial;       /* of its grant */
    int had_authorization; /* and it stood in the request that was answered */
    const struct cl_head *head;
    enum cl_reach reach;
};

struct cl_auth cl_auth_init(struct cl_net *net);
/* Nobody waits any more. */
void cl_auth_done(struct cl_auth *auth);

/* Finds or makes it; it lives as long as AUTH. */
int cl_auth_door(struct cl_auth *auth, const struct cl_fetch_endpoint *endpoint,
                 struct cl_door **ret, struct cl_error *err);
const struct cl_url *cl_door_url(const struct cl_door *door);
const char *cl_door_authority(const struct cl_door *door);
int cl_door_has_credentials(const struct cl_door *door);
/* The token server that may not know the credentials; NULL: it may, or there is none. */
const char *cl_door_withheld_from(const struct cl_door *door);

/* It couldn't be connected to, or not be trusted, for WHY: whoever has another endpoint goes there
 * at once, for a while. */
void cl_door_avoid(struct cl_door *door, const struct cl_error *why);
/* Why it is avoided now; NULL: it isn't. */
const struct cl_error *cl_door_avoided(const struct cl_door *door);

/* 1: *RET is the grant for SCOPE ("": none). 0: a token is being asked for, WAIT will hear of
 * it. < 0: there is none to be had. */
int cl_door_grant(struct cl_door *door, const char *scope, struct cl_token_wait *wait,
                  struct cl_grant *ret, struct cl_error *err);

/* It was answered with 401. 0: ask again. -EACCES: that is of no use. */
int cl_door_challenged(struct cl_door *door, const struct cl_challenge_seen *seen,
                       struct cl_error *err);
/* It was answered, so that the token is a good one. */
void cl_door_welcomed(struct cl_door *door, const char *scope, uint64_t serial);

/* Asks again for tokens whose time has come; when the next one's is, UINT64_MAX for never. */
uint64_t cl_auth_tick(struct cl_auth *auth, uint64_t now_ns);

#endif
