/* trust.h - the host's certificate authorities, and one more where an endpoint names it.
 *
 * Looked for when TLS is first used: who pulls from a registry on this machine doesn't pay for
 * it. Where the host keeps them in a directory by hash (Debian, SUSE, Arch), OpenSSL reads the
 * one or two that a connection needs; a bundle (Fedora) is parsed whole, once.
 */
#ifndef CL_HELPERS_FETCH_TRUST_H
#define CL_HELPERS_FETCH_TRUST_H

#include <curl/curl.h>

#include "base/buf.h"
#include "base/error.h"

struct cl_trust {
    int looked;
    const char *directory; /* NULL: none */
    const char *bundle;    /* NULL: none */
    struct cl_buf both;    /* the bundle, and room for an authority after it */
    size_t bundle_size;
};

void cl_trust_init(struct cl_trust *ret);
void cl_trust_done(struct cl_trust *trust);

/* Makes EASY trust these and AUTHORITY, PEM, "" for none. */
int cl_trust_apply(struct cl_trust *trust, CURL *easy, const char *authority, struct cl_error *err);

#endif
