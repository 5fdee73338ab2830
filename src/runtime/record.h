/* record.h - for src/runtime only: the shape of a container's record. */
#ifndef CL_RUNTIME_RECORD_H
#define CL_RUNTIME_RECORD_H

#include "base/flat.h"
#include "runtime/container.h"

enum { CL_CONTAINER_RECORD_MAX = 16384 };

extern const struct cl_flat_shape cl_container_shape;
/* All its fields: each is always there. */
extern const uint64_t cl_container_all;

#endif
