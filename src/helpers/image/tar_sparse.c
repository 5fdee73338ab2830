/* Maps of sparse files: where the bytes that are stored belong. GNU tar wrote them in four
 * forms: binary in headers, as repeated pax records (0.0), as one (0.1), as lines before the
 * content (1.0).
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "helpers/image/tar_parts.h"

static int bad_map(const struct cl_tar *tar, struct cl_error *err)
{
    return cl_tar_damaged(tar, "a sparse map that is none", err);
}

static int make_room(struct cl_tar *tar, struct cl_error *err)
{
    if (tar->pieces != NULL && tar->piece_count < tar->piece_room)
        return 0;
    if (tar->piece_room == CL_TAR_MAX_PIECES)
        return cl_refuse(err, EINVAL, "a sparse file of more than %d pieces",
                         (int)CL_TAR_MAX_PIECES);
    size_t room = tar->piece_room == 0 ? 64 : tar->piece_room * 2;
    struct cl_tar_piece *pieces = cl_realloc(tar->pieces, room * sizeof(*pieces));
    if (pieces == NULL)
        return cl_fail_memory(err);
    tar->pieces = pieces;
    tar->piece_room = room;
    return 0;
}

int cl_tar_add_piece(struct cl_tar *tar, uint64_t offset, uint64_t size, struct cl_error *err)
{
    const struct cl_tar_piece *last =
        tar->piece_count > 0 ? &tar->pieces[tar->piece_count - 1] : NULL;
    uint64_t end;

    if (__builtin_add_overflow(offset, size, &end) || end > INT64_MAX)
        return bad_map(tar, err);
    if (last != NULL && offset < last->offset + last->size)
        return bad_map(tar, err);
    int r = make_room(tar, err);
    if (r < 0)
        return r;
    tar->pieces[tar->piece_count++] = (struct cl_tar_piece){offset, size};
    return 0;
}

int cl_tar_check_map(const struct cl_tar *tar, uint64_t real_size, struct cl_error *err)
{
    uint64_t stored = 0;
    uint64_t end = 0;

    /* no sum overflows: pieces don't overlap, and end before INT64_MAX */
    for (size_t i = 0; i < tar->piece_count; i++) {
        stored += tar->pieces[i].size;
        end = tar->pieces[i].offset + tar->pieces[i].size;
    }
    if (end > real_size || stored != tar->stored)
        return cl_tar_damaged(tar, "a sparse map that doesn't fit its file", err);
    return 0;
}

/* --- binary ------------------------------------------------------------------- */

static int take_rows(struct cl_tar *tar, const struct cl_tar_sparse *rows, size_t count,
                     struct cl_error *err)
{
    for (size_t i = 0; i < count && rows[i].offset[0] != '\0'; i++) {
        int64_t offset;
        int64_t size;

        if (cl_tar_number(rows[i].offset, sizeof(rows[i].offset), &offset) < 0 ||
            cl_tar_number(rows[i].size, sizeof(rows[i].size), &size) < 0 || offset < 0 || size < 0)
            return bad_map(tar, err);
        int r = cl_tar_add_piece(tar, (uint64_t)offset, (uint64_t)size, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int cl_tar_read_gnu_map(struct cl_tar *tar, const struct cl_tar_header *header,
                        struct cl_error *err)
{
    const struct cl_tar_gnu_tail *tail = cl_tar_gnu_tail_of(header);
    int r = take_rows(tar, tail->sparse, CL_ARRAY_SIZE(tail->sparse), err);
    char is_extended = tail->is_extended;
    /* an empty block, which adds no piece, could be followed by others for ever */
    for (size_t blocks = 0; r == 0 && is_extended != '\0'; blocks++) {
        const struct cl_tar_gnu_more *more;
        const void *block;

        if (blocks > CL_TAR_MAX_PIECES / CL_ARRAY_SIZE(more->sparse))
            return bad_map(tar, err);
        r = cl_tar_take_block(tar, &block, err);
        if (r <= 0)
            return r < 0 ? r : cl_tar_cut_off(err);
        more = block;
        r = take_rows(tar, more->sparse, CL_ARRAY_SIZE(more->sparse), err);
        is_extended = more->is_extended;
    }
    return r;
}

/* --- text --------------------------------------------------------------------- */

int cl_tar_read_map_text(struct cl_tar *tar, const char *text, size_t size, struct cl_error *err)
{
    const char *end = text + size;

    tar->piece_count = 0; /* a later map wins */
    while (text < end) {
        uint64_t numbers[2];

        for (size_t i = 0; i < 2; i++) {
            const char *comma = memchr(text, ',', (size_t)(end - text));
            const char *stop = comma == NULL ? end : comma;

            if (cl_tar_decimal(text, (size_t)(stop - text), &numbers[i]) < 0)
                return bad_map(tar, err);
            text = comma == NULL ? end : comma + 1;
            if (comma == NULL ? i == 0 : text == end) /* a pair, and no comma behind the last */
                return bad_map(tar, err);
        }
        int r = cl_tar_add_piece(tar, numbers[0], numbers[1], err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- lines -------------------------------------------------------------------- */

struct lines {
    struct cl_tar *tar;
    const char *block; /* in the stream's buffer: nothing else reads meanwhile */
    size_t at;
};

static int next_char(struct lines *lines, char *ret, struct cl_error *err)
{
    struct cl_tar *tar = lines->tar;

    if (lines->at == CL_TAR_BLOCK) {
        const void *block;

        if (tar->stored < CL_TAR_BLOCK)
            return bad_map(tar, err);
        int r = cl_tar_take_block(tar, &block, err);
        if (r <= 0)
            return r < 0 ? r : cl_tar_cut_off(err);
        tar->stored -= CL_TAR_BLOCK;
        lines->block = block;
        lines->at = 0;
    }
    *ret = lines->block[lines->at++];
    return 0;
}

static int next_number(struct lines *lines, uint64_t *ret, struct cl_error *err)
{
    char digits[24];
    size_t count = 0;

    for (;;) {
        char c = '\0';
        int r = next_char(lines, &c, err);

        if (r < 0)
            return r;
        if (c == '\n')
            break;
        if (count == sizeof(digits))
            return bad_map(lines->tar, err);
        digits[count++] = c;
    }
    return cl_tar_decimal(digits, count, ret) < 0 ? bad_map(lines->tar, err) : 0;
}

int cl_tar_read_map_lines(struct cl_tar *tar, struct cl_error *err)
{
    struct lines lines = {.tar = tar, .at = CL_TAR_BLOCK};
    uint64_t count;
    int r = next_number(&lines, &count, err);

    tar->piece_count = 0;
    for (uint64_t i = 0; r == 0 && i < count; i++) {
        uint64_t offset;
        uint64_t size;

        r = next_number(&lines, &offset, err);
        if (r == 0)
            r = next_number(&lines, &size, err);
        if (r == 0)
            r = cl_tar_add_piece(tar, offset, size, err);
    }
    return r;
}
