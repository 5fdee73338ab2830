/* auth.h - what files of credentials know of a registry: Docker's config.json and
 * containers-auth.json(5), and the answers of docker-credential-* programs.
 *
 * No message shows a value of these files.
 */
#ifndef CL_HELPERS_IMAGE_AUTH_H
#define CL_HELPERS_IMAGE_AUTH_H

#include "base/arena.h"
#include "base/error.h"
#include "helpers/common/report.h"
#include "oci/records.h"

/* What DOCUMENT knows of WHERE, "registry.example:5000" or, as containers' files may name a
 * namespace, "registry.example/team/app". In this order: a helper for the registry, the entry
 * of `auths` whose path is the longest that is WHERE's, the helper for all. An empty file
 * knows nothing. What RET holds lives in ARENA. */
int cl_auth_find(const struct cl_document *document, const char *where, struct cl_arena *arena,
                 struct cl_auth_record *ret, struct cl_error *err);

/* Whether KEY, in whatever spelling such files have, names REGISTRY as a whole ("r.example",
 * "https://R.example/v2/"), rather than another one or a namespace of it ("r.example/team"). */
int cl_auth_names_registry(const char *key, const char *registry);

/* The answer of a `docker-credential-* get`. */
int cl_auth_take_answer(const struct cl_document *document, struct cl_arena *arena,
                        struct cl_auth_record *ret, struct cl_error *err);

#endif
