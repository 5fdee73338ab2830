/* Id-mapped bind mounts of a bundle (OCI runtime specification, config.md, "Mounts", uidMappings).
 * The maps of a mount are its own, else those of the container's user namespace. */
#include <errno.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/bundle.h"

/* Where the maps of mount INDEX begin in the record. */
static void find_maps(const struct cl_spec *spec, size_t index, struct cl_spec_maps ret[2])
{
    const struct cl_spec_map *at = spec->mount_maps.items;
    const struct cl_spec_mount *mount = &spec->mounts.items[index];

    for (size_t i = 0; i < index; i++)
        at += spec->mounts.items[i].uid_maps + spec->mounts.items[i].gid_maps;
    ret[0] = (struct cl_spec_maps){at, mount->uid_maps};
    ret[1] = (struct cl_spec_maps){at + mount->uid_maps, mount->gid_maps};
    if (mount->uid_maps == 0 && mount->gid_maps == 0) {
        ret[0] = spec->uid_maps;
        ret[1] = spec->gid_maps;
    }
}

static int make_userns(const struct cl_spec_maps maps[2], struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf uids = CL_BUF_INIT(CL_BUNDLE_MAP_MOST);
    CL_CLEANUP_BUF struct cl_buf gids = CL_BUF_INIT(CL_BUNDLE_MAP_MOST);
    int r = cl_bundle_map_text(&maps[0], &uids, err);

    if (r == 0)
        r = cl_bundle_map_text(&maps[1], &gids, err);
    return r < 0 ? r : cl_userns_make_of(cl_buf_text(&uids), cl_buf_text(&gids), err);
}

int cl_bundle_idmap(const struct cl_bundle *bundle, size_t index, int tree, struct cl_error *err)
{
    const struct cl_spec_mount *mount = &bundle->spec->mounts.items[index];
    struct cl_spec_maps maps[2];

    if ((mount->flags & (CL_SPEC_IDMAP | CL_SPEC_IDMAP_DEEP)) == 0)
        return 0;
    find_maps(bundle->spec, index, maps);
    if (maps[0].count == 0 || maps[1].count == 0)
        return cl_refuse(err, EINVAL,
                         "mounts[%zu]: idmap takes uidMappings and gidMappings, of the mount or of "
                         "linux",
                         index);
    CL_CLEANUP_FD int userns = make_userns(maps, err);
    if (userns < 0)
        return cl_prefix(err, "mounts[%zu]", index);
    const struct cl_mount_attr attr = {.attr_set = CL_MOUNT_ATTR_IDMAP,
                                       .userns_fd = (uint64_t)userns};
    const unsigned int deep = (mount->flags & CL_SPEC_IDMAP_DEEP) != 0 ? CL_AT_RECURSIVE : 0;
    int r = cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH | deep, &attr);
    return r < 0 ? cl_fail(err, r, "mounts[%zu]: id-map %s", index, mount->source) : 0;
}
