#include "helpers/image/places.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "oci/quote.h"

enum { DIRECTORY = O_RDONLY | O_DIRECTORY };

#define OPAQUE "user.overlay.opaque" /* kernel, filesystems/overlayfs: with `userxattr` */

void cl_places_start(struct cl_places *places, int root, struct cl_tally *tally)
{
    memset(places, 0, sizeof(*places));
    places->root = root;
    places->tally = tally;
    for (size_t i = 0; i < CL_PLACES; i++)
        places->places[i].fd = -1;
}

void cl_places_done(struct cl_places *places)
{
    for (size_t i = 0; i < CL_PLACES; i++)
        cl_fd_close(&places->places[i].fd);
}

static int fail_on(const struct cl_tar_text *path, int r, const char *what, struct cl_error *err)
{
    char shown[CL_QUOTE_SIZE];

    return cl_fail(err, r, "%s \"%s\"", what, cl_tar_quote(path, shown));
}

/* --- what is open ------------------------------------------------------------- */

static int close_place(struct cl_places *places, struct cl_place *place, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = CL_TAKE_FD(place->fd);
    const struct cl_tar_text path = {place->path, place->size};
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, place->mtime};
    struct stat status;
    int r = 0;

    if (fd < 0 || !place->is_changed)
        return 0;
    r = cl_sys_utimensat(fd, NULL, times, 0);
    if (r < 0 || (r = cl_sys_fstat(fd, &status)) < 0)
        return fail_on(&path, r, "set the time of the directory", err);
    cl_tally_blocks(places->tally, status.st_blocks - place->blocks); /* what it grew by */
    return 0;
}

int cl_places_close(struct cl_places *places, const struct cl_place *keep, struct cl_error *err)
{
    for (size_t i = 0; i < CL_PLACES; i++) {
        int r = &places->places[i] == keep ? 0 : close_place(places, &places->places[i], err);

        if (r < 0)
            return r;
    }
    return 0;
}

static struct cl_place *use(struct cl_places *places, struct cl_place *place)
{
    place->used = ++places->now;
    places->last = place;
    return place;
}

static int is_at(const struct cl_place *place, const struct cl_tar_text *path)
{
    return place->fd >= 0 && place->size == path->size &&
           memcmp(place->path, path->data, path->size) == 0;
}

static struct cl_place *find(struct cl_places *places, const struct cl_tar_text *path)
{
    if (places->last != NULL && is_at(places->last, path))
        return use(places, places->last);
    for (size_t i = 0; i < CL_PLACES; i++) {
        if (is_at(&places->places[i], path))
            return use(places, &places->places[i]);
    }
    return NULL;
}

static void set_path(struct cl_place *place, const struct cl_tar_text *path)
{
    CL_ASSERT(path->size < sizeof(place->path));
    memcpy(place->path, path->data, path->size);
    place->size = path->size;
}

/* A free one, or the one that was not used for longest. */
static int take_place(struct cl_places *places, struct cl_place **ret, struct cl_error *err)
{
    struct cl_place *oldest = &places->places[0];

    for (size_t i = 0; i < CL_PLACES; i++) {
        struct cl_place *place = &places->places[i];

        if (place->fd < 0 || (oldest->fd >= 0 && place->used < oldest->used))
            oldest = place;
    }
    int r = close_place(places, oldest, err);
    *ret = oldest;
    return r;
}

/* Takes FD, the directory that PATH leads to. */
static int add(struct cl_places *places, int fd, const struct cl_tar_text *path,
               struct cl_place **ret, struct cl_error *err)
{
    CL_CLEANUP_FD int owned = fd;
    struct cl_place *place;
    struct stat status;
    int r = cl_sys_fstat(owned, &status);

