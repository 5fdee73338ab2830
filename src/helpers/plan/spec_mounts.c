/* What is mounted in a container beside its root: config.md, "Mounts". */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "helpers/plan/spec_parts.h"

enum { PATH_SIZE = 40 };

struct mount_doc {
    const char *destination;
    const char *type;
    const char *source;
    struct cl_strlist options;
    struct cl_decode_list uid_maps; /* struct map_doc */
    struct cl_decode_list gid_maps;
};

struct map_doc {
    struct cl_decode_number inside;
    struct cl_decode_number outside;
    struct cl_decode_number size;
};

#define THIS map_doc
static const struct cl_decode_field map_fields[] = {
    CL_DECODE_FIELD("containerID", NUMBER, inside, .max = UINT32_MAX, .needed = 1),
    CL_DECODE_FIELD("hostID", NUMBER, outside, .max = UINT32_MAX, .needed = 1),
    CL_DECODE_FIELD("size", NUMBER, size, .min = 1, .max = UINT32_MAX, .needed = 1),
};
const struct cl_decode_shape cl_spec_map_shape = CL_DECODE_SHAPE(map_fields, CL_DECODE_OPEN);
#undef THIS

/* A destination may be relative still, to "/": there is room for that. */
#define THIS mount_doc
static const struct cl_decode_field mount_fields[] = {
    CL_DECODE_FIELD("destination", TEXT, destination, .max = CL_SPEC_MAX_PATH - 1,
                    .check = cl_spec_check_filled, .needed = 1),
    CL_DECODE_ROW("type", TEXT, type, CL_SPEC_MAX_PATH),
    CL_DECODE_ROW("source", TEXT, source, CL_SPEC_MAX_PATH),
    CL_DECODE_ROW("options", TEXTS, options, UINT64_MAX),
    CL_DECODE_ROW_OF("uidMappings", LIST, uid_maps, UINT64_MAX, &cl_spec_map_shape),
    CL_DECODE_ROW_OF("gidMappings", LIST, gid_maps, UINT64_MAX, &cl_spec_map_shape),
};
const struct cl_decode_shape cl_spec_mount_shape = CL_DECODE_SHAPE(mount_fields, CL_DECODE_OPEN);
#undef THIS

int cl_spec_take_maps(const struct cl_decode_list *maps, const char *path, struct cl_spec_map *ret,
                      struct cl_error *err)
{
    const struct map_doc *docs = maps->items;

    for (size_t i = 0; i < maps->count; i++) {
        const uint64_t last = docs[i].size.value - 1;

        if (docs[i].inside.value + last > UINT32_MAX || docs[i].outside.value + last > UINT32_MAX)
            return cl_refuse(err, EINVAL, "%s[%zu].size: goes beyond the last id", path, i);
        ret[i] =
            (struct cl_spec_map){(uint32_t)docs[i].inside.value, (uint32_t)docs[i].outside.value,
                                 (uint32_t)docs[i].size.value};
    }
    return 0;
}

/* --- one mount ----------------------------------------------------------------------------- */

static int take_destination(struct cl_spec_walk *walk, const struct mount_doc *doc,
                            const char *path, struct cl_spec_mount *mount, struct cl_error *err)
{
    mount->target = doc->destination;
    if (doc->destination[0] == '/')
        return 0;
    cl_warnings_add(&walk->warnings, "%s.destination: is relative, which is deprecated", path);
    mount->target = cl_arena_printf(walk->arena, "/%s", doc->destination);
    return mount->target == NULL ? cl_fail_memory(err) : 0;
}

/* The type of a bind mount is a dummy: "none", or engines' own word for it. */
static int take_type(struct cl_spec_walk *walk, const struct mount_doc *doc, const char *path,
                     struct cl_spec_mount *mount, struct cl_error *err)
{
    const int is_bind = (mount->flags & CL_SPEC_BIND) != 0;
    const char *type = doc->type == NULL ? "" : doc->type;

