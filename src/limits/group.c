#include "limits/group.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/group_parts.h"

/* Theory of operation.
 *
 * Trust: the path, the numbers and the texts are those of whoever asks for the container, root as a
 * rule, who could write them himself. What the container's processes do to the tree (they may have
 * cgroups of their own below theirs) is met by descriptors: no link is in a cgroup file system, and
 * nothing of it is followed upwards.
 *
 * v1: a directory in each hierarchy, each by mkdirat below an opened parent, made in the order of
 * /proc/self/cgroup. Per hierarchy that is an open, a statfs, a mkdir and an open, some 40 us with
 * what the kernel makes; removing takes 25. A process joins by each one's `tasks`, never
 * cgroup.procs, whose lock waits for a grace period.
 *
 * v2: one directory. Its controllers are those that all cgroups above it give to their children,
 * which are asked to; a cgroup with processes can't ("no internal processes", cgroups(7)). A place
 * relative to the own cgroup, which has this process, is therefore looked for further above, where
 * the nearest one gives what is needed.
 *
 * Who removes a cgroup races with who makes another beside it: a directory above that was empty a
 * moment ago is gone, and is made again (RACES). */

enum { MODE = 0755, RACES = 16 };

const struct cl_group_dir *cl_group_find(const struct cl_group *group, const char *controller)
{
    const size_t size = strlen(controller);

    if (group->place.layout == CL_CGROUP_V2)
        return group->count == 0 ? NULL : &group->dirs[0];
    for (size_t i = 0; i < group->count; i++) {
        for (const char *name = group->dirs[i].name; name != NULL; name = strchr(name, ',')) {
            name += *name == ',';
            if (strncmp(name, controller, size) == 0 && (name[size] == '\0' || name[size] == ','))
                return &group->dirs[i];
        }
    }
    return NULL;
}

static int is_unified(const struct cl_group_dir *dir)
{
    return strcmp(dir->name, CL_GROUP_UNIFIED) == 0;
}

void cl_group_close(struct cl_group *group)
{
    cl_group_let_go(group);
    for (size_t i = 0; i < group->count; i++) {
        cl_fd_close(&group->dirs[i].dir);
        cl_fd_close(&group->dirs[i].parent);
    }
    group->count = 0;
}

static int open_directory(int at, const char *path)
{
    return cl_sys_openat(at, path, O_PATH | O_DIRECTORY, 0);
}

/* Whether FD is of the hierarchy's file system, and not the empty directory that a mount leaves. */
static int is_cgroup(int fd, const struct cl_group_dir *dir)
{
    const unsigned long magic = is_unified(dir) ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC;
    struct statfs fs;
    int r = cl_sys_fstatfs(fd, &fs);

    return r < 0 ? r : (unsigned long)fs.f_type == magic;
}

/* --- making -------------------------------------------------------------------- */

static int fail_make(const struct cl_group_spot *spot, const char *name, int r,
                     struct cl_error *err)
{
    (void)cl_fail(err, r, "make the cgroup %.300s/%.80s", spot->path, name);
    if (r == -EACCES || r == -EPERM)
        return cl_hint(err, "an ordinary user needs one that is delegated to him, which systemd's "
                            "manager is asked for by --systemd-cgroup");
    if (r == -EROFS)
        return cl_hint(err, "mount %s writable", CL_CGROUP_MOUNT);
    return r;
}

/* What the kernel says of a cgroup that was removed, and of its files. */
static int is_gone(int r)
{
    return r == -ENOENT || r == -ENODEV;
}

/* Makes NAME in DIR: 1, 0 when it was there, or -errno with a message; -ESTALE when DIR, or what
 * was made, has been removed. */
static int make_one(const struct cl_group_spot *spot, int dir, const char *name, unsigned int keep,
                    struct cl_error *err)
{
    int r = cl_sys_mkdirat(dir, name, MODE);

    if (r == -EEXIST)
        return 0;
    if (r < 0)
        return fail_make(spot, name, is_gone(r) ? -ESTALE : r, err);
    if (strcmp(spot->dir->name, "cpuset") != 0)
        return 1;
    CL_CLEANUP_FD int made = open_directory(dir, name);
    r = made < 0 ? cl_fail(err, made, "open the cgroup %.300s/%.80s", spot->path, name)
                 : cl_group_fill_cpuset(made, keep, err);
    if (r < 0)
        (void)cl_sys_unlinkat(dir, name, AT_REMOVEDIR); /* what failed first is told */
    if (is_gone(r)) /* it was empty, and another container's delete took it */
        return -ESTALE;
    return r < 0 ? r : 1;
}

