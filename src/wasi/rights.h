/* rights.h - which rights apply to what a descriptor stands for.
 *
 * The wall is the kernel's: a mount that is read-only, a path that is resolved beneath. Rights
 * are what a guest holds back from itself, and from those it gives a directory to.
 */
#ifndef CL_WASI_RIGHTS_H
#define CL_WASI_RIGHTS_H

#include <stdint.h>

#include "wasi/state.h"

/* Of a directory itself, and of all that can be opened beneath one. */
extern const uint64_t cl_wasi_rights_of_directories;
extern const uint64_t cl_wasi_rights_inherited;
/* Rights by which anything changes. */
extern const uint64_t cl_wasi_rights_to_write;

/* Those that have a meaning for what DESCRIPTOR stands for. */
uint64_t cl_wasi_rights_that_apply(const struct cl_wasi_descriptor *descriptor);

#endif
