/* auth_edit.h - Docker's config.json with one registry's credentials changed, and everything
 * else in it as it was.
 */
#ifndef CL_HELPERS_IMAGE_AUTH_EDIT_H
#define CL_HELPERS_IMAGE_AUTH_EDIT_H

#include "base/buf.h"
#include "base/error.h"
#include "helpers/common/report.h"
#include "oci/records.h"

/* DOCUMENT (empty: there is none) with RECORD, of kind BASIC or IDENTITY, for REGISTRY, or
 * without any (kind NONE), as JSON in OUTPUT. What stood there for REGISTRY goes, however it is
 * spelt (cl_auth_names_registry): whoever reads the file takes the first that fits. The entries
 * of namespaces stay. Nothing in OUTPUT: there is nothing to change. */
int cl_auth_edit(const struct cl_document *document, const char *registry,
                 const struct cl_auth_record *record, struct cl_buf *output, struct cl_error *err);

#endif
