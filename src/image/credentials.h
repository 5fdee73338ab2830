/* credentials.h - what the user's files say about a registry: Docker's config.json and
 * containers' auth.json, and the programs docker-credential-* that they name.
 *
 * The first file that knows the registry decides, in this order: $REGISTRY_AUTH_FILE,
 * $XDG_RUNTIME_DIR/containers/auth.json (root without one: /run/containers/0/auth.json),
 * $XDG_CONFIG_HOME/containers/auth.json (~/.config/...), $DOCKER_CONFIG/config.json
 * (~/.docker/...). They are read by cloister-image in its jail, like any JSON. A program that one
 * names is the user's own choice and runs as they would run it: found along PATH, with their
 * environment.
 */
#ifndef CL_IMAGE_CREDENTIALS_H
#define CL_IMAGE_CREDENTIALS_H

#include "image/parse.h"

/* What opens REPOSITORY at DOMAIN ("docker.io"): kind NONE, BASIC or IDENTITY. Memory is
 * PARSER's arena's. */
int cl_credentials_find(const struct cl_parser *parser, const char *domain, const char *repository,
                        struct cl_auth_record *ret, struct cl_error *err);

/* Keeps RECORD (BASIC or IDENTITY) as DOMAIN's credentials, in place of those that would be found:
 * in the first file that knows the domain, or in the program that it names; where none does, in
 * Docker's file. *RET_WHERE, in PARSER's arena, says where. */
int cl_credentials_keep(const struct cl_parser *parser, const char *domain,
                        const struct cl_auth_record *record, const char **ret_where,
                        struct cl_error *err);

/* Forgets DOMAIN's credentials wherever they are kept. -ENOENT, without a message: nowhere. */
int cl_credentials_forget(const struct cl_parser *parser, const char *domain, struct cl_error *err);

#endif