    if (r < 0)
        return fail_on(path, r, "look at the directory", err);
    for (size_t i = 0; i < CL_PLACES; i++) {
        place = &places->places[i];
        if (place->fd >= 0 && place->dev == status.st_dev && place->ino == status.st_ino) {
            set_path(place, path);
            *ret = use(places, place);
            return 0;
        }
    }
    r = take_place(places, &place, err);
    if (r < 0)
        return r;
    place->fd = CL_TAKE_FD(owned);
    place->dev = status.st_dev;
    place->ino = status.st_ino;
    place->mtime = status.st_mtim;
    place->blocks = status.st_blocks;
    place->is_changed = 0;
    set_path(place, path);
    *ret = use(places, place);
    return 0;
}

static int fail_at(const struct cl_spot *spot, int r, const char *what, struct cl_error *err)
{
    return fail_on(&spot->path, r, what, err);
}

int cl_places_open(struct cl_places *places, const struct cl_spot *spot, struct cl_place **ret,
                   struct cl_error *err)
{
    int fd = cl_sys_openat(spot->parent->fd, spot->base, DIRECTORY | O_NOFOLLOW, 0);

    return fd < 0 ? fail_at(spot, fd, "open the directory", err)
                  : add(places, fd, &spot->path, ret, err);
}

int cl_places_make(struct cl_places *places, const struct cl_spot *spot,
                   const struct cl_attributes *attributes, struct cl_place **ret,
                   struct cl_error *err)
{
    struct cl_place *place = NULL;
    struct stat status;
    int r = cl_sys_mkdirat(spot->parent->fd, spot->base, attributes->mode);

    if (r == -EEXIST)
        return r;
    if (r < 0)
        return fail_at(spot, r, "make the directory", err);
    spot->parent->is_changed = 1;
    r = cl_places_open(places, spot, &place, err);
    if (r < 0)
        return r;
    CL_ASSERT(place != NULL);
    place->mtime = attributes->mtime;
    place->is_changed = 1;
    cl_tally_blocks(places->tally, place->blocks);
    r = cl_sys_fstat(place->fd, &status);
    if (r < 0)
        return fail_at(spot, r, "look at the directory", err);
    *ret = place;
    return cl_attributes_set(place->fd, &status, attributes, &spot->path, err);
}

int cl_place_set_opaque(const struct cl_place *place, struct cl_error *err)
{
    const struct cl_tar_text path = {place->path, place->size};
    int r = cl_sys_fsetxattr(place->fd, OPAQUE, "y", 1);

    if (r < 0)
        (void)fail_on(&path, r, "hide what lies below the directory", err);
    if (r == -EOPNOTSUPP)
        return cl_hint(err, "the store's file system keeps no user extended attributes: ext4, xfs "
                            "and btrfs do");
    return r;
}

/* --- the way there ------------------------------------------------------------ */

static const struct cl_attributes forgotten = {.mode = 0755};

/* Makes the directory that the archive forgot. */
static int make_forgotten(struct cl_places *places, const struct cl_spot *spot,
                          struct cl_place **ret, struct cl_error *err)
{
    int r = cl_tally_entry(places->tally, err);

    if (r == 0)
        r = cl_places_make(places, spot, &forgotten, ret, err);
    return r == -EEXIST ? fail_at(spot, r, "make the directory", err) : r;
}

/* The layer hides what it then has content of. */
static int replace_whiteout(struct cl_places *places, const struct cl_spot *spot,
                            struct cl_place **ret, struct cl_error *err)
{
    int r = cl_sys_unlinkat(spot->parent->fd, spot->base, 0);

    if (r < 0)
        return fail_at(spot, r, "remove the whiteout", err);
    r = make_forgotten(places, spot, ret, err);
    return r < 0 ? r : cl_place_set_opaque(*ret, err);
}

static int open_link(struct cl_places *places, const struct cl_spot *spot, struct cl_place **ret,
                     struct cl_error *err)
{
    char path[CL_NAME_MAX_PATH + 1];
    char shown[CL_QUOTE_SIZE];

