/* tar_parts.h - what the files of the tar reader share. */
#ifndef CL_HELPERS_IMAGE_TAR_PARTS_H
#define CL_HELPERS_IMAGE_TAR_PARTS_H

#include <assert.h>

#include "helpers/image/tar.h"

/* "ustar Interchange Format"; `prefix` is POSIX's alone. */
struct cl_tar_header {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[8];
    char user[32];
    char group[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char pad[12];
};
static_assert(sizeof(struct cl_tar_header) == CL_TAR_BLOCK, "a header is a block");

/* A row of a sparse map of GNU's first form. */
struct cl_tar_sparse {
    char offset[12];
    char size[12];
};

/* GNU's form of the same block, from `prefix` on. */
struct cl_tar_gnu_tail {
    char atime[12];
    char ctime[12];
    char volume_offset[12];
    char long_names[4];
    char unused[1];
    struct cl_tar_sparse sparse[4];
    char is_extended;
    char real_size[12];
    char pad[17];
};
static_assert(offsetof(struct cl_tar_header, prefix) + sizeof(struct cl_tar_gnu_tail) ==
                  CL_TAR_BLOCK,
              "the tail ends the block");

static inline const struct cl_tar_gnu_tail *cl_tar_gnu_tail_of(const struct cl_tar_header *header)
{
    return (const void *)((const char *)header + offsetof(struct cl_tar_header, prefix));
}

/* A block of more rows. */
struct cl_tar_gnu_more {
    struct cl_tar_sparse sparse[21];
    char is_extended;
    char pad[7];
};
static_assert(sizeof(struct cl_tar_gnu_more) == CL_TAR_BLOCK, "rows fill a block");

/* Refuses the archive: "damaged tar archive: WHAT, at byte N". */
int cl_tar_damaged(const struct cl_tar *tar, const char *what, struct cl_error *err);
/* Says that it ends too early. -ENODATA. */
int cl_tar_cut_off(struct cl_error *err);

/* Negative, as analyzers can't know otherwise (base/error.h). */
#define cl_tar_damaged(...) cl_failed((cl_tar_damaged)(__VA_ARGS__))
#define cl_tar_cut_off(err) cl_failed((cl_tar_cut_off)(err))

/* The next block, taken; valid until the stream is read again. 1, 0 where the stream ends
 * before it, or -errno. */
int cl_tar_take_block(struct cl_tar *tar, const void **ret, struct cl_error *err);

/* --- numbers (tar_number.c): 0 or -EINVAL ---------------------------------------- */

/* A field of a header: octal digits between spaces and NULs, or GNU's base 256. */
int cl_tar_number(const char *field, size_t size, int64_t *ret);
int cl_tar_octal(const char *field, size_t size, int64_t *ret);
/* Decimal digits. */
int cl_tar_decimal(const char *text, size_t size, uint64_t *ret);
/* [-]SECONDS[.FRACTION] */
int cl_tar_time(const char *text, size_t size, struct timespec *ret);

/* --- pax headers (tar_pax.c) ---------------------------------------------------- */

/* Reads tar->pax_body into tar->pax, tar->xattrs and tar->pieces. */
int cl_tar_read_pax(struct cl_tar *tar, struct cl_error *err);

enum {
    CL_TAR_PAX_PATH = 1 << 0,
    CL_TAR_PAX_LINK = 1 << 1,
    CL_TAR_PAX_SPARSE_NAME = 1 << 2,
    CL_TAR_PAX_SIZE = 1 << 3,
    CL_TAR_PAX_UID = 1 << 4,
    CL_TAR_PAX_GID = 1 << 5,
    CL_TAR_PAX_REAL_SIZE = 1 << 6,
    CL_TAR_PAX_SPARSE_MAJOR = 1 << 7,
    CL_TAR_PAX_SPARSE_MINOR = 1 << 8,
    CL_TAR_PAX_MTIME = 1 << 9,
    CL_TAR_PAX_PIECES = 1 << 10, /* of a sparse file, in tar->pieces */
};

/* --- sparse files (tar_sparse.c) ------------------------------------------------- */

/* Adds a piece, which has to lie behind those before it. */
int cl_tar_add_piece(struct cl_tar *tar, uint64_t offset, uint64_t size, struct cl_error *err);
/* The map that stands in the header, and in blocks after it. */
int cl_tar_read_gnu_map(struct cl_tar *tar, const struct cl_tar_header *header,
                        struct cl_error *err);
/* "0,512,1024,512" */
int cl_tar_read_map_text(struct cl_tar *tar, const char *text, size_t size, struct cl_error *err);
/* The map that stands before the content, in lines (form 1.0); what it took of the content is
 * no more in tar->stored. */
int cl_tar_read_map_lines(struct cl_tar *tar, struct cl_error *err);
/* Whether the pieces make a file of REAL_SIZE bytes out of tar->stored ones. */
int cl_tar_check_map(const struct cl_tar *tar, uint64_t real_size, struct cl_error *err);

#endif