    if (is_bind && mount->source[0] == '\0')
        return cl_refuse(err, EINVAL, "%s.source: is missing; a bind mount needs one", path);
    if (!is_bind && (type[0] == '\0' || strcmp(type, "none") == 0))
        return cl_refuse(err, EINVAL,
                         "%s.type: is missing; only a mount with the option bind or rbind has none",
                         path);
    mount->type = is_bind ? "" : type;
    if ((mount->flags & CL_SPEC_TMPCOPYUP) != 0 && strcmp(mount->type, "tmpfs") != 0) {
        mount->flags &= ~(uint32_t)CL_SPEC_TMPCOPYUP;
        cl_warnings_add(&walk->warnings, "%s.options: tmpcopyup is for a tmpfs; passed over", path);
    }
    return 0;
}

/* The maps of an id-mapped mount are its own, or the container's. */
static int take_own_maps(struct cl_spec_walk *walk, const struct mount_doc *doc, const char *path,
                         struct cl_spec_mount *mount, struct cl_error *err)
{
    struct cl_spec_map *to = cl_unconst(walk->spec.mount_maps.items);
    char place[PATH_SIZE + 16];

    if ((doc->uid_maps.count > 0) != (doc->gid_maps.count > 0))
        return cl_refuse(err, EINVAL, "%s: uidMappings and gidMappings go together", path);
    to += walk->spec.mount_maps.count;
    (void)snprintf(place, sizeof(place), "%s.uidMappings", path);
    int r = cl_spec_take_maps(&doc->uid_maps, place, to, err);
    (void)snprintf(place, sizeof(place), "%s.gidMappings", path);
    if (r == 0)
        r = cl_spec_take_maps(&doc->gid_maps, place, to + doc->uid_maps.count, err);
    if (r < 0)
        return r;
    mount->uid_maps = (uint32_t)doc->uid_maps.count;
    mount->gid_maps = (uint32_t)doc->gid_maps.count;
    walk->spec.mount_maps.count += doc->uid_maps.count + doc->gid_maps.count;
    if (mount->uid_maps > 0 && (mount->flags & CL_SPEC_IDMAP_DEEP) == 0)
        mount->flags |= CL_SPEC_IDMAP;
    return 0;
}

static int take_mount(struct cl_spec_walk *walk, const struct mount_doc *doc, size_t index,
                      struct cl_spec_mount *mount, struct cl_error *err)
{
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof(path), "mounts[%zu]", index);
    *mount =
        (struct cl_spec_mount){.source = doc->source == NULL ? "" : doc->source, .options = ""};
    if (doc->type != NULL && strcmp(doc->type, "bind") == 0)
        mount->flags = CL_SPEC_BIND;
    int r = take_destination(walk, doc, path, mount, err);
    if (r == 0)
        r = cl_spec_take_options(walk, &doc->options, path, mount, err);
    if (r == 0)
        r = take_type(walk, doc, path, mount, err);
    return r < 0 ? r : take_own_maps(walk, doc, path, mount, err);
}

/* --- all of them --------------------------------------------------------------------------- */

static size_t count_maps(const struct cl_decode_list *mounts)
{
    const struct mount_doc *docs = mounts->items;
    size_t count = 0;

    for (size_t i = 0; i < mounts->count; i++)
        count += docs[i].uid_maps.count + docs[i].gid_maps.count;
    return count;
}

int cl_spec_take_mounts(struct cl_spec_walk *walk, const struct cl_decode_list *mounts,
                        struct cl_error *err)
{
    const struct mount_doc *docs = mounts->items;
    struct cl_spec_mount *items = cl_arena_array(walk->arena, mounts->count, sizeof(*items));
    int r = 0;

    if (mounts->count == 0)
        return 0;
    walk->spec.mount_maps.items =
        cl_arena_array(walk->arena, count_maps(mounts), sizeof(*walk->spec.mount_maps.items));
    if (items == NULL || walk->spec.mount_maps.items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; r == 0 && i < mounts->count; i++)
        r = take_mount(walk, &docs[i], i, &items[i], err);
    if (r < 0)
        return r;
    walk->spec.mounts = (struct cl_spec_mounts){items, mounts->count};
    cl_spec_mark(&walk->spec, CL_SPEC_MOUNTS);
    if (walk->spec.mount_maps.count > 0)
        cl_spec_mark(&walk->spec, CL_SPEC_MOUNT_MAPS);
    return 0;
}