static int fail_open(const struct cl_group_spot *spot, const char *name, int r,
                     struct cl_error *err)
{
    return cl_fail(err, r == -ENOENT ? -ESTALE : r, "open the cgroup %.300s%s%.80s", spot->path,
                   name[0] == '\0' ? "" : "/", name);
}

/* The directory NAME in DIR, made where it isn't there. */
static int enter_one(struct cl_group_spot *spot, int dir, const char *name, struct cl_error *err)
{
    int fd = open_directory(dir, name);

    if (fd == -ENOENT) {
        int r = make_one(spot, dir, name, 0, err);

        if (r < 0)
            return r;
        spot->above += r == 1;
        fd = open_directory(dir, name);
    }
    return fd < 0 ? fail_open(spot, name, fd, err) : fd;
}

/* Opens the directory that the group's goes into, and makes it and those above it where they
 * aren't. The descriptor, -ENXIO when the hierarchy isn't mounted, or -errno with a message. */
static int make_parent(struct cl_group_spot *spot, struct cl_error *err)
{
    char *at = spot->path + spot->mount_size;
    const char first = *at;

    *at = '\0';
    CL_CLEANUP_FD int dir = open_directory(AT_FDCWD, spot->path);
    *at = first;
    int r = dir < 0 ? dir : is_cgroup(dir, spot->dir);
    if (r <= 0)
        return r == 0 || r == -ENOENT ? -ENXIO : fail_open(spot, "", r, err);
    while (*at == '/') {
        char *const slash = at;
        const char *name = at + 1;

        at += 1 + strcspn(name, "/");
        const char kept = *at;
        *at = *slash = '\0'; /* the path is that of DIR meanwhile, for messages */
        r = enter_one(spot, dir, name, err);
        *slash = '/';
        *at = kept;
        if (r < 0)
            return r;
        cl_fd_close(&dir);
        dir = r;
    }
    return CL_TAKE_FD(dir);
}

/* The same, at once where it is there. */
static int open_parent(struct cl_group_spot *spot, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = open_directory(AT_FDCWD, spot->path);

    if (fd == -ENOENT)
        return make_parent(spot, err);
    int r = fd < 0 ? fd : is_cgroup(fd, spot->dir);
    if (r < 0)
        return fail_open(spot, "", r, err);
    return r == 0 ? -ENXIO : CL_TAKE_FD(fd);
}

/* A directory that was there: -EBUSY with processes in it. */
static int check_empty(const struct cl_group_spot *spot, const char *leaf, struct cl_error *err)
{
    char byte;
    CL_CLEANUP_FD int fd = cl_sys_openat(spot->dir->dir, "cgroup.procs", O_RDONLY, 0);
    const ssize_t got = fd < 0 ? fd : cl_sys_read(fd, &byte, 1);

    if (got < 0)
        return cl_fail(err, (int)got, "read %.300s/%.80s/cgroup.procs", spot->path, leaf);
    return got == 0 ? 0
                    : cl_refuse(err, EBUSY,
                                "the cgroup %.300s/%.80s has processes in it: it is "
                                "another container's",
                                spot->path, leaf);
}

/* Makes LEAF, whose place is the spot's, and opens it. What fails leaves it unmade. */
static int make_leaf(struct cl_group_spot *spot, const char *leaf, int may_have_processes,
                     struct cl_error *err)
{
    struct cl_group_dir *dir = spot->dir;
    int r = make_one(spot, dir->parent, leaf, spot->keep, err);

    if (r < 0)
        return r;
    dir->made = r == 1 ? 1 + (int)spot->above : 0;
    dir->dir = open_directory(dir->parent, leaf);
    if (dir->dir < 0)
        r = fail_open(spot, leaf, dir->dir, err);
    else
        r = dir->made > 0 || may_have_processes ? 0 : check_empty(spot, leaf, err);
    if (r < 0 && dir->made > 0)
        (void)cl_sys_unlinkat(dir->parent, leaf, AT_REMOVEDIR); /* what failed first is told */
    return r;
}

