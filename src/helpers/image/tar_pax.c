/* Records of a pax header, "LENGTH KEY=VALUE\n", along a table of keys. What stands later wins.
 * Keys that no row has are passed over: comments, user and group names (a layer's are those of
 * its own /etc/passwd), times of access, charsets (bytes are bytes).
 */
#include <errno.h>
#include <string.h>

#include "helpers/image/tar_parts.h"

struct record {
    char *key; /* ends in NUL */
    struct cl_tar_text value;
};

enum kind {
    TEXT,
    NUMBER,
    TIME,
    PIECE_OFFSET,
    PIECE_SIZE,
    PIECES,
    XATTR, /* `as` begins its name, the key's rest ends it */
};

static const struct row {
    const char *key; /* XATTR: how it begins */
    enum kind kind;
    uint64_t bit;
    size_t offset;
    const char *as;
} rows[] = {
#define ROW(key, kind, member, BIT)                                                                \
    {                                                                                              \
        key, kind, CL_TAR_PAX_##BIT, offsetof(struct cl_tar_pax, member), NULL                     \
    }
    ROW("path", TEXT, path, PATH),
    ROW("linkpath", TEXT, link, LINK),
    ROW("size", NUMBER, size, SIZE),
    ROW("uid", NUMBER, uid, UID),
    ROW("gid", NUMBER, gid, GID),
    ROW("mtime", TIME, mtime, MTIME),
    ROW("GNU.sparse.name", TEXT, sparse_name, SPARSE_NAME),
    ROW("GNU.sparse.major", NUMBER, sparse_major, SPARSE_MAJOR),
    ROW("GNU.sparse.minor", NUMBER, sparse_minor, SPARSE_MINOR),
    ROW("GNU.sparse.realsize", NUMBER, real_size, REAL_SIZE),
    ROW("GNU.sparse.size", NUMBER, real_size, REAL_SIZE),
#undef ROW
    {"GNU.sparse.offset", PIECE_OFFSET, CL_TAR_PAX_PIECES, 0, NULL},
    {"GNU.sparse.numbytes", PIECE_SIZE, CL_TAR_PAX_PIECES, 0, NULL},
    {"GNU.sparse.map", PIECES, CL_TAR_PAX_PIECES, 0, NULL},
    /* What sets these knows ACLs and labels as texts; under the kernel's names they are
     * extended attributes for whoever decides about those. */
    {"SCHILY.xattr.", XATTR, 0, 0, ""},
    {"SCHILY.acl.access", XATTR, 0, 0, "system.posix_acl_access"},
    {"SCHILY.acl.default", XATTR, 0, 0, "system.posix_acl_default"},
    {"RHT.security.selinux", XATTR, 0, 0, "security.selinux"},
};

/* Takes the record at *AT, of the bytes that end at END. 0 or -EINVAL. */
static int next_record(char **at, const char *end, struct record *ret)
{
    enum { MOST_DIGITS = 7 }; /* of CL_TAR_MAX_PAX */
    const size_t left = (size_t)(end - *at);
    const char *space = memchr(*at, ' ', cl_min_u64(left, MOST_DIGITS + 1));
    uint64_t size;

    if (space == NULL || cl_tar_decimal(*at, (size_t)(space - *at), &size) < 0 || size > left)
        return -EINVAL;
    char *key = *at + (space - *at) + 1;
    char *last = *at + size - 1;
    if (size == 0 || last <= key || *last != '\n')
        return -EINVAL;
    char *equals = memchr(key, '=', (size_t)(last - key));
    if (equals == NULL || equals == key || memchr(key, '\0', (size_t)(equals - key)) != NULL)
        return -EINVAL;
    *equals = '\0';
    *ret = (struct record){key, {equals + 1, (size_t)(last - equals - 1)}};
    *at = last + 1;
    return 0;
}

