/* auth_header.h - the challenges of WWW-Authenticate headers.
 *
 * A header holds several challenges, an answer several headers, and commas stand between
 * challenges as well as between the parameters of one. Names of schemes and parameters are
 * taken in any case; a parameter that stands twice makes a header unreadable, since two
 * readers could take two different values.
 *
 * Source: RFC 9110, 11.2 to 11.6.1 and 5.6; RFC 6750, 3 (Bearer); RFC 7617 (Basic).
 */
#ifndef CL_HELPERS_FETCH_AUTH_HEADER_H
#define CL_HELPERS_FETCH_AUTH_HEADER_H

#include "base/arena.h"
#include "base/error.h"

enum {
    CL_AUTH_HEADER_MAX = 16 << 10, /* bytes of one */
    CL_MAX_CHALLENGES = 16,        /* of all headers of an answer */
    CL_MAX_AUTH_PARAMS = 32,       /* of one challenge */
};

enum cl_auth_scheme { CL_SCHEME_BEARER, CL_SCHEME_BASIC, CL_SCHEME_OTHER };

/* Texts are NULL where the challenge lacks them. */
struct cl_challenge {
    enum cl_auth_scheme scheme;
    const char *name; /* of the scheme, as written */
    const char *realm;
    const char *service;
    const char *error; /* RFC 6750: "insufficient_scope", "invalid_token" */
};

struct cl_challenges {
    struct cl_challenge items[CL_MAX_CHALLENGES];
    size_t count;
};

/* Adds the challenges of one header's value. -EBADMSG, -E2BIG or -ENOMEM: LIST is as before. */
int cl_auth_header_parse(const char *text, struct cl_arena *arena, struct cl_challenges *list);

/* The one to answer: the first Bearer that names a realm, else the first Basic; NULL. */
const struct cl_challenge *cl_challenges_choose(const struct cl_challenges *list);

#endif
