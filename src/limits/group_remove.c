#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/group_parts.h"

/* Taking a container's cgroups away again, its own below them too. Nothing but empty cgroups is
 * ever removed: the kernel refuses all others. */

enum {
    BELOW = 32,    /* how deep they are removed at once */
    SLICE_MS = 10, /* of the time to wait, between two looks for cgroups below */
};

/* The first of the controllers that share a hierarchy is a link to it, as in v1.c. */
void cl_group_spot_set(struct cl_group_spot *spot, const struct cl_group_place *place,
                       const struct cl_group_line *line)
{
    const int is_root = place->layout == CL_CGROUP_V2;
    const int name_size = is_root ? 0 : (int)strcspn(line->name, ",");
    const int parents = (int)(cl_group_leaf(place) - place->path) - 1;

    spot->mount_size = (size_t)snprintf(spot->path, sizeof(spot->path), CL_CGROUP_MOUNT "%s%.*s",
                                        is_root ? "" : "/", name_size, line->name);
    (void)snprintf(spot->path + spot->mount_size, sizeof(spot->path) - spot->mount_size, "%.*s%.*s",
                   (int)line->base_size, line->base, parents, place->path); /* the limits fit */
}

void cl_group_spot_undo(const struct cl_group_spot *spot)
{
    char path[CL_GROUP_FULL_PATH];

    memcpy(path, spot->path, strlen(spot->path) + 1);
    for (unsigned int i = 0; i < spot->above && path[spot->mount_size] != '\0'; i++) {
        const int r = cl_sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);

        if (r < 0 && r != -ENOENT)
            return; /* others use it, who will remove it or not */
        *strrchr(path, '/') = '\0';
    }
}

/* Removes the cgroups below NAME in DIR, deepest first. Who is left is met by the caller. */
static void remove_below(int dir, const char *name, int depth)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    struct cl_dir entries;
    const char *child;
    unsigned char type;

    if (fd < 0)
        return;
    cl_dir_start(&entries, fd);
    while (cl_dir_next(&entries, &child, &type) > 0) {
        if (type != DT_DIR || cl_sys_unlinkat(fd, child, AT_REMOVEDIR) != -EBUSY || depth == 0)
            continue;
        remove_below(fd, child, depth - 1);
        (void)cl_sys_unlinkat(fd, child, AT_REMOVEDIR);
    }
}

/* The first cgroup in DIR, open for reading; -ENOENT when there is none. */
static int open_first(int dir)
{
    struct cl_dir entries;
    const char *child;
    unsigned char type;
    int r;

    cl_dir_start(&entries, dir);
    while ((r = cl_dir_next(&entries, &child, &type)) > 0) {
        if (type == DT_DIR)
            return cl_sys_openat(dir, child, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    }
    return r < 0 ? r : -ENOENT;
}

/* However deep a container has nested its own: from the bottom up, BELOW at once. No cgroup can be
 * moved into another, so that ".." is where we came from. */
static void remove_deep(int dir, const char *name)
{
    char up[3 * BELOW + 1];
    int depth = 0;
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

    for (int next; fd >= 0 && (next = open_first(fd)) >= 0; depth++) {
        cl_fd_close(&fd);
        fd = next;
    }
    for (int i = 0; i < BELOW; i++)
        memcpy(up + 3 * (size_t)i, "../", 4);
    while (fd >= 0 && depth > BELOW) {
        int above = cl_sys_openat(fd, up, O_RDONLY | O_DIRECTORY, 0);

        cl_fd_close(&fd);
        fd = above;
        depth -= BELOW;
        if (fd >= 0)
            remove_below(fd, ".", BELOW);
    }
}

void cl_group_unthrottle(const struct cl_group *group)
{
    const struct cl_group_dir *dir = cl_group_find(group, "cpu");

    if (dir != NULL)
        cl_cgroup_unthrottle(dir->parent, cl_group_leaf(&group->place));
}

static int remove_leaf(const struct cl_group *group, const struct cl_group_dir *dir,
                       uint64_t deadline_ns)
{
    const char *leaf = cl_group_leaf(&group->place);
    int r = cl_sys_unlinkat(dir->parent, leaf, AT_REMOVEDIR);

    if (r == -EBUSY)
        cl_group_unthrottle(group);
    while (r == -EBUSY) {
        const uint64_t now_ns = cl_clock_boot_ns();

        remove_deep(dir->parent, leaf);
        remove_below(dir->parent, leaf, BELOW);
        r = cl_cgroup_rmdir(dir->parent, leaf,
                            cl_min_u64(deadline_ns, now_ns + SLICE_MS * CL_NS_PER_MS));
        if (now_ns >= deadline_ns)
            break;
    }
    return r == -ENOENT ? 0 : r;
}

/* Those above DIR that we made. */
static void remove_above(const struct cl_group *group, struct cl_group_dir *dir)
{
    struct cl_group_spot spot = {.dir = dir, .above = (unsigned int)dir->made - 1};
    const char *text = group->place.bases;
    struct cl_group_line line;

    while (cl_group_next_line(&text, &line) > 0) {
        if (strcmp(line.name, dir->name) != 0)
            continue;
        cl_group_spot_set(&spot, &group->place, &line);
        cl_group_spot_undo(&spot);
    }
}

void cl_group_forget(const struct cl_group_place *place)
{
    const char *text = place->bases;
    struct cl_group_line line;

    while (place->made > 0 && cl_group_next_line(&text, &line) > 0) {
        struct cl_group_spot spot = {.above = place->made};

        cl_group_spot_set(&spot, place, &line);
        cl_group_spot_undo(&spot);
    }
}

int cl_group_take_down(struct cl_group *group, enum cl_group_which which, struct cl_error *err)
{
    const uint64_t deadline_ns = cl_clock_boot_ns() + CL_LIMITS_REMOVE_MS * CL_NS_PER_MS;
    int first = 0;

    /* First, as in cl_limits_remove: who removes a cgroup that is open leaves it in the caches. */
    for (size_t i = 0; i < group->count; i++)
        cl_fd_close(&group->dirs[i].dir);
    for (size_t i = group->count; i-- > 0;) {
        struct cl_group_dir *dir = &group->dirs[i];

        if (which == CL_GROUP_MADE && dir->made == 0)
            continue;
        const int r = remove_leaf(group, dir, deadline_ns);
        if (r < 0 && first == 0)
            first = cl_fail(err, r, "remove the cgroup %.300s of %s", group->place.path, dir->name);
        if (r == 0 && dir->made > 1)
            remove_above(group, dir);
    }
    return first;
}

int cl_group_remove(struct cl_group *group, struct cl_error *err)
{
    cl_group_let_go(group);
    const int r = cl_group_take_down(group, CL_GROUP_ALL, err);

    cl_group_forget(&group->place); /* where the cgroup itself wasn't: who made it was killed */
    cl_group_close(group);
    return r;
}
