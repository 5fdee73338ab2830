/* saved.h - manifest.json of an archive that `docker save` wrote: which members are the image.
 *
 * Source: Docker's image tar format (moby, image/spec/v1.2.md, "Combined Image JSON + Filesystem
 * Changeset Format").
 */
#ifndef CL_HELPERS_IMAGE_SAVED_H
#define CL_HELPERS_IMAGE_SAVED_H

#include "base/arena.h"
#include "base/error.h"
#include "helpers/common/report.h"
#include "oci/records.h"

/* The image that has TAG among its tags, whole ("name:tag") or by what stands after the colon;
 * NULL: the only one. What RET holds lives in ARENA. */
int cl_saved_choose(const struct cl_document *document, const char *tag, struct cl_arena *arena,
                    struct cl_saved_record *ret, struct cl_error *err);

#endif
