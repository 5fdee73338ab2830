/* tar_header.h - one header of a tar archive, checked: 512 bytes and what extension headers
 * before it said of the same member. See archive.h for the forms. */
#ifndef CL_HELPERS_IMAGE_TAR_HEADER_H
#define CL_HELPERS_IMAGE_TAR_HEADER_H

#include "base/arena.h"
#include "base/error.h"
#include "base/flat.h"

enum {
    CL_TAR_BLOCK = 512,
    CL_TAR_MAX_NAME = 4095,
    CL_TAR_MAX_EXTENSION = 1 << 20, /* bytes of one extension header */
};

enum cl_tar_type {
    CL_TAR_FILE,
    CL_TAR_HARD_LINK,
    CL_TAR_SYMLINK,
    CL_TAR_OTHER, /* directories, devices, FIFOs */
    CL_TAR_PAX,
    CL_TAR_PAX_GLOBAL,
    CL_TAR_LONG_NAME,
    CL_TAR_LONG_LINK,
};

struct cl_tar_header {
    enum cl_tar_type type;
    const char *name; /* as it is written; the arena's */
    const char *link;
    uint64_t size_bytes; /* of the data that follow, without padding */
};

/* What extension headers say of the member after them. */
struct cl_tar_extension {
    const char *name; /* NULL: nothing */
    const char *link;
    int has_size;
    uint64_t size_bytes;
};

int cl_tar_is_zero(const unsigned char block[CL_TAR_BLOCK]);
/* Whether the sum is right: the least that a header is. */
int cl_tar_is_header(const unsigned char block[CL_TAR_BLOCK]);

int cl_tar_parse_type(const unsigned char block[CL_TAR_BLOCK], enum cl_tar_type *ret,
                      struct cl_error *err);
int cl_tar_is_extension(enum cl_tar_type type);

/* BLOCK is a header (cl_tar_is_header); what EXTENSION says counts more. */
int cl_tar_parse(const unsigned char block[CL_TAR_BLOCK], const struct cl_tar_extension *extension,
                 struct cl_arena *arena, struct cl_tar_header *ret, struct cl_error *err);

/* Adds what BYTES, the data of an extension header of TYPE, say. */
int cl_tar_extend(enum cl_tar_type type, const struct cl_bytes *bytes, struct cl_arena *arena,
                  struct cl_tar_extension *extension, struct cl_error *err);

#endif
