/* Files, symbolic links and FIFOs.
 *
 * Each is made as if nothing of its name were there, which is nearly always so; EEXIST says that
 * something has to go first. It is made with its final mode, and what fstat tells after the
 * content was written decides whether owner or mode have to be set at all: a usual file costs
 * openat, pwrite, fstat, utimensat and close.
 */
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/image/remove.h"
#include "helpers/image/unpack_parts.h"

enum {
    SYNC_FROM = 1 << 20,  /* files of this size are written out while the next ones come */
    SYNC_EVERY = 8 << 20, /* and larger ones in such parts */
};

int cl_unpack_failed(const struct cl_making *making, int r, const char *what, struct cl_error *err)
{
    const struct cl_tar_text *name = &making->entry->name;
    char shown[CL_QUOTE_SIZE];

    return cl_fail(err, r, "%s \"%s\"", what, cl_tar_quote(name, shown));
}

/* --- making room ----------------------------------------------------------------- */

int cl_unpack_make_room(struct cl_unpacking *u, const struct cl_making *making,
                        struct cl_error *err)
{
    char shown[CL_QUOTE_SIZE];
    struct stat status;
    int r = cl_sys_fstatat(making->parent->fd, making->base, &status, AT_SYMLINK_NOFOLLOW);

    if (r < 0)
        return cl_unpack_failed(making, r, "look at what is there of the name of", err);
    if (S_ISDIR(status.st_mode)) {
        r = cl_places_close(&u->places, making->parent, err);
        if (r < 0)
            return r;
    }
    u->places.is_stale |= S_ISDIR(status.st_mode) || S_ISLNK(status.st_mode);
    making->parent->is_changed = 1;
    r = cl_remove(making->parent->fd, making->base, &status, &u->tally, err);
    return r < 0 ? cl_prefix(err, "make room for \"%s\"", cl_tar_quote(&making->entry->name, shown))
                 : 0;
}

/* Calls MAKE, and once more after what is in its way went. What it returns, or -errno. */
static int make_with_room(struct cl_unpacking *u, const struct cl_making *making,
                          int (*make)(const struct cl_making *making), const char *what,
                          struct cl_error *err)
{
    int r = make(making);

    if (r == -EEXIST) {
        r = cl_unpack_make_room(u, making, err);
        if (r < 0)
            return r;
        r = make(making);
    }
    if (r < 0)
        return cl_unpack_failed(making, r, what, err);
    making->parent->is_changed = 1;
    return r;
}

/* --- files ----------------------------------------------------------------------- */

static int write_at(int fd, const struct cl_tar_data *data)
{
    size_t done = 0;

    while (done < data->size) {
        ssize_t put =
            cl_sys_pwrite(fd, data->data + done, data->size - done, (off_t)(data->offset + done));

        if (put == -EINTR)
            continue;
        if (put < 0)
            return (int)put;
        done += (size_t)put;
    }
    return 0;
}

