/* config.h - an image's config as a cl_config_record: OCI's and Docker's, which differ in
 * members that nobody here reads (OCI image specification, config.md).
 *
 * And that of a WebAssembly artifact (CNCF TAG Runtime, "Wasm OCI artifact layout"), which says of
 * itself what it is; some writers leave it empty.
 *
 * What could not be run as it is written is refused with its path; what is missing, null or
 * "" is not set. A working directory is kept as it is written: Docker counts a relative one
 * from "/".
 */
#ifndef CL_HELPERS_IMAGE_CONFIG_H
#define CL_HELPERS_IMAGE_CONFIG_H

#include "base/arena.h"
#include "base/error.h"
#include "helpers/common/report.h"
#include "oci/records.h"

/* TYPE is the config's media type; NULL: an image's. What RET holds lives in ARENA. */
int cl_config_parse(const struct cl_document *document, const char *type, struct cl_arena *arena,
                    struct cl_config_record *ret, struct cl_error *err);

#endif