/* Makes the directory in one hierarchy, once. -ENXIO without a message: it isn't mounted. */
static int try_spot(struct cl_group_spot *spot, const struct cl_group_place *place,
                    const struct cl_spec *spec, struct cl_error *err)
{
    int r = open_parent(spot, err);

    if (r < 0)
        return r;
    spot->dir->parent = r;
    if (place->layout == CL_CGROUP_V2) {
        r = cl_group_give(spot, spot->dir->parent, &spec->resources, err);
        spot->is_full = r == -EBUSY;
        if (r < 0)
            return r;
    }
    return make_leaf(spot, cl_group_leaf(place), place->manager == CL_GROUP_SYSTEMD, err);
}

static void close_dir(struct cl_group_dir *dir)
{
    cl_fd_close(&dir->dir);
    cl_fd_close(&dir->parent);
}

/* At a spot that is set; nothing is left of what fails. */
static int make_at(struct cl_group_spot *spot, struct cl_group *group, const struct cl_spec *spec,
                   struct cl_error *err)
{
    int r = -ESTALE;

    for (int i = 0; r == -ESTALE && i < RACES; i++) {
        r = try_spot(spot, &group->place, spec, err);
        if (r < 0)
            close_dir(spot->dir);
    }
    if (r < 0)
        cl_group_spot_undo(spot);
    return r;
}

/* What of cpuset a new directory needn't copy. */
static unsigned int find_kept(const struct cl_spec_resources *resources)
{
    unsigned int keep = 0;

    for (size_t i = 0; i < resources->count; i++) {
        const struct cl_spec_resource *item = &resources->items[i];

        if (item->what == CL_RESOURCE_CPUSET_CPUS && item->text[0] != '\0')
            keep |= CL_GROUP_KEEP_CPUS;
        if (item->what == CL_RESOURCE_CPUSET_MEMS && item->text[0] != '\0')
            keep |= CL_GROUP_KEEP_MEMS;
    }
    return keep;
}

/* In the hierarchy of LINE; one that isn't mounted has none. RET_IS_FULL: for processes in a cgroup
 * above, which can't give controllers then. */
static int make_in(struct cl_group *group, const struct cl_group_line *line,
                   const struct cl_spec *spec, int *ret_is_full, struct cl_error *err)
{
    struct cl_group_spot spot = {.dir = &group->dirs[group->count],
                                 .keep = find_kept(&spec->resources)};

    if (group->count == CL_GROUP_MAX)
        return cl_refuse(err, ENOTSUP, "this host has more than %d cgroup hierarchies",
                         CL_GROUP_MAX);
    *spot.dir = (struct cl_group_dir){.dir = -1, .parent = -1};
    memcpy(spot.dir->name, line->name, sizeof(line->name));
    cl_group_spot_set(&spot, &group->place, line);
    int r = make_at(&spot, group, spec, err);
    *ret_is_full = spot.is_full;
    if (r < 0)
        return r == -ENXIO ? 0 : r;
    group->count++;
    return 0;
}

/* --- the whole ----------------------------------------------------------------- */

/* v2: the place goes one cgroup up; 0 where it can't. */
static int move_up(struct cl_group_place *place)
{
    char *last = strrchr(place->bases, '/');

    if (place->layout != CL_CGROUP_V2 || last == NULL)
        return 0;
    memcpy(last, "\n", 2); /* in place of "/name\n" */
    return 1;
}

static int refuse_record(struct cl_error *err)
{
    return cl_refuse(err, EBADMSG, "the record of a cgroup's place can't be understood");
}

/* In each hierarchy. */
static int make_all(struct cl_group *group, const struct cl_spec *spec, struct cl_error *err)
{
    int is_full = 0;
    int r = 0;

    do {
        const char *text = group->place.bases;
        struct cl_group_line line;

        while ((r = cl_group_next_line(&text, &line)) > 0) {
            r = make_in(group, &line, spec, &is_full, err);
            if (r < 0)
                break;
        }
        if (r == -EBADMSG && !is_full)
            return refuse_record(err);
    } while (is_full && move_up(&group->place));
    if (r == 0)
        *err = (struct cl_error){0}; /* what was tried on the way */
    if (r == 0 && group->count == 0)
        return cl_refuse(err, ENOTSUP, "no cgroup hierarchy is mounted below %s", CL_CGROUP_MOUNT);
    return r;
}