/* *RET_END: where the last byte lies that is no hole. */
static int write_pieces(struct cl_unpacking *u, const struct cl_making *making, int fd,
                        uint64_t *ret_end, struct cl_error *err)
{
    const struct cl_tar_text *name = &making->entry->name;
    char shown[CL_QUOTE_SIZE];
    uint64_t synced = 0;
    struct cl_tar_data data;
    int r;

    while ((r = cl_tar_read(&u->tar, &data, err)) > 0) {
        r = write_at(fd, &data);
        if (r < 0)
            return cl_unpack_failed(making, r, "write", err);
        *ret_end = data.offset + data.size;
        if (*ret_end - synced >= SYNC_EVERY) {
            (void)cl_sys_sync_file_range(fd, (off_t)synced); /* advice */
            synced = *ret_end;
        }
        r = cl_tally_report(&u->tally, cl_tar_position(&u->tar), err);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return cl_prefix(err, "\"%s\"", cl_tar_quote(name, shown));
    if (making->entry->size >= SYNC_FROM)
        (void)cl_sys_sync_file_range(fd, (off_t)synced); /* advice */
    return 0;
}

static int write_content(struct cl_unpacking *u, const struct cl_making *making, int fd,
                         struct cl_error *err)
{
    uint64_t end = 0;
    struct stat status;
    int r = write_pieces(u, making, fd, &end, err);

    if (r < 0)
        return r;
    if (end < making->entry->size) {
        r = cl_sys_ftruncate(fd, (off_t)making->entry->size);
        if (r < 0)
            return cl_unpack_failed(making, r, "make a hole in", err);
    }
    r = cl_sys_fstat(fd, &status);
    if (r < 0)
        return cl_unpack_failed(making, r, "look at", err);
    cl_tally_blocks(&u->tally, status.st_blocks);
    u->tally.report.bytes += making->entry->size;
    return cl_attributes_set(fd, &status, &making->attributes, &making->entry->name, err);
}

static int open_new(const struct cl_making *making)
{
    return cl_sys_openat(making->parent->fd, making->base, O_WRONLY | O_CREAT | O_EXCL,
                         making->attributes.mode);
}

int cl_unpack_file(struct cl_unpacking *u, const struct cl_making *making, struct cl_error *err)
{
    const struct timespec times[2] = {making->attributes.mtime, making->attributes.mtime};
    int r = cl_tally_charge(&u->tally, making->entry->size, err);

    if (r < 0)
        return r;
    CL_CLEANUP_FD int fd = make_with_room(u, making, open_new, "make the file", err);
    if (fd < 0)
        return fd;
    r = write_content(u, making, fd, err);
    if (r == 0)
        r = cl_xattrs_set(fd, making->entry, &u->tally.report.xattrs_dropped, err);
    if (r < 0)
        return r;
    r = cl_sys_utimensat(fd, NULL, times, 0);
    return r < 0 ? cl_unpack_failed(making, r, "set the time of", err) : 0;
}

/* --- what is made without a descriptor ---------------------------------------------- */

/* Owner and mode where they differ. */
static int dress(const struct cl_making *making, const struct stat *status, struct cl_error *err)
{
    const struct cl_attributes *attributes = &making->attributes;
    const int other_owner = cl_attributes_owner_differs(attributes, status);
    int r = 0;

    if (other_owner)
        r = cl_sys_fchownat(making->parent->fd, making->base, attributes->uid, attributes->gid,
                            AT_SYMLINK_NOFOLLOW);
    if (r < 0)
        return cl_attributes_no_owner(r, attributes, &making->entry->name, err);
    /* links have no mode, and fchmodat would follow one; a change of owner clears bits */
    if (!S_ISLNK(status->st_mode) &&
        (other_owner || cl_attributes_mode_differs(attributes, status)))
        r = cl_sys_fchmodat(making->parent->fd, making->base, attributes->mode);
    return r < 0 ? cl_unpack_failed(making, r, "set the mode of", err) : 0;
}

static int finish(struct cl_unpacking *u, const struct cl_making *making, struct cl_error *err)
{
    const struct timespec times[2] = {making->attributes.mtime, making->attributes.mtime};
    const int dir = making->parent->fd;
    struct stat status;
    int r = cl_sys_fstatat(dir, making->base, &status, AT_SYMLINK_NOFOLLOW);

    if (r < 0)
        return cl_unpack_failed(making, r, "look at", err);
    cl_tally_blocks(&u->tally, status.st_blocks);
    r = dress(making, &status, err);
    if (r == 0)
        r = cl_xattrs_set(-1, making->entry, &u->tally.report.xattrs_dropped, err);
    if (r < 0)
        return r;
    r = cl_sys_utimensat(dir, making->base, times, AT_SYMLINK_NOFOLLOW);
    return r < 0 ? cl_unpack_failed(making, r, "set the time of", err) : 0;
}

/* Why a symbolic link can't have the target TEXT; NULL: it can. */
static const char *bad_target(const struct cl_tar_text *text)
{
    if (text->size == 0)
        return "nothing";
    if (text->size > CL_NAME_MAX_PATH)
        return "a name of more than 4095 bytes";
    return memchr(text->data, '\0', text->size) != NULL ? "a name with a NUL byte" : NULL;
}

static int link_symbolically(const struct cl_making *making)
{
    char target[CL_NAME_MAX_PATH + 1];
    const struct cl_tar_text *link = &making->entry->link;

    memcpy(target, link->data, link->size);
    target[link->size] = '\0';
    return cl_sys_symlinkat(target, making->parent->fd, making->base);
}

int cl_unpack_symlink(struct cl_unpacking *u, const struct cl_making *making, struct cl_error *err)
{
    const struct cl_tar_text *name = &making->entry->name;
    const char *bad = bad_target(&making->entry->link);
    char shown[CL_QUOTE_SIZE];

    if (bad != NULL)
        return cl_refuse(err, EINVAL, "\"%s\" of the layer is a symbolic link to %s",
                         cl_tar_quote(name, shown), bad);
    int r = cl_tally_charge(&u->tally, making->entry->link.size, err);
    if (r == 0)
        r = make_with_room(u, making, link_symbolically, "make the symbolic link", err);
    return r < 0 ? r : finish(u, making, err);
}

static int make_pipe(const struct cl_making *making)
{
    return cl_sys_mknodat(making->parent->fd, making->base, S_IFIFO | making->attributes.mode, 0);
}

int cl_unpack_fifo(struct cl_unpacking *u, const struct cl_making *making, struct cl_error *err)
{
    int r = make_with_room(u, making, make_pipe, "make the FIFO", err);

    return r < 0 ? r : finish(u, making, err);
}
