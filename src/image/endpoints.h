/* endpoints.h - where the images of a registry are asked for, and with which credentials:
 * registries.yaml and credentials.h put together.
 */
#ifndef CL_IMAGE_ENDPOINTS_H
#define CL_IMAGE_ENDPOINTS_H

#include "image/parse.h"
#include "oci/fetch.h"
#include "oci/reference.h"

/* The endpoints of REFERENCE's registry, in the order in which they are asked: mirrors, then the
 * registry itself. Plain HTTP stands among them for loopback alone, after HTTPS, or where
 * CONFIG allows it by name. Memory is PARSER's arena's. */
int cl_endpoints_find(const struct cl_parser *parser, const struct cl_registries_record *config,
                      const struct cl_reference *reference, struct cl_fetch_endpoints *ret,
                      struct cl_error *err);

/* The same of a domain itself, without mirrors, and with those credentials alone. */
struct cl_login_as {
    const char *domain;
    const struct cl_auth_record *record;
};
int cl_endpoints_for_login(const struct cl_parser *parser,
                           const struct cl_registries_record *config,
                           const struct cl_login_as *login, struct cl_fetch_endpoints *ret,
                           struct cl_error *err);

#endif
