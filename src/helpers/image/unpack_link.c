/* Hard links, and the devices that some of them link to. */
#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "helpers/image/unpack_parts.h"

/* FNV-1a. Names of one layer that hash alike do harm to that layer alone: a hard link to
 * nothing is then taken for one to a device. */
static uint64_t hash_of(const struct cl_name *name)
{
    uint64_t hash = 0xcbf29ce484222325U;

    for (const char *p = name->parent.data; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * 0x100000001b3U;
    hash = (hash ^ '/') * 0x100000001b3U;
    for (const char *p = name->base; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * 0x100000001b3U;
    return hash;
}

void cl_unpack_skip_device(struct cl_unpacking *u)
{
    u->tally.report.devices_skipped++;
    if (u->skipped_count < CL_MAX_SKIPPED)
        u->skipped[u->skipped_count++] = hash_of(&u->name);
}

static int is_skipped(const struct cl_unpacking *u, const struct cl_name *name)
{
    const uint64_t hash = hash_of(name);

    for (size_t i = 0; i < u->skipped_count; i++) {
        if (u->skipped[i] == hash)
            return 1;
    }
    return 0;
}

static int bad_link(const struct cl_making *making, const char *why, struct cl_error *err)
{
    const struct cl_tar_entry *entry = making->entry;
    char shown[CL_QUOTE_SIZE];
    char target[CL_QUOTE_SIZE];

    return cl_refuse(err, EINVAL, "\"%s\" of the layer is a hard link to \"%s\", %s",
                     cl_tar_quote(&entry->name, shown), cl_tar_quote(&entry->link, target), why);
}

/* What the entry links to: 1 and its directory, 0 where that is a device that was skipped. */
static int find_target(struct cl_unpacking *u, const struct cl_making *making,
                       struct cl_place **ret, struct stat *ret_status, struct cl_error *err)
{
    const struct cl_name *name = &u->link_name;
    char shown[CL_QUOTE_SIZE];
    int r = name->kind == CL_NAME_PLAIN ? cl_places_get(&u->places, &name->parent, 0, ret, err)
                                        : -ENOENT;

    if (r < 0 && r != -ENOENT)
        return cl_prefix(err, "the hard link \"%s\"", cl_tar_quote(&making->entry->name, shown));
    if (r == 0)
        r = cl_sys_fstatat((*ret)->fd, name->base, ret_status, AT_SYMLINK_NOFOLLOW);
    if (r < 0 && r != -ENOENT)
        return cl_unpack_failed(making, r, "look at the target of the hard link", err);
    if (r == 0 && S_ISDIR(ret_status->st_mode))
        return bad_link(making, "which is a directory", err);
    if (r == 0 && !S_ISCHR(ret_status->st_mode)) /* not a whiteout */
        return 1;
    if (name->kind == CL_NAME_PLAIN && is_skipped(u, name))
        return 0;
    return bad_link(making, "which the layer doesn't have before it", err);
}

/* Whether the entry's name is the target's already: 1, 0 or -errno. */
static int is_linked(const struct cl_making *making, const struct stat *target,
                     struct cl_error *err)
{
    struct stat status;
    int r = cl_sys_fstatat(making->parent->fd, making->base, &status, AT_SYMLINK_NOFOLLOW);

    if (r < 0)
        return cl_unpack_failed(making, r, "look at what is there of the name of", err);
    return status.st_dev == target->st_dev && status.st_ino == target->st_ino;
}

static int get_parent(struct cl_unpacking *u, struct cl_making *making, struct cl_error *err)
{
    return cl_places_get(&u->places, &u->name.parent, 1, &making->parent, err);
}

int cl_unpack_hard_link(struct cl_unpacking *u, struct cl_making *making, struct cl_error *err)
{
    struct cl_place *target = NULL;
    char shown[CL_QUOTE_SIZE];
    struct stat status;
    int r = cl_name_read(&making->entry->link, &u->link_name, err);

    if (r < 0)
        return cl_prefix(err, "the hard link \"%s\"", cl_tar_quote(&making->entry->name, shown));
    for (int tries = 0; tries < 2; tries++) {
        /* again in the second round, as descriptors were closed */
        r = get_parent(u, making, err);
        if (r == 0)
            r = find_target(u, making, &target, &status, err);
        if (r < 0)
            return r;
        if (r == 0) {
            cl_unpack_skip_device(u); /* by another name */
            return 0;
        }
        CL_ASSERT(target != NULL);
        r = cl_sys_linkat(target->fd, u->link_name.base, making->parent->fd, making->base, 0);
        if (r != -EEXIST)
            break;
        r = is_linked(making, &status, err);
        if (r != 0)
            return r < 0 ? r : 0;
        r = cl_unpack_make_room(u, making, err);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return cl_unpack_failed(making, r, "make the hard link", err);
    making->parent->is_changed = 1;
    return 0;
}
