/* index.h - the one manifest of an index that is wanted. */
#ifndef CL_HELPERS_IMAGE_INDEX_H
#define CL_HELPERS_IMAGE_INDEX_H

#include "helpers/image/manifest.h"
#include "helpers/image/manifest_doc.h"

/* The first of the manifests for the platform. Attestations, artifacts and media types that
 * nobody knows are passed over. One without a platform is taken when it is the only one. */
int cl_index_choose(const struct cl_manifest_doc *doc, const char *platform, struct cl_arena *arena,
                    const struct cl_descriptor **ret, struct cl_error *err);

/* The same among those of a layout with the tag. */
int cl_index_choose_tagged(const struct cl_manifest_doc *doc,
                           const struct cl_manifest_request *request, struct cl_arena *arena,
                           const struct cl_descriptor **ret, struct cl_error *err);

/* What a layout calls it: the whole name that containerd adds, or else the name or tag that the
 * specification has (annotations.md, "org.opencontainers.image.ref.name"); NULL: nothing. */
const char *cl_index_name(const struct cl_descriptor *descriptor);

#endif
