/* Directories, and what a layer hides of those below it. */
#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "helpers/image/unpack_parts.h"

/* The entry's whole path, in the form in which its content will ask for it. */
static struct cl_tar_text path_of(const struct cl_name *name, char path[CL_NAME_MAX_PATH + 1])
{
    const size_t base = strlen(name->base);
    size_t size = name->parent.size;

    memcpy(path, name->parent.data, size);
    if (size > 0)
        path[size++] = '/';
    memcpy(path + size, name->base, base + 1);
    return (struct cl_tar_text){path, size + base};
}

static int set_xattrs(struct cl_unpacking *u, const struct cl_place *place,
                      const struct cl_tar_entry *entry, struct cl_error *err)
{
    return cl_xattrs_set(place->fd, entry, &u->tally.report.xattrs_dropped, err);
}

/* Gives a directory that is there what ENTRY says. */
static int dress(struct cl_unpacking *u, struct cl_place *place, const struct cl_tar_entry *entry,
                 struct cl_error *err)
{
    struct cl_attributes attributes;
    struct stat status;
    int r = cl_attributes_read(entry, &attributes, err);

    if (r < 0)
        return r;
    r = cl_sys_fstat(place->fd, &status);
    if (r < 0)
        return cl_fail(err, r, "look at a directory of the layer");
    place->mtime = attributes.mtime;
    place->is_changed = 1;
    r = cl_attributes_set(place->fd, &status, &attributes, &entry->name, err);
    return r < 0 ? r : set_xattrs(u, place, entry, err);
}

/* In the place of something that is no directory. */
static int replace(struct cl_unpacking *u, const struct cl_making *making,
                   const struct cl_spot *spot, struct cl_error *err)
{
    struct cl_place *place = NULL;
    int r = cl_unpack_make_room(u, making, err);

    if (r < 0)
        return r;
    r = cl_places_make(&u->places, spot, &making->attributes, &place, err);
    if (r == -EEXIST)
        return cl_unpack_failed(making, r, "make the directory", err);
    if (r == 0)
        r = cl_place_set_opaque(place, err);
    return r < 0 ? r : set_xattrs(u, place, making->entry, err);
}

/* Where something of its name is there. */
static int make_over(struct cl_unpacking *u, const struct cl_making *making,
                     const struct cl_spot *spot, struct cl_error *err)
{
    struct cl_place *place = NULL;
    struct stat status;
    int r = cl_sys_fstatat(making->parent->fd, making->base, &status, AT_SYMLINK_NOFOLLOW);

    if (r < 0)
        return cl_unpack_failed(making, r, "look at what is there of the name of", err);
    if (!S_ISDIR(status.st_mode))
        return replace(u, making, spot, err);
    r = cl_places_open(&u->places, spot, &place, err);
    return r < 0 ? r : dress(u, place, making->entry, err);
}

int cl_unpack_directory(struct cl_unpacking *u, const struct cl_making *making,
                        struct cl_error *err)
{
    char text[CL_NAME_MAX_PATH + 1];
    const struct cl_spot spot = {making->parent, making->base, path_of(&u->name, text)};
    struct cl_place *place = NULL;
    int r = cl_places_make(&u->places, &spot, &making->attributes, &place, err);

    if (r == -EEXIST)
        return make_over(u, making, &spot, err);
    return r < 0 ? r : set_xattrs(u, place, making->entry, err);
}

int cl_unpack_root(struct cl_unpacking *u, const struct cl_tar_entry *entry, struct cl_error *err)
{
    const struct cl_tar_text path = {"", 0};
    struct cl_place *root;
    int r;

    if (entry->type != CL_TAR_DIRECTORY)
        return cl_refuse(err, EINVAL, "the layer's own directory is an entry of another kind");
    r = cl_places_get(&u->places, &path, 0, &root, err);
    return r < 0 ? r : dress(u, root, entry, err);
}

/* --- what hides ------------------------------------------------------------------- */

/* What the layer itself has of the name stays, whichever comes first (OCI image specification,
 * "Whiteouts": they are about the layers below); a directory hides what it would be merged with. */
int cl_unpack_whiteout(struct cl_unpacking *u, const struct cl_making *making, struct cl_error *err)
{
    char text[CL_NAME_MAX_PATH + 1];
    const struct cl_spot spot = {making->parent, making->base, path_of(&u->name, text)};
    struct cl_place *place;
    struct stat status;
    int r = cl_sys_mknodat(making->parent->fd, making->base, S_IFCHR, 0);

    if (r == 0)
        making->parent->is_changed = 1;
    if (r == -EEXIST) {
        r = cl_sys_fstatat(making->parent->fd, making->base, &status, AT_SYMLINK_NOFOLLOW);
        if (r == 0 && S_ISDIR(status.st_mode)) {
            r = cl_places_open(&u->places, &spot, &place, err);
            return r < 0 ? r : cl_place_set_opaque(place, err);
        }
    }
    return r < 0 ? cl_unpack_failed(making, r, "make the whiteout", err) : 0;
}

int cl_unpack_opaque(struct cl_unpacking *u, struct cl_error *err)
{
    struct cl_place *place;
    int r = cl_places_get(&u->places, &u->name.parent, 1, &place, err);

    if (r == 0)
        r = cl_place_set_opaque(place, err);
    if (r == 0 && u->name.parent.size == 0)
        u->tally.report.root_opaque = 1;
    return r;
}
