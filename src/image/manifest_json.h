/* manifest_json.h - the manifest of an image that came without one: a root file system in an
 * archive, or what `docker save` keeps.
 *
 * The same record makes the same bytes: their digest is what the image is known by.
 */
#ifndef CL_IMAGE_MANIFEST_JSON_H
#define CL_IMAGE_MANIFEST_JSON_H

#include "base/buf.h"
#include "oci/records.h"

#define CL_MANIFEST_JSON_TYPE "application/vnd.oci.image.manifest.v1+json"

/* Adds OCI's manifest of the image that RECORD describes: its target and its layers, of which one
 * without a digest ("") has none there. 0 or -errno. */
int cl_manifest_json_write(const struct cl_manifest_record *record, struct cl_buf *buf);

#endif
