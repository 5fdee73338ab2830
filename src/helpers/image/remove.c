/* A tree goes from its leaves up, by descriptors: down by a name and O_NOFOLLOW, up by "..",
 * which has to be the directory that we came from.
 */
#include "helpers/image/remove.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "oci/quote.h"

enum { DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW };

struct level {
    dev_t dev;
    ino_t ino;
};

struct removal {
    struct cl_tally *tally;
    int fd;               /* the directory that is being emptied */
    size_t depth;         /* how many directories of the tree lie above it */
    struct level *levels; /* those */
    size_t room;          /* for how many levels there is memory */
};

static int fail_on(const char *name, int r, struct cl_error *err)
{
    char shown[CL_QUOTE_SIZE];

    return cl_fail(err, r, "remove \"%s\"", cl_quote_part(name, strlen(name), shown));
}

/* Links of a layer make trees that are deeper than names can be: whatever could be made can be
 * removed. */
static int make_room(struct removal *removal, struct cl_error *err)
{
    enum { FIRST_ROOM = 64 };
    const size_t room = removal->room == 0 ? FIRST_ROOM : 2 * removal->room;

    if (removal->depth < removal->room)
        return 0;
    struct level *levels = cl_realloc(removal->levels, room * sizeof(*levels));
    if (levels == NULL)
        return cl_fail_memory(err);
    removal->levels = levels;
    removal->room = room;
    return 0;
}

static int go_down(struct removal *removal, const char *name, struct cl_error *err)
{
    struct stat status;
    int r = make_room(removal, err);

    if (r < 0)
        return r;
    r = cl_sys_fstat(removal->fd, &status);
    int fd = r < 0 ? r : cl_sys_openat(removal->fd, name, DIRECTORY, 0);
    if (fd < 0)
        return fail_on(name, fd, err);
    removal->levels[removal->depth++] = (struct level){status.st_dev, status.st_ino};
    cl_fd_close(&removal->fd);
    removal->fd = fd;
    return 0;
}

static int go_up(struct removal *removal, struct cl_error *err)
{
    const struct level *above = &removal->levels[removal->depth - 1];
    CL_CLEANUP_FD int fd = cl_sys_openat(removal->fd, "..", DIRECTORY, 0);
    struct stat status;
    int r = fd < 0 ? fd : cl_sys_fstat(fd, &status);

    if (r < 0)
        return fail_on("..", r, err);
    if (status.st_dev != above->dev || status.st_ino != above->ino)
        return cl_refuse(err, EXDEV, "its directories move meanwhile");
    removal->depth--;
    cl_fd_close(&removal->fd);
    removal->fd = CL_TAKE_FD(fd);
    return 0;
}

/* Removes the NAME of removal->fd: 0; goes down into a directory that is not empty: 1. */
static int remove_name(struct removal *removal, const char *name, struct cl_error *err)
{
    struct stat status;
    int r = cl_sys_fstatat(removal->fd, name, &status, AT_SYMLINK_NOFOLLOW);

    if (r == 0)
        r = cl_sys_unlinkat(removal->fd, name, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0);
    if (r == 0) {
        cl_tally_removed(removal->tally, &status);
        return 0;
    }
    if (r == -ENOTEMPTY && S_ISDIR(status.st_mode))
        return go_down(removal, name, err) < 0 ? -err->code : 1;
    return fail_on(name, r, err);
}

/* Removes what can be removed of removal->fd: 0, or 1 where it went down into a directory. */
static int empty(struct removal *removal, struct cl_error *err)
{
    struct cl_dir entries;
    const char *name;
    int r;

    cl_dir_start(&entries, removal->fd);
    while ((r = cl_dir_next(&entries, &name, NULL)) > 0) {
        r = remove_name(removal, name, err);
        if (r != 0)
            return r;
    }
    return r < 0 ? fail_on(".", r, err) : 0;
}

static int empty_tree(struct removal *removal, struct cl_error *err)
{
    int r;

    do {
        r = empty(removal, err);
        if (r == 0 && removal->depth > 0)
            r = go_up(removal, err) < 0 ? -err->code : 1;
    } while (r > 0);
    return r;
}

/* 0, or -errno without a message. */
static int remove_one(int parent, const char *base, const struct stat *status,
                      struct cl_tally *tally)
{
    int r = cl_sys_unlinkat(parent, base, S_ISDIR(status->st_mode) ? AT_REMOVEDIR : 0);

    if (r == 0)
        cl_tally_removed(tally, status);
    return r;
}

static int remove_tree(int parent, const char *base, struct removal *removal, struct cl_error *err)
{
    removal->fd = cl_sys_openat(parent, base, DIRECTORY, 0);
    if (removal->fd < 0)
        return fail_on(base, removal->fd, err);
    int r = empty_tree(removal, err);
    cl_fd_close(&removal->fd);
    free(removal->levels);
    return r;
}

/* Who filled it was killed, and may be at a last file still: what ends a process closes its locks
 * first and tells its children afterwards. */
enum { TRIES = 100000 };

int cl_remove(int parent, const char *base, const struct stat *status, struct cl_tally *tally,
              struct cl_error *err)
{
    struct removal removal = {.tally = tally, .fd = -1};
    int r = remove_one(parent, base, status, tally);

    for (int i = 0; r == -ENOTEMPTY && S_ISDIR(status->st_mode) && i < TRIES; i++) {
        r = remove_tree(parent, base, &removal, err);
        if (r < 0)
            return r;
        r = remove_one(parent, base, status, tally);
    }
    return r < 0 ? fail_on(base, r, err) : 0;
}
