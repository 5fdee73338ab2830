/* credentials.h - what the user's files say about a registry: Docker's config.json and
 * containers' auth.json, and the programs docker-credential-* that they name.
 *
 * The first file that knows the registry decides, in this order: $REGISTRY_AUTH_FILE,
 * $XDG_RUNTIME_DIR/containers/auth.json, $XDG_CONFIG_HOME/containers/auth.json
 * (~/.config/...), $DOCKER_CONFIG/config.json (~/.docker/...). They are read by cloister-image
 * in its jail, like any JSON. A program that one names is the user's own choice and runs as
 * they would run it: found along PATH, with their environment.
 */
#ifndef CL_IMAGE_CREDENTIALS_H
#define CL_IMAGE_CREDENTIALS_H

#include "image/parse.h"

/* What opens REPOSITORY at DOMAIN ("docker.io"): kind NONE, BASIC or IDENTITY. Memory is
 * PARSER's arena's. */
int cl_credentials_find(const struct cl_parser *parser, const char *domain, const char *repository,
                        struct cl_auth_record *ret, struct cl_error *err);

/* Where Docker keeps them, and `login` writes: in ARENA; NULL and a message where HOME says
 * nothing. */
const char *cl_credentials_own_file(struct cl_arena *arena, struct cl_error *err);

/* Runs docker-credential-<NAME> <VERB> with INPUT on its standard input; what it answers goes to
 * OUTPUT. -ENOENT: there is no such program. */
int cl_credential_program(const char *name, const char *verb, const struct cl_buf *input,
                          struct cl_buf *output, struct cl_error *err);

/* What such programs, and the files, call DOMAIN. */
const char *cl_credential_server(const char *domain);

#endif
