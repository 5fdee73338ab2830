/* Landlock: files by rule, on the hierarchy that the sandbox may know, so that a
 * descriptor or a mount of the host that leaked in all the same is of no use: it lies
 * below none of the rules. Signals and abstract sockets end at the domain as well,
 * where the kernel has scopes.
 *
 * The rules are named, not one on "/" for everything: reading and executing below
 * "/", writing only below mounts of our own that are there for that. Init enters the domain
 * before the main process is born: both are in one domain, as later sessions will be.
 *
 * Source: landlock(7).
 */
#include "base/fd.h"
#include "base/landlock.h"
#include "base/sys.h"
#include "walls/container/container.h"

/* PATH is of the sandbox's own root, where init already is, and goes by the image's links,
 * as its mount did. Where something else came over that since, or nothing was mounted, it
 * leads to what isn't to be written: no rule. */
static int allow_writing(const struct cl_ruleset *ruleset, const struct cl_container *container,
                         const char *path, uint64_t access, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_PATH, 0);

    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP || fd == -EACCES)
        return 0;
    if (fd < 0)
        return cl_fail(err, fd, "open %s for its rule", path);
    int r = cl_is_writable(container, fd);
    if (r < 0)
        return cl_fail(err, r, "ask which mount is at %s for its rule", path);
    return r > 0 ? cl_landlock_allow(ruleset, fd, path, access, err) : 0;
}

static int allow_root(const struct cl_ruleset *ruleset, uint64_t access, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/", O_PATH, 0);

    return fd < 0 ? cl_fail(err, fd, "open / for its rule")
                  : cl_landlock_allow(ruleset, fd, "/", access, err);
}

/* Where a program of ours is all that runs, no file is one. */
static uint64_t reading(const struct cl_container *container)
{
    return cl_has_program(container) ? CL_ACCESS_READ & ~CL_LANDLOCK_FS_EXECUTE : CL_ACCESS_READ;
}

static int allow_files(const struct cl_ruleset *ruleset, const struct cl_container *container,
                       struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;

    for (size_t i = 0; i < plan->files.count; i++) {
        const struct cl_plan_file *file = &plan->files.items[i];

        if (file->kind == CL_FILE_BIND && file->mode == CL_FILE_RO)
            continue;
        int r = allow_writing(ruleset, container, file->target,
                              reading(container) | CL_ACCESS_WRITE, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Below "/": nothing where only mounts of ours are there to be written. */
static uint64_t writing(const struct cl_plan *plan)
{
    return cl_rootfs_is_writable(plan) ? CL_ACCESS_WRITE : 0;
}

static int allow_loader(const struct cl_ruleset *ruleset, const char *path, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_PATH | O_NOFOLLOW, 0);

    return fd < 0 ? cl_fail(err, fd, "open %s for its rule", path)
                  : cl_landlock_allow(ruleset, fd, path,
                                      CL_LANDLOCK_FS_EXECUTE | CL_LANDLOCK_FS_READ_FILE, err);
}

/* The one file that may be executed, and what the kernel needs for that. */
static int allow_program(const struct cl_ruleset *ruleset, const struct cl_container *container,
                         struct cl_error *err)
{
    const struct cl_wall_program *program = container->start->program;

    if (program == NULL)
        return 0;
    int r = cl_landlock_allow(ruleset, program->fds[program->fd_count - 1], program->name,
                              CL_LANDLOCK_FS_EXECUTE | CL_LANDLOCK_FS_READ_FILE, err);
    return r < 0 || program->loader == NULL ? r : allow_loader(ruleset, program->loader, err);
}

static int add_rules(const struct cl_ruleset *ruleset, const struct cl_container *container,
                     struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    const struct {
        const char *path;
        uint64_t access;
    } rules[] = {
        {"/proc", CL_ACCESS_FILE_WRITE},
        {"/dev", CL_ACCESS_FILE_WRITE},
        {"/dev/shm", CL_ACCESS_WRITE},
        {"/tmp", CL_ACCESS_WRITE},
        {"/var/tmp", CL_ACCESS_WRITE},
        {cl_rootfs_workdir_is_copied(plan) ? plan->workdir : NULL, CL_ACCESS_WRITE},
    };
    int r = allow_root(ruleset, reading(container) | writing(plan), err);

    if (r == 0)
        r = allow_program(ruleset, container, err);
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(rules); i++) {
        if (rules[i].path == NULL)
            continue;
        r = allow_writing(ruleset, container, rules[i].path, rules[i].access, err);
    }
    return r < 0 ? r : allow_files(ruleset, container, err);
}

int cl_landlock_restrict(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    struct cl_ruleset ruleset = {.fd = -1};

    if (cl_plan_without(container->plan, CL_LAYER_LANDLOCK))
        return 0;
    int r = cl_landlock_make(1, &ruleset, err);
    if (r < 0)
        return r;
    r = add_rules(&ruleset, container, err);
    if (r == 0)
        r = cl_landlock_enter(&ruleset, err);
    cl_fd_close(&ruleset.fd);
    if (r < 0)
        return r;
    cl_layer_up(container, CL_LAYER_LANDLOCK);
    return 0;
}
