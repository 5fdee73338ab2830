/* manifest_doc.h - manifests and indexes as they are written, OCI's and Docker's, decoded and
 * not yet judged: one struct for both, so that a document that is both at once is seen. */
#ifndef CL_HELPERS_IMAGE_MANIFEST_DOC_H
#define CL_HELPERS_IMAGE_MANIFEST_DOC_H

#include "helpers/common/json_decode.h"
#include "helpers/image/platform.h"

struct cl_descriptor {
    const char *media_type;
    const char *digest;
    struct cl_decode_number size;
    const char *artifact_type;
    const struct cl_platform *platform;
    struct cl_decode_list annotations; /* struct cl_decode_pair */
};

struct cl_manifest_doc {
    struct cl_decode_number schema_version;
    const char *media_type;
    const char *artifact_type;
    const struct cl_descriptor *config;
    struct cl_decode_list layers;      /* struct cl_descriptor */
    struct cl_decode_list manifests;   /* struct cl_descriptor */
    struct cl_decode_list annotations; /* struct cl_decode_pair */
    int has_fs_layers;                 /* schema 1 has them */
};

int cl_manifest_doc_decode(const struct cl_document *document, struct cl_arena *arena,
                           struct cl_manifest_doc *ret, struct cl_error *err);

/* The parts that each descriptor must have, and a digest that is one. */
int cl_descriptor_check(const struct cl_descriptor *descriptor, struct cl_error *err);

/* An annotation's text, or NULL; of a descriptor, or of the document itself. */
const char *cl_descriptor_annotation(const struct cl_descriptor *descriptor, const char *key);
const char *cl_manifest_doc_annotation(const struct cl_manifest_doc *doc, const char *key);

#endif
