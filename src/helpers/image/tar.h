/* tar.h - reads tar archives, layers and those that hold images: POSIX ustar and pax, GNU with long
 * names, sparse files in all four forms that GNU tar ever wrote, and what came before POSIX.
 *
 * Why not libarchive, which reads many more: through its interface a name that holds a NUL
 * byte is cut there, and an unknown type of entry is a regular file, without a word; names of
 * pax headers go through iconv (UTF-8 to the locale's charset), which drops some characters,
 * and which opens /usr/lib/.../gconv-modules.cache at its first use, that is, in a jail whose
 * root is the layer, a file that the layer brought; a sparse map of 4 bytes a row takes 64 of
 * memory a row, without a bound; and of two warnings about an entry only the last is told.
 * Here bytes are bytes, memory has a bound that no archive can move (4 MiB: a pax header of a
 * MiB in a buffer that doubles, a sparse map of 64 Ki pieces, the stream's buffer), and what is
 * not understood is an error. Where tar's dialects leave a choice, it is made as Go's archive/tar
 * makes it, because Docker's and Podman's layers are written and read by that.
 *
 * Sources: POSIX.1-2017, pax, "ustar Interchange Format", "pax Interchange Format"; GNU tar's
 * manual, "Basic Tar Format" and "Storing Sparse Files".
 *
 * Errors: -EINVAL where the archive is damaged or holds what this can't read, -ENODATA where it
 * ends in its middle (somebody before us in the pipe may know why), else the reads' own.
 */
#ifndef CL_HELPERS_IMAGE_TAR_H
#define CL_HELPERS_IMAGE_TAR_H

#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/error.h"
#include "helpers/image/stream.h"
#include "oci/quote.h"

enum {
    CL_TAR_BLOCK = 512,
    CL_TAR_MAX_PAX = 1 << 20,    /* bytes of one pax header, as Go has it */
    CL_TAR_MAX_LONG = 8192,      /* of a GNU header with a name; names have 4095 at most */
    CL_TAR_MAX_HEADERS = 64,     /* extended headers of one entry */
    CL_TAR_MAX_PIECES = 1 << 16, /* of a sparse file */
    CL_TAR_MAX_XATTRS = 128,     /* of an entry */
    CL_TAR_XATTR_SIZE = 64 << 10 /* of a value; XATTR_SIZE_MAX of linux/limits.h */
};

/* Bytes, which nothing ends. */
struct cl_tar_text {
    const char *data;
    size_t size;
};

enum cl_tar_type {
    CL_TAR_FILE,
    CL_TAR_DIRECTORY,
    CL_TAR_HARD_LINK,
    CL_TAR_SYMLINK,
    CL_TAR_FIFO,
    CL_TAR_DEVICE, /* character or block */
};

struct cl_tar_xattr {
    const char *name; /* ends in NUL */
    const char *value;
    size_t size;
};

/* Valid until the next entry is read. */
struct cl_tar_entry {
    enum cl_tar_type type;
    struct cl_tar_text name; /* as it stands there: slashes, dots, NUL bytes and all */
    struct cl_tar_text link; /* what the links link to */
    uint32_t mode;           /* the twelve bits */
    uint64_t uid, gid;
    struct timespec mtime;
    uint64_t size; /* of a FILE, with its holes; else 0 */
    int is_sparse; /* its bytes are pieces, which lie elsewhere in it than in the archive */
    const struct cl_tar_xattr *xattrs;
    size_t xattr_count;
};

/* Bytes of a file at OFFSET. */
struct cl_tar_data {
    const char *data;
    size_t size;
    uint64_t offset;
};

struct cl_tar_piece {
    uint64_t offset, size;
};

/* What a pax header says of the entry after it. */
struct cl_tar_pax {
    uint64_t has; /* a bit for each of those below that is said */
    struct cl_tar_text path, link, sparse_name;
    uint64_t size, uid, gid, real_size, sparse_major, sparse_minor;
    struct timespec mtime;
    uint64_t piece_offset; /* of a pair that is half read */
    int has_piece_offset;
};

/* TEXT as a message has it, between quotation marks of its own. Returns RET. */
const char *cl_tar_quote(const struct cl_tar_text *text, char ret[CL_QUOTE_SIZE]);

/* A reader; callers look at nothing in it. */
struct cl_tar {
    struct cl_stream stream;
    uint64_t header_at; /* where the header that is read began */
    struct cl_buf pax_body, long_name, long_link;
    int has_pax, has_long_name, has_long_link;
    struct cl_tar_pax pax;
    char name[260], link[104];
    struct cl_tar_xattr xattrs[CL_TAR_MAX_XATTRS];
    size_t xattr_count;
    struct cl_tar_piece *pieces;
    size_t piece_count, piece_room, piece_at;
    uint64_t piece_done; /* bytes of the piece at piece_at */
    uint64_t stored;     /* bytes of the entry that are still in the stream */
    unsigned int padding;
    int ended;
};

/* FD, the caller's, is read from where it stands. */
int cl_tar_start(struct cl_tar *tar, int fd, struct cl_error *err);
/* Of the SIZE_BYTES of a regular file, as cl_stream_start_file has it. */
int cl_tar_start_file(struct cl_tar *tar, int fd, uint64_t size_bytes, struct cl_error *err);
void cl_tar_done(struct cl_tar *tar);
#define CL_CLEANUP_TAR CL_CLEANUP(cl_tar_done)

/* The next entry: 1, 0 at the end, or -errno. Content that was not read is passed over. */
int cl_tar_next(struct cl_tar *tar, struct cl_tar_entry *ret, struct cl_error *err);

/* The next bytes of the entry's content: 1, 0 after the last, or -errno. Offsets rise; what
 * lies between is a hole. They end at a multiple of 4096 where they don't end a piece, so that
 * whoever writes them fills whole pages. */
int cl_tar_read(struct cl_tar *tar, struct cl_tar_data *ret, struct cl_error *err);

/* Where the next byte of the stream lies: after cl_tar_next, where the content begins. */
uint64_t cl_tar_position(const struct cl_tar *tar);

/* Reads and forgets what follows the archive's end, to the end of the stream: whoever writes to
 * the pipe can finish. What it is doesn't matter, as it doesn't to Docker and Podman: they stop
 * at the end too, and padding of any length is usual. */
int cl_tar_drain(struct cl_tar *tar, struct cl_error *err);

#endif
