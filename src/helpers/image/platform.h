/* platform.h - what an image is built for: OS/ARCHITECTURE[/VARIANT], in the words of the OCI
 * image specification (image-index.md, "Platform Variants"). */
#ifndef CL_HELPERS_IMAGE_PLATFORM_H
#define CL_HELPERS_IMAGE_PLATFORM_H

#include "base/arena.h"
#include "base/error.h"

struct cl_platform {
    const char *architecture; /* members that are missing are NULL */
    const char *os;
    const char *variant;
};

/* "linux/amd64", "linux/arm64/v8"; the texts are ARENA's. */
int cl_platform_parse(const char *text, struct cl_arena *arena, struct cl_platform *ret,
                      struct cl_error *err);

/* Whether OFFERED is WANTED. A variant that is missing is the one that is meant then: v1 of
 * amd64, v8 of arm64, v7 of arm. */
int cl_platform_matches(const struct cl_platform *wanted, const struct cl_platform *offered);

/* As it is written; NULL: no memory. */
const char *cl_platform_text(const struct cl_platform *platform, struct cl_arena *arena);

#endif
