/* From blocks to entries. Every header ends in the next one, or in content whose size it says;
 * nothing is looked for, and a block that is no header where one is due ends the reading.
 *
 *   x  pax header of the entry that follows      g  of all that follow: passed over, as by
 *   L  its name, K its link's target (GNU)          Docker and Podman
 *
 * Before an entry the last header of a kind counts. A GNU name stands over a pax header's, and
 * that over the entry's own. Links, directories, devices and FIFOs have no content, whatever
 * size they claim.
 */
#include "helpers/image/tar.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "oci/quote.h"
#include "helpers/image/tar_parts.h"

enum { PAGE = 4096 };

int(cl_tar_damaged)(const struct cl_tar *tar, const char *what, struct cl_error *err)
{
    return cl_refuse(err, EINVAL, "damaged tar archive: %s, at byte %" PRIu64, what,
                     tar->header_at);
}

const char *cl_tar_quote(const struct cl_tar_text *text, char ret[CL_QUOTE_SIZE])
{
    return cl_quote_part(text->data, text->size, ret);
}

int(cl_tar_cut_off)(struct cl_error *err)
{
    return cl_refuse(err, ENODATA, "the tar archive ends in the middle of an entry");
}

static void prepare(struct cl_tar *tar)
{
    memset(tar, 0, sizeof(*tar));
    tar->pax_body = CL_BUF_INIT(CL_TAR_MAX_PAX);
    tar->long_name = CL_BUF_INIT(CL_TAR_MAX_LONG);
    tar->long_link = CL_BUF_INIT(CL_TAR_MAX_LONG);
}

int cl_tar_start(struct cl_tar *tar, int fd, struct cl_error *err)
{
    prepare(tar);
    return cl_stream_start(&tar->stream, fd, err);
}

int cl_tar_start_file(struct cl_tar *tar, int fd, uint64_t size_bytes, struct cl_error *err)
{
    prepare(tar);
    return cl_stream_start_file(&tar->stream, fd, size_bytes, err);
}

void cl_tar_done(struct cl_tar *tar)
{
    cl_stream_done(&tar->stream);
    cl_buf_done(&tar->pax_body);
    cl_buf_done(&tar->long_name);
    cl_buf_done(&tar->long_link);
    free(tar->pieces);
    tar->pieces = NULL;
}

uint64_t cl_tar_position(const struct cl_tar *tar)
{
    return tar->stream.taken;
}

int cl_tar_take_block(struct cl_tar *tar, const void **ret, struct cl_error *err)
{
    const char *data;
    ssize_t got = cl_stream_look(&tar->stream, CL_TAR_BLOCK, &data, err);

    if (got <= 0)
        return got < 0 ? cl_failed((int)got) : 0;
    if (got < CL_TAR_BLOCK)
        return cl_tar_cut_off(err);
    cl_stream_take(&tar->stream, CL_TAR_BLOCK);
    *ret = data;
    return 1;
}

/* --- headers ------------------------------------------------------------------ */

static int is_zero(const struct cl_tar_header *header)
{
    const char *bytes = (const char *)header;

    return bytes[0] == '\0' && memcmp(bytes, bytes + 1, sizeof(*header) - 1) == 0;
}

/* POSIX: the sum of the header's bytes, its own field taken for blanks. Some old tars summed
 * signed bytes. */
static int checksum_holds(const struct cl_tar_header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    const size_t field = offsetof(struct cl_tar_header, checksum);
    int64_t plain = ' ' * (int64_t)sizeof(header->checksum);
    int64_t high = 0; /* of these, the signed value is 256 less */
    int64_t said;

    for (size_t i = 0; i < sizeof(*header); i++) {
        if (i - field >= sizeof(header->checksum)) {
            plain += bytes[i];
            high += bytes[i] >> 7;
        }
    }
    return cl_tar_octal(header->checksum, sizeof(header->checksum), &said) == 0 &&
           (said == plain || said == plain - 256 * high);
}