    memcpy(path, spot->path.data, spot->path.size);
    path[spot->path.size] = '\0';
    int fd = cl_open_in_root(places->root, path, DIRECTORY);
    if (fd >= 0)
        return add(places, fd, &spot->path, ret, err);
    (void)cl_tar_quote(&spot->path, shown);
    if (fd == -ENOENT)
        return cl_refuse(err, EINVAL,
                         "\"%s\" is a symbolic link to nothing that this layer has, and a "
                         "directory for another of its entries",
                         shown);
    if (fd == -ELOOP)
        return cl_refuse(err, EINVAL,
                         "\"%s\" is a symbolic link in a circle, and a directory for another of "
                         "the layer's entries",
                         shown);
    return cl_fail(err, fd, "follow the symbolic link \"%s\" to a directory", shown);
}

static int not_there(const struct cl_spot *spot, struct cl_error *err)
{
    char shown[CL_QUOTE_SIZE];

    return cl_refuse(err, ENOENT, "\"%s\" is not in the layer", cl_tar_quote(&spot->path, shown));
}

/* What is at SPOT is no directory. */
static int open_other(struct cl_places *places, const struct cl_spot *spot, int make,
                      struct cl_place **ret, struct cl_error *err)
{
    char shown[CL_QUOTE_SIZE];
    struct stat status;
    int r = cl_sys_fstatat(spot->parent->fd, spot->base, &status, AT_SYMLINK_NOFOLLOW);

    if (r < 0)
        return fail_at(spot, r, "look at", err);
    if (S_ISLNK(status.st_mode))
        return open_link(places, spot, ret, err);
    if (!S_ISCHR(status.st_mode)) /* whiteouts are all the devices that there are */
        return cl_refuse(err, EINVAL,
                         "\"%s\" is no directory, but one for another of the layer's entries",
                         cl_tar_quote(&spot->path, shown));
    return make ? replace_whiteout(places, spot, ret, err) : not_there(spot, err);
}

static int take_step(struct cl_places *places, const struct cl_spot *spot, int make,
                     struct cl_place **ret, struct cl_error *err)
{
    int fd = cl_sys_openat(spot->parent->fd, spot->base, DIRECTORY | O_NOFOLLOW, 0);

    if (fd >= 0)
        return add(places, fd, &spot->path, ret, err);
    if (fd == -ENOTDIR || fd == -ELOOP)
        return open_other(places, spot, make, ret, err);
    if (fd != -ENOENT)
        return fail_at(spot, fd, "open the directory", err);
    return make ? make_forgotten(places, spot, ret, err) : not_there(spot, err);
}

/* Part by part, from the root. */
static int walk(struct cl_places *places, const struct cl_tar_text *path, int make,
                struct cl_place **ret, struct cl_error *err)
{
    const struct cl_tar_text root = {"", 0};
    const char *end = path->data + path->size;
    const char *at = path->data;
    char base[CL_NAME_MAX_PART + 1];
    struct cl_place *place;
    int r = cl_places_get(places, &root, 0, &place, err);

    while (r == 0 && at < end) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *stop = slash == NULL ? end : slash;
        const struct cl_spot spot = {place, base, {path->data, (size_t)(stop - path->data)}};
        struct cl_place *known = find(places, &spot.path);

        CL_ASSERT((size_t)(stop - at) < sizeof(base));
        memcpy(base, at, (size_t)(stop - at));
        base[stop - at] = '\0';
        if (known != NULL)
            place = known;
        else
            r = take_step(places, &spot, make, &place, err);
        at = slash == NULL ? end : slash + 1;
    }
    if (r == 0)
        *ret = place;
    return r;
}

int cl_places_get(struct cl_places *places, const struct cl_tar_text *path, int make,
                  struct cl_place **ret, struct cl_error *err)
{
    if (places->is_stale) {
        int r = cl_places_close(places, NULL, err);
        if (r < 0)
            return r;
        places->is_stale = 0;
    }
    struct cl_place *known = find(places, path);
    if (known != NULL) {
        *ret = known;
        return 0;
    }
    int fd = cl_open_in_root(places->root, path->size == 0 ? "." : path->data, DIRECTORY);
    if (fd >= 0)
        return add(places, fd, path, ret, err);
    if (path->size > 0 && (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP))
        return walk(places, path, make, ret, err);
    return fail_on(path, fd, "open the directory", err);
}
