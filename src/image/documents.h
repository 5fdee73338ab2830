/* documents.h - what an image says of itself: its manifest and its config, got from where it is,
 * checked against the digests that name them, and parsed by cloister-image.
 */
#ifndef CL_IMAGE_DOCUMENTS_H
#define CL_IMAGE_DOCUMENTS_H

#include "image/origin.h"
#include "image/parse.h"

struct cl_documents {
    struct cl_origin *origin; /* what is asked of whom: set by the caller */
    const struct cl_parser *parser;
    const char *wanted;   /* the digest that the manifest must have; NULL: any */
    const char *platform; /* "linux/arm64/v8": that is wanted; then as the config has it */

    char type[CL_MEDIA_TYPE_SIZE]; /* of the manifest */
    struct cl_digest digest;       /* of the manifest */
    struct cl_buf manifest_bytes;
    struct cl_manifest_record manifest; /* in the parser's arena, as the config */
    struct cl_buf config_bytes;
    struct cl_config_record config;
    struct cl_digest config_digest;
};

void cl_documents_done(struct cl_documents *documents);

/* The manifest of the image: through an index, or several, to the one of the platform. */
int cl_documents_find(struct cl_documents *documents, struct cl_error *err);

/* The config that the manifest names. It must be for the platform, which a module always is, and
 * know as many layers. */
int cl_documents_find_config(struct cl_documents *documents, struct cl_error *err);

/* Whether its one layer is a WebAssembly module. */
static inline int cl_documents_are_of_module(const struct cl_documents *documents)
{
    return documents->manifest.payload == CL_PAYLOAD_MODULE;
}

#endif