/* 1 and *RET, 0 at the end. */
static int read_header(struct cl_tar *tar, struct cl_tar_header *ret, struct cl_error *err)
{
    const void *block;

    tar->header_at = tar->stream.taken;
    int r = cl_tar_take_block(tar, &block, err);
    if (r <= 0)
        return r; /* some writers leave out the zero blocks */
    memcpy(ret, block, sizeof(*ret));
    if (is_zero(ret)) {
        r = cl_tar_take_block(tar, &block, err);
        if (r > 0 && !is_zero(block))
            return cl_tar_damaged(tar, "a block of zeros between entries", err);
        return r < 0 ? r : 0;
    }
    if (!checksum_holds(ret) && tar->header_at == 0)
        return cl_refuse(err, EINVAL, "it is no tar archive: it begins with no header");
    if (!checksum_holds(ret))
        return cl_tar_damaged(tar, "a header whose checksum is wrong", err);
    return 1;
}

static int size_of(const struct cl_tar *tar, const struct cl_tar_header *header, uint64_t *ret,
                   struct cl_error *err)
{
    int64_t size;

    if (cl_tar_number(header->size, sizeof(header->size), &size) < 0 || size < 0)
        return cl_tar_damaged(tar, "a size that is none", err);
    *ret = (uint64_t)size;
    return 0;
}

static unsigned int padding_of(uint64_t size)
{
    return (unsigned int)(-size % CL_TAR_BLOCK);
}

static int skip(struct cl_tar *tar, uint64_t size, struct cl_error *err)
{
    uint64_t skipped = 0;
    int r = cl_stream_skip(&tar->stream, size, &skipped, err);

    if (r < 0)
        return r;
    return skipped < size ? cl_tar_cut_off(err) : 0;
}

/* Reads the SIZE bytes after a header into BUF. */
static int read_body(struct cl_tar *tar, uint64_t size, struct cl_buf *buf, struct cl_error *err)
{
    const unsigned int padding = padding_of(size);

    buf->size = 0;
    while (size > 0) {
        const char *data;
        ssize_t got = cl_stream_look(&tar->stream, 1, &data, err);

        if (got <= 0)
            return got < 0 ? (int)got : cl_tar_cut_off(err);
        size_t most = cl_min_u64((uint64_t)got, size);
        if (cl_buf_add(buf, data, most) < 0)
            return cl_fail_memory(err);
        cl_stream_take(&tar->stream, most);
        size -= most;
    }
    return skip(tar, padding, err);
}

/* GNU's names end in a NUL, which is not of the name; one within it is. */
static int read_long(struct cl_tar *tar, uint64_t size, struct cl_buf *buf, struct cl_error *err)
{
    if (size > CL_TAR_MAX_LONG)
        return cl_refuse(err, EINVAL,
                         "a name of %" PRIu64 " bytes, at byte %" PRIu64
                         " of the tar archive: Linux has 4095 at most",
                         size, tar->header_at);
    int r = read_body(tar, size, buf, err);
    while (buf->size > 0 && buf->data[buf->size - 1] == '\0')
        buf->size--;
    return r;
}

/* A header of the entry that follows: 1, or 0 where HEADER is the entry's own. */
static int take_extension(struct cl_tar *tar, const struct cl_tar_header *header,
                          struct cl_error *err)
{
    uint64_t size;
    int r;

    if (header->type == '\0' || strchr("xgLK", header->type) == NULL)
        return 0;
    r = size_of(tar, header, &size, err);
    if (r < 0)
        return r;
    if (size > CL_TAR_MAX_PAX)
        return cl_tar_damaged(tar, "an extended header of more than a MiB", err);
    switch (header->type) {
    case 'x':
        tar->has_pax = 1;
        r = read_body(tar, size, &tar->pax_body, err);
        break;
    case 'L':
        tar->has_long_name = 1;
        r = read_long(tar, size, &tar->long_name, err);
        break;
    case 'K':
        tar->has_long_link = 1;
        r = read_long(tar, size, &tar->long_link, err);
        break;
    default:
        r = skip(tar, size + padding_of(size), err);
        break;
    }
    return r < 0 ? r : 1;
}

/* --- entries ------------------------------------------------------------------ */