static void note_made(struct cl_group *group)
{
    int least = INT_MAX;

    for (size_t i = 0; i < group->count; i++)
        least = group->dirs[i].made < least ? group->dirs[i].made : least;
    group->place.made = least > 0 && group->count > 0 ? (uint32_t)least - 1 : 0;
}

/* Whether nobody can have set anything yet. */
static int is_new(const struct cl_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        if (group->dirs[i].made == 0)
            return 0;
    }
    return 1;
}

int cl_group_make(const struct cl_group_place *place, const struct cl_spec *spec,
                  struct cl_group *ret, struct cl_error *err)
{
    struct cl_error unused = {0};

    *ret = (struct cl_group){.place = *place};
    int r = place->manager == CL_GROUP_SYSTEMD ? cl_group_start_unit(ret, spec, err) : 0;
    if (r == 0 && place->manager != CL_GROUP_NONE)
        r = make_all(ret, spec, err);
    if (r == 0)
        r = cl_group_write(ret, &spec->resources, is_new(ret), err);
    if (r == 0)
        r = cl_group_write_rules(ret, &spec->device_rules, is_new(ret), err);
    if (r < 0) {
        cl_group_let_go(ret);
        (void)cl_group_take_down(ret, CL_GROUP_MADE, &unused); /* what failed first is told */
        cl_group_close(ret);
        return r;
    }
    note_made(ret);
    return 0;
}

/* In the hierarchy of LINE: 0 also when it isn't there. */
static int open_in(struct cl_group *group, const struct cl_group_line *line, struct cl_error *err)
{
    struct cl_group_dir *dir = &group->dirs[group->count];
    struct cl_group_spot spot = {.dir = dir};
    CL_CLEANUP_FD int parent = -1;

    if (group->count == CL_GROUP_MAX)
        return refuse_record(err);
    cl_group_spot_set(&spot, &group->place, line);
    parent = open_directory(AT_FDCWD, spot.path);
    const int fd = parent < 0 ? parent : open_directory(parent, cl_group_leaf(&group->place));
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return cl_fail(err, fd, "open the cgroup %.300s/%.80s", spot.path,
                       cl_group_leaf(&group->place));
    *dir = (struct cl_group_dir){
        .dir = fd, .parent = CL_TAKE_FD(parent), .made = 1 + (int)group->place.made};
    memcpy(dir->name, line->name, sizeof(dir->name));
    group->count++;
    return 0;
}

int cl_group_open(const struct cl_group_place *place, struct cl_group *ret, struct cl_error *err)
{
    const char *text;
    struct cl_group_line line;
    int r = 0;

    *ret = (struct cl_group){.place = *place};
    text = ret->place.bases;
    while (r == 0 && (r = cl_group_next_line(&text, &line)) > 0)
        r = open_in(ret, &line, err);
    if (r == -EBADMSG)
        r = refuse_record(err);
    if (r == 0 && ret->count == 0 && place->manager != CL_GROUP_NONE)
        r = cl_refuse(err, ENOENT, "the cgroup %.300s is gone", place->path);
    if (r < 0)
        cl_group_close(ret);
    return r;
}

int cl_group_dir(const struct cl_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        if (is_unified(&group->dirs[i]))
            return group->dirs[i].dir;
    }
    return -1;
}

int cl_group_tasks(const struct cl_group *group, int *ret_fds, size_t max, struct cl_error *err)
{
    size_t count = 0;
    int r = 0;

    for (size_t i = 0; i < group->count; i++) {
        if (is_unified(&group->dirs[i]))
            continue;
        r = count == max ? -E2BIG : cl_sys_openat(group->dirs[i].dir, "tasks", O_WRONLY, 0);
        if (r < 0) {
            (void)cl_fail(err, r, "open tasks of the container's %s cgroup", group->dirs[i].name);
            break;
        }
        ret_fds[count++] = r;
    }
    while (r < 0 && count > 0)
        cl_fd_close(&ret_fds[--count]);
    return r < 0 ? r : (int)count;
}
