#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/cgroup.h"

/* Removing what a dead supervisor left: empty directories cloister-<id>, in the cgroup
 * that the sandbox was started from. The supervisor's record does not keep that path:
 * writing it would cost each start, and reading it back would make a file's text into
 * a place where root removes things. A name is looked for instead, and nothing but an
 * empty cgroup of exactly that name is ever removed.
 *
 * Other users may own parts of the tree and make as many cgroups there as they like,
 * therefore the search has bounds in depth and number. */

enum {
    SEARCH_DEPTH = 24,
    SEARCH_DIRECTORIES = 20000,
    SWEEP_WAIT_MS = 500, /* its processes are dying or dead already */
};

struct search {
    const char *name;
    int budget;
};

/* 0 removed, 1 not here, or -errno. */
static int remove_here(int parent, const char *name)
{
    char file[CL_CGROUP_NAME_SIZE + 16];
    uint64_t deadline_ns = cl_clock_boot_ns() + SWEEP_WAIT_MS * CL_NS_PER_MS;
    int r = cl_sys_unlinkat(parent, name, AT_REMOVEDIR);

    if (r == -ENOENT)
        return 1;
    if (r != -EBUSY)
        return r;
    /* v2 only, and only for a sandbox whose supervisor is dead: nothing may live in it. */
    (void)snprintf(file, sizeof(file), "%s/cgroup.kill", name); /* name is bounded */
    (void)cl_write_file(parent, file, "1");
    r = cl_cgroup_rmdir(parent, name, deadline_ns);
    return r == -ENOENT ? 0 : r;
}

struct entry { /* getdents64(2) */
    uint64_t ino;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

static int search_below(struct search *search, int dir, int depth);

static int search_child(struct search *search, int dir, const char *name, int depth)
{
    CL_CLEANUP_FD int child = -1;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 1;
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

/* 0 found and removed, 1 not found, or -errno. */
static int search_below(struct search *search, int dir, int depth)
{
    _Alignas(struct entry) char buffer[2048];
    int r = remove_here(dir, search->name);

    while (r == 1) {
        ssize_t got = cl_sys_getdents64(dir, buffer, sizeof(buffer));

        if (got <= 0)
            return got < 0 ? (int)got : 1;
        for (ssize_t at = 0; r == 1 && at < got;) {
            const struct entry *entry = (const void *)(buffer + at);

            if (entry->type == DT_DIR)
                r = search_child(search, dir, entry->name, depth);
            at += entry->size;
        }
    }
    return r;
}

static int search_hierarchy(const char *root, const char *name, struct cl_error *err)
{
    struct search search = {.name = name, .budget = SEARCH_DIRECTORIES};
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY, 0);
    int r;

    if (dir < 0)
        return cl_fail(err, dir, "open %s", root);
    r = search_below(&search, dir, 0);
    if (r == -E2BIG)
        return cl_refuse(err, E2BIG,
                         "too many cgroups below %s to find %s; remove it with rmdir where it is",
                         root, name);
    return r < 0 ? cl_fail(err, r, "remove the cgroup %s below %s", name, root) : r;
}

/* Looks in PATH; 0 removed, 1 not there. */
static int remove_at(const char *path, const char *name, struct cl_error *err)
{
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
    int r = dir < 0 ? dir : remove_here(dir, name);

    if (r == -ENOENT)
        return 1;
    return r < 0 ? cl_fail(err, r, "remove the cgroup %s/%s", path, name) : r;
}

struct sweep {
    char name[CL_CGROUP_NAME_SIZE];
    char path[CL_CGROUP_PATH_SIZE];
    struct cl_own_cgroups own;
};

/* Places are v2.c's: the own cgroup or one above it. */
static int sweep_v2(struct sweep *sweep, struct cl_error *err)
{
    int r = cl_v2_path(sweep->path, &sweep->own, err);

    if (r < 0)
        return r;
    for (;;) {
        r = remove_at(sweep->path, sweep->name, err);
        if (r != 1)
            return r;
        if (strcmp(sweep->path, CL_CGROUP_MOUNT) == 0)
            break;
        *strrchr(sweep->path, '/') = '\0';
    }
    r = search_hierarchy(CL_CGROUP_MOUNT, sweep->name, err);
    return r < 0 ? r : 0;
}

/* Whether memory's directory, which is made first and removed last, is in the own
 * cgroup: then all are there, and nothing is searched. */
static int is_in_own(struct sweep *sweep)
{
    CL_CLEANUP_FD int dir = -1;
    struct cl_error ignored; /* what can't be looked at is searched for */

    if (cl_v1_path(sweep->path, CL_CONTROLLER_MEMORY, &sweep->own, &ignored) < 0)
        return 0;
    dir = cl_sys_openat(AT_FDCWD, sweep->path, O_PATH | O_DIRECTORY, 0);
    return dir >= 0 && cl_sys_faccessat(dir, sweep->name, F_OK) == 0;
}

static int sweep_controller(struct sweep *sweep, enum cl_controller controller, int search,
                            struct cl_error *err)
{
    int r;

    if (sweep->own.v1[controller].path == NULL)
        return 0;
    r = cl_v1_path(sweep->path, controller, &sweep->own, err);
    if (r < 0)
        return r;
    r = remove_at(sweep->path, sweep->name, err);
    if (r != 1 || !search)
        return r;
    (void)snprintf(sweep->path, sizeof(sweep->path), "%s/%s", CL_CGROUP_MOUNT,
                   cl_controller_name(controller)); /* short */
    return search_hierarchy(sweep->path, sweep->name, err);
}

static int sweep_v1(struct sweep *sweep, struct cl_error *err)
{
    int search = !is_in_own(sweep);

    for (enum cl_controller i = CL_CONTROLLER_COUNT; i-- > 0;) {
        int r = sweep_controller(sweep, i, search, err);

        if (r < 0)
            return r;
    }
    return 0;
}

int cl_limits_sweep(const char *id, struct cl_error *err)
{
    struct sweep sweep;
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
