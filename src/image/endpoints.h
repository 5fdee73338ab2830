/* endpoints.h - where the images of a registry are asked for, and with which credentials. */
#ifndef CL_IMAGE_ENDPOINTS_H
#define CL_IMAGE_ENDPOINTS_H

#include "base/arena.h"
#include "oci/fetch.h"
#include "oci/reference.h"

/* The endpoints of REFERENCE's registry, in the order in which they are asked; memory is
 * ARENA's. Plain HTTP stands among them for loopback alone, after HTTPS, or where the
 * configuration allows it by name. */
int cl_endpoints_find(const struct cl_reference *reference, struct cl_arena *arena,
                      struct cl_fetch_endpoints *ret, struct cl_error *err);

#endif
