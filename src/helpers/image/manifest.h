/* manifest.h - manifests and indexes as the records of oci/records.h.
 *
 * OCI's and Docker's (version 2, schema 2). What a document is, is said three times: by who
 * sent it, by its own media type and by its members; it is refused unless all that is said
 * agrees, since a signature or a scan of the one reading says nothing of the other
 * (CVE-2021-41190). Each descriptor may have either spelling of its media type: builders mix
 * them, and one digest still means one content.
 *
 * Sources: OCI image specification 1.1, manifest.md, image-index.md, image-layout.md; Docker
 * image manifest version 2, schema 2.
 */
#ifndef CL_HELPERS_IMAGE_MANIFEST_H
#define CL_HELPERS_IMAGE_MANIFEST_H

#include "base/arena.h"
#include "base/error.h"
#include "helpers/common/report.h"
#include "oci/records.h"

struct cl_manifest_request {
    const char *platform;   /* "linux/amd64" */
    const char *media_type; /* that its sender or its descriptor gave; NULL: none */
    const char *tag;        /* of a layout's image; NULL: the only one */
};

/* An image, or an index and what is chosen from it. What RET holds lives in ARENA. */
int cl_manifest_parse(const struct cl_document *document, const struct cl_manifest_request *request,
                      struct cl_arena *arena, struct cl_manifest_record *ret, struct cl_error *err);

/* The index.json of an OCI image layout, and what is chosen from it. */
int cl_layout_parse(const struct cl_document *document, const struct cl_manifest_request *request,
                    struct cl_arena *arena, struct cl_manifest_record *ret, struct cl_error *err);

#endif
