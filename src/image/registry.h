/* registry.h - a registry as an origin, through cloister-fetch.
 */
#ifndef CL_IMAGE_REGISTRY_H
#define CL_IMAGE_REGISTRY_H

#include "image/fetcher.h"
#include "image/origin.h"
#include "oci/reference.h"

enum { CL_MAX_ENDPOINTS = 32 };

/* An origin; `origin` is what cl_pull takes. */
struct cl_registry_origin {
    struct cl_origin origin;
    struct cl_fetcher fetcher;
    struct cl_buf message; /* the last that came */
    struct cl_arena arena; /* of reports' lists: none so far */
    struct cl_fetch_endpoint endpoints[CL_MAX_ENDPOINTS];
    size_t count;
    const char *repository;
    const char *reference; /* a tag or a digest */
    char digest[CL_DIGEST_TEXT_SIZE];
    /* Set by who wants to hear, once, that an answer takes more than a moment, and whose it is:
     * "HOST", or "HOST and its mirrors". May be NULL. */
    void (*slow)(void *context, const char *who);
    void *slow_context;
};

/* Starts cloister-fetch for REFERENCE, to be had from ENDPOINTS (in order; borrowed, as
 * REFERENCE is). WITHOUT_LANDLOCK as in fetcher.h. */
int cl_registry_open(const struct cl_reference *reference,
                     const struct cl_fetch_endpoints *endpoints, int without_landlock,
                     struct cl_registry_origin *ret, struct cl_error *err);
void cl_registry_done(struct cl_registry_origin *registry);

/* Do the endpoint's credentials open it? */
int cl_registry_login(struct cl_registry_origin *registry, struct cl_error *err);

#endif
