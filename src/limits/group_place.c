/* Where a container's cgroup is to be, by the words of its bundle. Nothing is made here. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/group_parts.h"
#include "limits/lines.h"

/* --- its path ---------------------------------------------------------------- */

static int refuse_path(const char *text, const char *why, struct cl_error *err)
{
    return cl_refuse(err, EINVAL, "linux.cgroupsPath: \"%.200s\" %s", text, why);
}

/* Appends "/NAME". */
static int add_name(char path[CL_GROUP_PATH], const char *name, size_t size)
{
    const size_t used = strlen(path);

    if (size > CL_GROUP_PATH - 2 - used)
        return -ENAMETOOLONG;
    path[used] = '/';
    memcpy(path + used + 1, name, size);
    path[used + 1 + size] = '\0';
    return 0;
}

static int set_path(struct cl_group_place *place, const char *text, struct cl_error *err)
{
    if (strchr(text, '\n') != NULL)
        return refuse_path(text, "has a line's end in it, as no cgroup's name can", err);
    for (const char *name = text + strspn(text, "/"); *name != '\0'; name += strspn(name, "/")) {
        const size_t size = strcspn(name, "/");

        if (size == 2 && memcmp(name, "..", 2) == 0)
            return refuse_path(text, "leads upwards", err);
        if ((size != 1 || *name != '.') && add_name(place->path, name, size) < 0)
            return cl_refuse(err, ENAMETOOLONG, "linux.cgroupsPath has more than %d bytes",
                             CL_GROUP_PATH - 2);
        name += size;
    }
    return place->path[0] == '\0' ? refuse_path(text, "names no cgroup", err) : 0;
}

const char *cl_group_leaf(const struct cl_group_place *place)
{
    const char *slash = strrchr(place->path, '/');

    return slash == NULL ? place->path : slash + 1;
}

/* --- its bases --------------------------------------------------------------- */

int cl_group_next_line(const char **text, struct cl_group_line *ret)
{
    const size_t size = strcspn(*text, " \n");
    const char *base = *text + size;

    if (**text == '\0')
        return 0;
    if (*base != ' ' || size == 0 || size >= sizeof(ret->name))
        return -EBADMSG;
    memcpy(ret->name, *text, size);
    ret->name[size] = '\0';
    ret->base = ++base;
    ret->base_size = strcspn(base, "\n");
    *text = base + ret->base_size + (base[ret->base_size] == '\n');
    return 1;
}

/* Adds the line of a hierarchy, which is a line of /proc/self/cgroup. */
static int add_base(struct cl_group_place *place, const struct cl_own_line *line, int is_relative)
{
    static const char named[] = "name=";
    const size_t used = strlen(place->bases);
    const char *name = line->hierarchy == 0 ? CL_GROUP_UNIFIED : line->list;
    size_t size = line->hierarchy == 0 ? strlen(CL_GROUP_UNIFIED) : line->list_size;
    const char *base = is_relative && strcmp(line->path, "/") != 0 ? line->path : "";

    if (size > strlen(named) && memcmp(name, named, strlen(named)) == 0) {
        name += strlen(named);
        size -= strlen(named);
    }
    if (size == 0 || size >= sizeof(((struct cl_group_line *)NULL)->name))
        return size == 0 ? 0 : -ENAMETOOLONG;
    if (size + strlen(base) + 3 > sizeof(place->bases) - used)
        return -ENAMETOOLONG;
    (void)snprintf(place->bases + used, sizeof(place->bases) - used, "%.*s %s\n", (int)size, name,
                   base); /* fits */
    return 0;
}

/* Which hierarchies LAYOUT has: all of v1's, and what of v2 is mounted. */
static int is_part(enum cl_cgroup_layout layout, const struct cl_own_line *line)
{
    return line->hierarchy == 0 ? layout != CL_CGROUP_V1 : layout != CL_CGROUP_V2;
}

__attribute__((noinline)) /* its lines must not lie in its caller's frame */
static int
read_bases(struct cl_group_place *place, int is_relative, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_own_cgroups_open(err);
    struct cl_lines lines;
    const char *text;
    int r;

    if (fd < 0)
        return fd;
    cl_lines_init(&lines, fd);
    while ((r = cl_lines_next(&lines, &text)) > 0) {
        struct cl_own_line line;

        r = cl_own_line_parse(text, &line, err);
        if (r == 0 && !is_part(place->layout, &line))
            continue;
        if (r == 0 && is_relative)
            r = cl_own_path_check(line.path, err);
        if (r < 0)
            return r;
        if (add_base(place, &line, is_relative) < 0)
            return cl_refuse(err, ENAMETOOLONG,
                             "the cgroups of this process have more than %d "
                             "bytes in their paths",
                             CL_GROUP_BASES);
    }
    return r < 0 ? cl_fail(err, r, "read /proc/self/cgroup") : 0;
}

/* --- systemd's form ----------------------------------------------------------- */

static const char slice_end[] = ".slice";

static int ends_with(const char *text, size_t size, const char *end)
{
    return size >= strlen(end) && memcmp(text + size - strlen(end), end, strlen(end)) == 0;
}

/* What a unit's name may be made of (systemd.unit(5)). */
static int is_unit_name(const char *text)
{
    const size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789:-_.\\@");

    return size > 0 && text[size] == '\0';
}