static int is_gnu(const struct cl_tar_header *header)
{
    return memcmp(header->magic, "ustar  ", sizeof(header->magic)) == 0;
}

static struct cl_tar_text text_of(const struct cl_buf *buf)
{
    return (struct cl_tar_text){cl_buf_text(buf), buf->size};
}

/* Go's writer before 1.8 wrote POSIX's prefix into some headers of GNU's form, where times of
 * access and change are: they are times, or a prefix. */
static int has_go_prefix(const struct cl_tar_header *header)
{
    const struct cl_tar_gnu_tail *tail = cl_tar_gnu_tail_of(header);
    int64_t number;

    if (cl_tar_number(tail->atime, sizeof(tail->atime), &number) == 0 &&
        cl_tar_number(tail->ctime, sizeof(tail->ctime), &number) == 0)
        return 0;
    for (size_t i = 0; i < sizeof(header->prefix) && header->prefix[i] != '\0'; i++) {
        if ((unsigned char)header->prefix[i] >= 0x80)
            return 0;
    }
    return 1;
}

static size_t prefix_size(const struct cl_tar_header *header)
{
    enum { STAR_PREFIX = 131 }; /* star has times behind it, and says so at the end */

    if (memcmp(header->magic, "ustar", 6) != 0)
        return is_gnu(header) && has_go_prefix(header)
                   ? strnlen(header->prefix, sizeof(header->prefix))
                   : 0;
    if (memcmp(header->pad + sizeof(header->pad) - 4, "tar", 4) == 0)
        return strnlen(header->prefix, STAR_PREFIX);
    return strnlen(header->prefix, sizeof(header->prefix));
}

/* The header's own name, copied: the block goes when more is read. */
static struct cl_tar_text own_name(struct cl_tar *tar, const struct cl_tar_header *header)
{
    const size_t name = strnlen(header->name, sizeof(header->name));
    size_t prefix = prefix_size(header);

    static_assert(sizeof(tar->name) > sizeof(header->prefix) + 1 + sizeof(header->name),
                  "prefix, slash and name");
    memcpy(tar->name, header->prefix, prefix);
    if (prefix > 0)
        tar->name[prefix++] = '/';
    memcpy(tar->name + prefix, header->name, name);
    return (struct cl_tar_text){tar->name, prefix + name};
}

static struct cl_tar_text own_link(struct cl_tar *tar, const struct cl_tar_header *header)
{
    const size_t size = strnlen(header->link, sizeof(header->link));

    memcpy(tar->link, header->link, size);
    return (struct cl_tar_text){tar->link, size};
}

static void take_names(struct cl_tar *tar, const struct cl_tar_header *header,
                       struct cl_tar_entry *entry)
{
    const struct cl_tar_pax *pax = &tar->pax;

    entry->name = own_name(tar, header);
    entry->link = own_link(tar, header);
    if ((pax->has & CL_TAR_PAX_PATH) != 0)
        entry->name = pax->path;
    if ((pax->has & CL_TAR_PAX_SPARSE_NAME) != 0)
        entry->name = pax->sparse_name;
    if ((pax->has & CL_TAR_PAX_LINK) != 0)
        entry->link = pax->link;
    if (tar->has_long_name)
        entry->name = text_of(&tar->long_name);
    if (tar->has_long_link)
        entry->link = text_of(&tar->long_link);
}

/* Owner, mode and time: 0 or -EINVAL. */
static int take_attributes(const struct cl_tar *tar, const struct cl_tar_header *header,
                           struct cl_tar_entry *entry)
{
    const struct cl_tar_pax *pax = &tar->pax;
    int64_t mode, uid, gid, mtime;

    if (cl_tar_number(header->mode, sizeof(header->mode), &mode) < 0 ||
        cl_tar_number(header->uid, sizeof(header->uid), &uid) < 0 ||
        cl_tar_number(header->gid, sizeof(header->gid), &gid) < 0 ||
        cl_tar_number(header->mtime, sizeof(header->mtime), &mtime) < 0)
        return -EINVAL;
    entry->mode = (uint32_t)(mode & 07777);
    entry->uid = (pax->has & CL_TAR_PAX_UID) != 0 ? pax->uid : (uint64_t)uid;
    entry->gid = (pax->has & CL_TAR_PAX_GID) != 0 ? pax->gid : (uint64_t)gid;
    entry->mtime = (pax->has & CL_TAR_PAX_MTIME) != 0 ? pax->mtime : (struct timespec){mtime, 0};
    entry->xattrs = tar->xattrs;
    entry->xattr_count = tar->xattr_count;
    return 0;
}

