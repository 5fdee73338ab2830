/* domain.h - the registry in an image's name: HOST[:PORT].
 *
 * HOST is a name of letters, digits, dashes and dots, an IPv4 address (which is such a name),
 * or an IPv6 address in brackets, without a zone and without an IPv4 address in it. By their
 * text alone: nothing is resolved.
 */
#ifndef CL_OCI_DOMAIN_H
#define CL_OCI_DOMAIN_H

#include "base/error.h"

/* The first SIZE bytes of TEXT are a domain, or -EINVAL. */
int cl_domain_check(const char *text, size_t size, struct cl_error *err);

/* Whether the SIZE bytes of TEXT, which a slash follows, are meant as a domain and not as a
 * repository's first part: "localhost", or what has a dot, a colon or a capital letter. */
int cl_domain_is_meant(const char *text, size_t size);

/* Whether DOMAIN, with or without a port, can only be this machine: localhost, 127.0.0.0/8 in
 * four decimal numbers, or [::1]. Other spellings of these are not: who trusts a loopback
 * address trusts what every reader of it takes for the same. */
int cl_domain_is_loopback(const char *domain);

#endif