/* "a-b.slice" is in "a.slice": appends /a.slice/a-b.slice, for "-.slice" nothing. */
static int add_slice(struct cl_group_place *place, const char *text, struct cl_error *err)
{
    const char *slice = place->slice;
    const size_t size = strlen(slice) - strlen(slice_end);
    char name[sizeof(place->slice)];

    if (strcmp(slice, "-.slice") == 0)
        return 0;
    for (size_t cut = strcspn(slice, "-");; cut += 1 + strcspn(slice + cut + 1, "-")) {
        const size_t end = cl_min_u64(cut, size);

        if (end == 0 || slice[end - 1] == '-')
            return refuse_path(text, "has a slice whose name has an empty part", err);
        (void)snprintf(name, sizeof(name), "%.*s%s", (int)end, slice,
                       slice_end); /* as long as it */
        if (add_name(place->path, name, strlen(name)) < 0)
            return cl_refuse(err, ENAMETOOLONG,
                             "linux.cgroupsPath: the slices above %s have more "
                             "than %d bytes in their names",
                             slice, CL_GROUP_PATH);
        if (end == size)
            return 0;
    }
}

static int set_slice(struct cl_group_place *place, const char *text, size_t size,
                     struct cl_error *err)
{
    if (size == 0)
        (void)snprintf(place->slice, sizeof(place->slice), "%s",
                       geteuid() == 0 ? "system.slice" : "user.slice");
    else if (size < sizeof(place->slice))
        (void)snprintf(place->slice, sizeof(place->slice), "%.*s", (int)size, text);
    if (!ends_with(place->slice, strlen(place->slice), slice_end) ||
        strlen(place->slice) == strlen(slice_end) || !is_unit_name(place->slice))
        return refuse_path(text, "begins with no slice, as \"system.slice:prefix:name\" does", err);
    return add_slice(place, text, err);
}

/* TEXT is "slice:prefix:name". */
static int set_unit(struct cl_group_place *place, const char *text, struct cl_error *err)
{
    const char *prefix = strchr(text, ':');
    const char *name = prefix == NULL ? NULL : strchr(prefix + 1, ':');
    int size;

    if (name == NULL || strchr(name + 1, ':') != NULL || name[1] == '\0')
        return refuse_path(
            text, "has not the form slice:prefix:name, which systemd's manager takes", err);
    int r = set_slice(place, text, (size_t)(prefix - text), err);
    if (r < 0)
        return r;
    const int prefix_size = (int)(name - prefix) - 1;
    name++;
    if (ends_with(name, strlen(name), slice_end))
        size = snprintf(place->unit, sizeof(place->unit), "%s", name);
    else
        size = snprintf(place->unit, sizeof(place->unit), "%.*s%s%s.scope", prefix_size, prefix + 1,
                        prefix_size == 0 ? "" : "-", name);
    if (size < 0 || (size_t)size >= sizeof(place->unit) || !is_unit_name(place->unit))
        return refuse_path(text, "gives no name that a unit of systemd's can have", err);
    if (add_name(place->path, place->unit, (size_t)size) < 0)
        return refuse_path(text, "is too long", err);
    return 0;
}

/* --- all of it ---------------------------------------------------------------- */

static int find_layout(struct cl_group_place *place, struct cl_error *err)
{
    int r = cl_cgroup_layout(1, err);

    if (r == -ENOTSUP)
        return cl_refuse(err, ENOTSUP, "there are no cgroups at %s: mount them there",
                         CL_CGROUP_MOUNT);
    if (r < 0)
        return r;
    place->layout = (enum cl_cgroup_layout)r;
    return 0;
}

int cl_group_place(const struct cl_spec *spec, const char *id, enum cl_group_manager manager,
                   struct cl_group_place *ret, struct cl_error *err)
{
    const int has_path = cl_spec_has(spec, CL_SPEC_CGROUPS_PATH) && spec->cgroups_path[0] != '\0';
    const char *text = has_path ? spec->cgroups_path : id;
    struct cl_group_place place = {.manager = manager};
    char unit[sizeof(place.unit)];
    int r;

    if (manager == CL_GROUP_NONE) {
        *ret = place;
        return 0;
    }
    r = find_layout(&place, err);
    if (r < 0)
        return r;
    if (manager == CL_GROUP_SYSTEMD) {
        (void)snprintf(unit, sizeof(unit), ":cloister:%.200s", id);
        r = set_unit(&place, has_path ? text : unit, err);
    } else {
        r = set_path(&place, text, err);
    }
    if (r == 0)
        r = read_bases(&place, manager == CL_GROUP_FS && text[0] != '/', err);
    if (r == 0)
        *ret = place;
    return r;
}

/* --- what is above it ----------------------------------------------------------- */

/* How many of the directories above it the hierarchy of LINE lacks. */
static uint32_t count_missing(const struct cl_group_place *place, const struct cl_group_line *line)
{
    struct cl_group_spot spot = {.dir = NULL};
    struct stat st;
    uint32_t count = 0;

    cl_group_spot_set(&spot, place, line);
    while (spot.path[spot.mount_size] != '\0' &&
           cl_sys_fstatat(AT_FDCWD, spot.path, &st, AT_SYMLINK_NOFOLLOW) == -ENOENT) {
        count++;
        *strrchr(spot.path, '/') = '\0';
    }
    return count;
}

void cl_group_foresee(struct cl_group_place *place)
{
    const char *text = place->bases;
    struct cl_group_line line;
    uint32_t least = UINT32_MAX;

    if (place->manager != CL_GROUP_FS) /* systemd's slices are its own */
        return;
    while (least > 0 && cl_group_next_line(&text, &line) > 0)
        least = (uint32_t)cl_min_u64(least, count_missing(place, &line));
    place->made = least == UINT32_MAX ? 0 : least;
}