/* Before POSIX a directory was a file whose name ends in a slash. */
static int take_type(const struct cl_tar_header *header, struct cl_tar_entry *entry,
                     struct cl_error *err)
{
    static const struct {
        char type;
        enum cl_tar_type is;
    } types[] = {
        {'\0', CL_TAR_FILE},     {'0', CL_TAR_FILE},    {'7', CL_TAR_FILE},   {'S', CL_TAR_FILE},
        {'1', CL_TAR_HARD_LINK}, {'2', CL_TAR_SYMLINK}, {'3', CL_TAR_DEVICE}, {'4', CL_TAR_DEVICE},
        {'5', CL_TAR_DIRECTORY}, {'6', CL_TAR_FIFO},
    };
    const struct cl_tar_text *name = &entry->name;
    char shown[CL_QUOTE_SIZE];

    for (size_t i = 0; i < CL_ARRAY_SIZE(types); i++) {
        if (types[i].type != header->type || (header->type == 'S' && !is_gnu(header)))
            continue;
        entry->type = types[i].is;
        if (header->type == '\0' && name->size > 0 && name->data[name->size - 1] == '/')
            entry->type = CL_TAR_DIRECTORY;
        return 0;
    }
    char type[2] = {header->type, '\0'};
    char type_shown[CL_QUOTE_SIZE];
    return cl_refuse(err, EINVAL, "\"%s\" is an entry of type \"%s\", which no layer has",
                     cl_tar_quote(name, shown), cl_quote_part(type, 1, type_shown));
}

/* Whether its bytes are but pieces of it. */
static int has_map(const struct cl_tar *tar, const struct cl_tar_header *header)
{
    return header->type == 'S' || (tar->pax.has & (CL_TAR_PAX_REAL_SIZE | CL_TAR_PAX_SPARSE_MAJOR |
                                                   CL_TAR_PAX_PIECES)) != 0;
}

static int take_map(struct cl_tar *tar, const struct cl_tar_header *header, uint64_t *ret_size,
                    struct cl_error *err)
{
    const struct cl_tar_gnu_tail *tail = cl_tar_gnu_tail_of(header);
    const struct cl_tar_pax *pax = &tar->pax;
    int64_t size;
    int r = 0;

    *ret_size = pax->real_size;
    if (header->type == 'S') {
        if (cl_tar_number(tail->real_size, sizeof(tail->real_size), &size) < 0 || size < 0)
            return cl_tar_damaged(tar, "a size that is none", err);
        *ret_size = (uint64_t)size;
        tar->piece_count = 0;
        r = cl_tar_read_gnu_map(tar, header, err);
    } else if ((pax->has & CL_TAR_PAX_REAL_SIZE) == 0) {
        return cl_tar_damaged(tar, "a sparse file without a size", err);
    } else if (pax->sparse_major == 1 && pax->sparse_minor == 0) {
        r = cl_tar_read_map_lines(tar, err);
    } else if (pax->sparse_major != 0 || pax->sparse_minor > 1) {
        return cl_tar_damaged(tar, "a sparse file of a form that is not known", err);
    }
    return r < 0 ? r : cl_tar_check_map(tar, *ret_size, err);
}

static int take_content(struct cl_tar *tar, const struct cl_tar_header *header,
                        struct cl_tar_entry *entry, struct cl_error *err)
{
    static const char with_content[] = {'\0', '0', '7', 'S'};
    uint64_t size;
    int r;

