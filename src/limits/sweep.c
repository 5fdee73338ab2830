#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/cgroup.h"

/* Removing what a dead supervisor left: empty directories cloister-<id>, in the cgroups
 * that the sandbox was started from. The supervisor's record does not keep their paths:
 * writing them would cost each start, and reading them back would make a file's text
 * into a place where root removes things. A name is looked for instead, and nothing but
 * an empty cgroup of exactly that name is ever removed.
 *
 * Nearly always the sweeper is in the same cgroups as the dead was. On v1 that has to
 * hold in each hierarchy by itself: a caller may have moved in one and not in the other.
 * memory and pids, which every sandbox has, tell: where both have the name below the own
 * cgroup, so have those of the others that were made; where one lacks it, every hierarchy
 * that lacks it is searched. (A supervisor that was killed between the two costs that
 * search as well.)
 *
 * Other users may own parts of the tree and make as many cgroups there as they like,
 * therefore the search has bounds in depth and number. */

enum {
    SEARCH_DEPTH = 24,
    SEARCH_DIRECTORIES = 20000,
    SEARCH_DIRECTORIES_QUICK = 1000, /* some 5 ms */
    SWEEP_WAIT_MS = 500,             /* its processes are dying or dead already */
};

struct search {
    const char *name;
    enum cl_sweep_manner manner;
    int budget;
};

/* 0 removed, 1 not here, or -errno. */
static int remove_here(int parent, const char *name, enum cl_sweep_manner manner)
{
    uint64_t wait_ms = manner == CL_SWEEP_QUICKLY ? 0 : SWEEP_WAIT_MS;
    char file[CL_CGROUP_NAME_SIZE + 16];
    int r = cl_sys_unlinkat(parent, name, AT_REMOVEDIR);

    if (r == -ENOENT)
        return 1;
    if (r != -EBUSY)
        return r;
    /* Its supervisor is dead: nothing may live in it. */
    cl_cgroup_unthrottle(parent, name);
    /* v2 only; the name is bounded */
    (void)snprintf(file, sizeof(file), "%s/cgroup.kill", name);
    (void)cl_write_file(parent, file, "1");
    r = cl_cgroup_rmdir(parent, name, cl_clock_boot_ns() + wait_ms * CL_NS_PER_MS);
    return r == -ENOENT ? 0 : r;
}

static int search_below(struct search *search, int dir, int depth);

static int search_child(struct search *search, int dir, const char *name, int depth)
{
    CL_CLEANUP_FD int child = -1;

    /* Other sandboxes have no cgroups inside. */
    if (strncmp(name, "cloister-", strlen("cloister-")) == 0)
        return 1;
    if (depth >= SEARCH_DEPTH || search->budget-- <= 0)
        return -E2BIG;
    child = cl_sys_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (child < 0)
        return 1; /* gone meanwhile, or closed to us: then not ours either */
    return search_below(search, child, depth + 1);
}

/* 0 found and removed, 1 not found, or -errno. Others remove cgroups of theirs while we look: one
 * that has gone since it was opened can't be read (ENOENT), and had nothing in it. */
static int search_below(struct search *search, int dir, int depth)
{
    struct cl_dir entries;
    const char *name;
    unsigned char type;
    int r = remove_here(dir, search->name, search->manner);

    cl_dir_start(&entries, dir);
    while (r == 1) {
        int more = cl_dir_next(&entries, &name, &type);

        if (more <= 0)
            return more < 0 && more != -ENOENT ? more : 1;
        if (type == DT_DIR)
            r = search_child(search, dir, name, depth);
    }
    return r;
}

struct sweep {
    enum cl_sweep_manner manner;
    char name[CL_CGROUP_NAME_SIZE];
    char path[CL_CGROUP_PATH_SIZE];
    struct cl_own_cgroups own;
};

static int search_hierarchy(const struct sweep *sweep, const char *root, struct cl_error *err)
{
    struct search search = {
        .name = sweep->name,
        .manner = sweep->manner,
        .budget = sweep->manner == CL_SWEEP_QUICKLY ? SEARCH_DIRECTORIES_QUICK : SEARCH_DIRECTORIES,
    };
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY, 0);
    int r;

    if (dir < 0)
        return cl_fail(err, dir, "open %s", root);
    r = search_below(&search, dir, 0);
    if (r == -E2BIG)
        return cl_refuse(err, E2BIG,
                         "too many cgroups below %s to find %s; remove it with rmdir where it is",
                         root, sweep->name);
    return r < 0 ? cl_fail(err, r, "remove the cgroup %s below %s", sweep->name, root) : r;
}

