/* reference.h - names of images, as Docker resolves them.
 *
 *     [DOMAIN/]REPOSITORY[:TAG][@DIGEST]
 *
 *     DOMAIN      domain.h
 *     REPOSITORY  parts with slashes between them; a part is [a-z0-9]+, again and again,
 *                 with ".", "_", "__" or dashes between
 *     TAG         [A-Za-z0-9_][A-Za-z0-9._-]*, at most 128 bytes
 *     DIGEST      digest.h; it decides, and a tag beside it is only kept
 *
 * What stands before the first slash is the domain when it looks like one
 * (cl_domain_is_meant); a name without a slash never has one. On docker.io a repository of
 * one part is below library/. Without tag and digest the tag is "latest".
 *
 * The grammar is that of Docker's reference package. Stricter here: domain and repository
 * have at most 255 bytes together (OCI distribution specification, "Pulling manifests"),
 * ports are from 1 to 65535, an IPv6 address is one, digests are sha256 only, and a bare
 * digest is no name.
 *
 * Names come from people, policies and images: any bytes. No files and no network are used.
 */
#ifndef CL_OCI_REFERENCE_H
#define CL_OCI_REFERENCE_H

#include "base/arena.h"
#include "oci/digest.h"
#include "oci/domain.h"

#define CL_DOCKER_DOMAIN "docker.io"

struct cl_reference {
    const char *domain;     /* "docker.io", "localhost:5000", "[::1]:443"; its case is kept */
    const char *repository; /* "library/debian" */
    const char *tag;        /* NULL: none, and then there is a digest */
    int has_digest;
    struct cl_digest digest;
};

/* TEXT as a whole; DEFAULT_DOMAIN (NULL: docker.io) is that of names without one, and must
 * be one that a name could begin with: "quay.io", "registry:5000". The strings are the
 * arena's. -EINVAL, -ENAMETOOLONG, -ENOTSUP (the digest's algorithm), -ENOMEM. */
int cl_reference_parse(const char *text, const char *default_domain, struct cl_arena *arena,
                       struct cl_reference *ret, struct cl_error *err);

/* The whole name, "docker.io/library/debian:bookworm", which parses to the same whatever the
 * default domain is. NULL: the arena is full. */
const char *cl_reference_text(const struct cl_reference *reference, struct cl_arena *arena);

/* What people type, "debian:bookworm": without what parses to the same with the same default
 * domain. The tag is always there. NULL: the arena is full. */
const char *cl_reference_familiar(const struct cl_reference *reference, const char *default_domain,
                                  struct cl_arena *arena);

/* The host, with its port, that serves DOMAIN: DOMAIN itself, but for docker.io. */
const char *cl_reference_host(const char *domain);

#endif