static const struct row *find_row(const char *key)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];
        const int is_prefix = row->kind == XATTR && *row->as == '\0';

        if (is_prefix ? strncmp(key, row->key, strlen(row->key)) == 0 : strcmp(key, row->key) == 0)
            return row;
    }
    return NULL;
}

/* A member that is said. An empty value takes it back (POSIX): the header's own stands. */
static int take_member(struct cl_tar_pax *pax, const struct row *row, struct cl_tar_text value)
{
    char *member = (char *)pax + row->offset;
    int r = 0;

    if (value.size == 0) {
        pax->has &= ~row->bit;
        return 0;
    }
    if (row->kind == TEXT)
        memcpy(member, &value, sizeof(value));
    else if (row->kind == NUMBER)
        r = cl_tar_decimal(value.data, value.size, (uint64_t *)(void *)member);
    else
        r = cl_tar_time(value.data, value.size, (struct timespec *)(void *)member);
    pax->has |= row->bit;
    return r;
}

static int add_xattr(struct cl_tar *tar, const struct row *row, const struct record *record,
                     struct cl_error *err)
{
    const char *name = *row->as == '\0' ? record->key + strlen(row->key) : row->as;

    if (tar->xattr_count == CL_TAR_MAX_XATTRS)
        return cl_refuse(err, EINVAL, "more than %d extended attributes of one file",
                         (int)CL_TAR_MAX_XATTRS);
    if (record->value.size > CL_TAR_XATTR_SIZE)
        return cl_refuse(err, EINVAL,
                         "an extended attribute of %zu bytes, more than the %d that "
                         "Linux has",
                         record->value.size, (int)CL_TAR_XATTR_SIZE);
    tar->xattrs[tar->xattr_count++] =
        (struct cl_tar_xattr){name, record->value.data, record->value.size};
    return 0;
}

/* Form 0.0: offsets and sizes in turn. */
static int take_piece(struct cl_tar *tar, const struct row *row, struct cl_tar_text value,
                      struct cl_error *err)
{
    struct cl_tar_pax *pax = &tar->pax;
    uint64_t number;

    if (cl_tar_decimal(value.data, value.size, &number) < 0 ||
        (row->kind == PIECE_SIZE) != pax->has_piece_offset)
        return cl_tar_damaged(tar, "a sparse map that is none", err);
    pax->has_piece_offset = row->kind == PIECE_OFFSET;
    if (row->kind == PIECE_SIZE)
        return cl_tar_add_piece(tar, pax->piece_offset, number, err);
    pax->piece_offset = number;
    return 0;
}

static int take_record(struct cl_tar *tar, const struct record *record, struct cl_error *err)
{
    const struct row *row = find_row(record->key);

    if (row == NULL)
        return 0;
    if (row->bit == CL_TAR_PAX_PIECES)
        tar->pax.has |= row->bit;
    switch (row->kind) {
    case XATTR:
        return add_xattr(tar, row, record, err);
    case PIECES:
        return cl_tar_read_map_text(tar, record->value.data, record->value.size, err);
    case PIECE_OFFSET:
    case PIECE_SIZE:
        return take_piece(tar, row, record->value, err);
    case TEXT:
    case NUMBER:
    case TIME:
        break;
    }
    if (take_member(&tar->pax, row, record->value) < 0)
        return cl_tar_damaged(tar, "a pax header with a number that is none", err);
    return 0;
}

int cl_tar_read_pax(struct cl_tar *tar, struct cl_error *err)
{
    char *at = tar->pax_body.data;

    if (tar->pax_body.size == 0)
        return 0;
    const char *end = at + tar->pax_body.size;
    while (at < end) {
        struct record record;

        if (next_record(&at, end, &record) < 0)
            return cl_tar_damaged(tar, "a pax header with a record that is none", err);
        int r = take_record(tar, &record, err);
        if (r < 0)
            return r;
    }
    return tar->pax.has_piece_offset ? cl_tar_damaged(tar, "a sparse map that is none", err) : 0;
}