/* Looks in sweep->path; 0 removed, 1 not there. */
static int remove_at(const struct sweep *sweep, struct cl_error *err)
{
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, sweep->path, O_PATH | O_DIRECTORY, 0);
    int r = dir < 0 ? dir : remove_here(dir, sweep->name, sweep->manner);

    if (r == -ENOENT)
        return 1;
    return r < 0 ? cl_fail(err, r, "remove the cgroup %s/%s", sweep->path, sweep->name) : r;
}

/* Places are v2.c's: the own cgroup or one above it. */
static int sweep_v2(struct sweep *sweep, struct cl_error *err)
{
    int r = cl_v2_path(sweep->path, &sweep->own, err);

    if (r < 0)
        return r;
    for (;;) {
        r = remove_at(sweep, err);
        if (r != 1)
            return r;
        if (strcmp(sweep->path, CL_CGROUP_MOUNT) == 0)
            break;
        *strrchr(sweep->path, '/') = '\0';
    }
    r = search_hierarchy(sweep, CL_CGROUP_MOUNT, err);
    return r < 0 ? r : 0;
}

static int remove_from_own(struct sweep *sweep, enum cl_controller controller, struct cl_error *err)
{
    int r = cl_v1_path(sweep->path, controller, &sweep->own, err);

    return r < 0 ? r : remove_at(sweep, err);
}

/* First, for it is what the processes that keep all the others would wait for. */
static void unthrottle_own(struct sweep *sweep)
{
    struct cl_error ignored = {0};

    if (sweep->own.v1[CL_CONTROLLER_CPU].path == NULL ||
        cl_v1_path(sweep->path, CL_CONTROLLER_CPU, &sweep->own, &ignored) < 0)
        return;
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, sweep->path, O_PATH | O_DIRECTORY, 0);
    if (dir >= 0)
        cl_cgroup_unthrottle(dir, sweep->name);
}

static int search_controller(struct sweep *sweep, enum cl_controller controller,
                             struct cl_error *err)
{
    (void)snprintf(sweep->path, sizeof(sweep->path), "%s/%s", CL_CGROUP_MOUNT,
                   cl_controller_name(controller)); /* short */
    return search_hierarchy(sweep, sweep->path, err);
}

/* The rule is in this file's first comment. */
static int sweep_v1(struct sweep *sweep, struct cl_error *err)
{
    const unsigned int always =
        CL_CONTROLLER_BIT(CL_CONTROLLER_MEMORY) | CL_CONTROLLER_BIT(CL_CONTROLLER_PIDS);
    unsigned int missing = 0; /* the first controller of each hierarchy that lacks the name */

    unthrottle_own(sweep);
    for (enum cl_controller i = 0; i < CL_CONTROLLER_COUNT; i++) {
        if (!cl_own_is_first(&sweep->own, i))
            continue;
        int r = remove_from_own(sweep, i, err);
        if (r < 0)
            return r;
        if (r == 1)
            missing |= CL_CONTROLLER_BIT(i);
    }
    if ((missing & always) == 0)
        return 0;
    for (enum cl_controller i = 0; i < CL_CONTROLLER_COUNT; i++) {
        int r = (missing & CL_CONTROLLER_BIT(i)) == 0 ? 0 : search_controller(sweep, i, err);

        if (r < 0)
            return r;
    }
    return 0;
}

int cl_limits_sweep(const char *id, enum cl_sweep_manner manner, struct cl_error *err)
{
    struct sweep sweep = {.manner = manner};
    int layout;
    int r = cl_cgroup_name(sweep.name, id, err);

    if (r < 0)
        return r;
    layout = cl_cgroup_layout(0, err);
    if (layout < 0)
        return 0; /* no cgroups, none left */
    r = cl_own_cgroups_read(&sweep.own, err);
    if (r < 0)
        return r;
    return layout == CL_CGROUP_V2 ? sweep_v2(&sweep, err) : sweep_v1(&sweep, err);
}