    if (memchr(with_content, header->type, sizeof(with_content)) == NULL)
        return 0;
    r = size_of(tar, header, &size, err);
    if (r < 0)
        return r;
    if ((tar->pax.has & CL_TAR_PAX_SIZE) != 0)
        size = tar->pax.size;
    if (size > INT64_MAX - CL_TAR_BLOCK)
        return cl_tar_damaged(tar, "a size that no file has", err);
    tar->stored = size;
    tar->padding = padding_of(size);
    entry->is_sparse = has_map(tar, header);
    if (entry->is_sparse)
        r = take_map(tar, header, &size, err);
    else if (size > 0)
        r = cl_tar_add_piece(tar, 0, size, err);
    if (entry->type == CL_TAR_FILE)
        entry->size = size;
    return r;
}

static int take_entry(struct cl_tar *tar, const struct cl_tar_header *header,
                      struct cl_tar_entry *ret, struct cl_error *err)
{
    struct cl_tar_entry entry = {0};
    int r = tar->has_pax ? cl_tar_read_pax(tar, err) : 0;

    if (r < 0)
        return r;
    take_names(tar, header, &entry);
    if (take_attributes(tar, header, &entry) < 0)
        return cl_tar_damaged(tar, "a header with a number that is none", err);
    r = take_type(header, &entry, err);
    if (r == 0)
        r = take_content(tar, header, &entry, err);
    if (r < 0)
        return r;
    if (entry.type != CL_TAR_FILE)
        tar->piece_count = 0;
    *ret = entry;
    return 1;
}

/* Passes over what is left of an entry, and forgets it. */
static int leave_entry(struct cl_tar *tar, struct cl_error *err)
{
    int r = skip(tar, tar->stored + tar->padding, err);

    tar->stored = 0;
    tar->padding = 0;
    tar->has_pax = tar->has_long_name = tar->has_long_link = 0;
    tar->pax = (struct cl_tar_pax){0};
    tar->xattr_count = 0;
    tar->piece_count = tar->piece_at = 0;
    tar->piece_done = 0;
    return r;
}

int cl_tar_next(struct cl_tar *tar, struct cl_tar_entry *ret, struct cl_error *err)
{
    struct cl_tar_header header;
    int r;

    if (tar->ended)
        return 0;
    r = leave_entry(tar, err);
    if (r < 0)
        return r;
    for (int headers = 0; headers <= CL_TAR_MAX_HEADERS; headers++) {
        r = read_header(tar, &header, err);
        if (r == 0 && (tar->has_pax || tar->has_long_name || tar->has_long_link))
            return cl_tar_damaged(tar, "an extended header without its entry", err);
        tar->ended = r == 0;
        if (r <= 0)
            return r;
        r = take_extension(tar, &header, err);
        if (r < 0)
            return r;
        if (r == 0)
            return take_entry(tar, &header, ret, err);
    }
    return cl_tar_damaged(tar, "too many extended headers of one entry", err);
}

int cl_tar_read(struct cl_tar *tar, struct cl_tar_data *ret, struct cl_error *err)
{
    while (tar->piece_at < tar->piece_count && tar->piece_done == tar->pieces[tar->piece_at].size) {
        tar->piece_at++;
        tar->piece_done = 0;
    }
    if (tar->piece_at == tar->piece_count)
        return 0;
    const struct cl_tar_piece *piece = &tar->pieces[tar->piece_at];
    const uint64_t offset = piece->offset + tar->piece_done;
    const uint64_t left = piece->size - tar->piece_done;
    const size_t least = cl_min_u64(left, PAGE - offset % PAGE);
    const char *data;
    ssize_t got = cl_stream_look(&tar->stream, least, &data, err);

    if (got < 0)
        return (int)got;
    if ((size_t)got < least)
        return cl_tar_cut_off(err);
    size_t size = cl_min_u64((uint64_t)got, left);
    if (size < left)
        size -= (offset + size) % PAGE;
    cl_stream_take(&tar->stream, size);
    tar->piece_done += size;
    tar->stored -= size;
    *ret = (struct cl_tar_data){data, size, offset};
    return 1;
}

int cl_tar_drain(struct cl_tar *tar, struct cl_error *err)
{
    uint64_t skipped;

    return cl_stream_skip(&tar->stream, UINT64_MAX, &skipped, err);
}
