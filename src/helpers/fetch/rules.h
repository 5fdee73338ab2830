/* rules.h - who may be asked what, as pure functions: where redirects may lead, whom the
 * credentials are shown to.
 *
 * A registry is a stranger. It may send us on to any public host, for it could fetch from
 * there itself; but to the addresses that only this machine or its network can reach it may
 * send us only where it is such an address itself. What is asked there can't harm the store
 * (digests are checked), but the question itself is something: 169.254.169.254 answers with
 * the secrets of a cloud's machine, and many a device in a house obeys a GET.
 *
 * Sources: RFC 6890 and the IANA registries of special-purpose addresses; publicsuffix.org.
 */
#ifndef CL_HELPERS_FETCH_RULES_H
#define CL_HELPERS_FETCH_RULES_H

#include <sys/socket.h>

#include "helpers/fetch/url.h"

/* From where an address can be reached, from everywhere to nowhere. */
enum cl_reach {
    CL_REACH_PUBLIC,
    CL_REACH_PRIVATE,    /* RFC 1918, RFC 4193, RFC 6598 */
    CL_REACH_LOOPBACK,   /* this machine */
    CL_REACH_LINK_LOCAL, /* this link, and where clouds keep their metadata */
    CL_REACH_NOWHERE,    /* multicast, reserved */
};

/* ADDRESS is a sockaddr_in or sockaddr_in6. */
enum cl_reach cl_reach_of(const struct sockaddr *address);
/* As text, "127.0.0.1" or "fe80::1%eth0"; NOWHERE for anything else. */
enum cl_reach cl_reach_of_text(const char *text);
/* "a link-local address" */
const char *cl_reach_name(enum cl_reach reach);

/* Whether what lies at FROM may send us to TO. */
int cl_reach_allows(enum cl_reach from, enum cl_reach to);

/* Whether an answer from FROM may redirect to TO: never from https to http. */
int cl_redirect_allowed(const struct cl_url *from, const struct cl_url *to, struct cl_error *err);

/* Whether the credentials for ENDPOINT may be shown to REALM, the token server that ENDPOINT
 * names: by https alone (where the endpoint itself speaks plain http: by that, to the very same
 * host), to the endpoint's own host or one of the same registrable domain. */
int cl_realm_may_know(const struct cl_url *endpoint, const struct cl_url *realm);

#endif
