#include "base/landlock.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/sys.h"

#define ACCESS_ALL_ABI1 ((1ULL << 13) - 1)

static uint64_t handled_by(int abi)
{
    uint64_t handled = ACCESS_ALL_ABI1 | CL_LANDLOCK_FS_REFER;

    if (abi >= 3)
        handled |= CL_LANDLOCK_FS_TRUNCATE;
    if (abi >= 5)
        handled |= CL_LANDLOCK_FS_IOCTL_DEV;
    return handled;
}

int cl_landlock_allow(const struct cl_ruleset *ruleset, int fd, const char *path, uint64_t access,
                      struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_fstat(fd, &st);

    if (r < 0)
        return cl_fail(err, r, "stat %s for its rule", path);
    if (!S_ISDIR(st.st_mode))
        access &= CL_ACCESS_FILE;
    struct cl_landlock_path_beneath rule = {
        .allowed_access = access & ruleset->handled,
        .parent_fd = fd,
    };
    r = cl_sys_landlock_add_rule(ruleset->fd, CL_LANDLOCK_RULE_PATH_BENEATH, &rule);
    return r < 0 ? cl_fail(err, r, "add the rule for %s", path) : 0;
}

static int check_abi(int abi, struct cl_error *err)
{
    if (abi >= CL_LANDLOCK_LEAST_ABI)
        return 0;
    if (abi < 0 && abi != -ENOSYS && abi != -EOPNOTSUPP)
        return cl_fail(err, abi, "ask for Landlock's version");
    if (abi < 0)
        return cl_refuse(err, ENOTSUP,
                         "this kernel has no Landlock (or it is off: lsm= on its command line); "
                         "--without landlock accepts that");
    return cl_refuse(err, ENOTSUP,
                     "this kernel's Landlock is ABI %d and at least %d is needed (Linux 5.19); "
                     "--without landlock accepts that",
                     abi, CL_LANDLOCK_LEAST_ABI);
}

int cl_landlock_make(int has_scopes, struct cl_ruleset *ret, struct cl_error *err)
{
    int abi = cl_sys_landlock_create_ruleset(NULL, 0, CL_LANDLOCK_CREATE_RULESET_VERSION);
    int r = check_abi(abi, err);

    if (r < 0)
        return r;
    struct cl_landlock_ruleset_attr attr = {.handled_access_fs = handled_by(abi)};
    if (has_scopes && abi >= 6)
        attr.scoped = CL_LANDLOCK_SCOPE_ABSTRACT_UNIX | CL_LANDLOCK_SCOPE_SIGNAL;
    int fd = cl_sys_landlock_create_ruleset(&attr, sizeof(attr), 0);
    if (fd < 0)
        return cl_fail(err, fd, "create the ruleset");
    *ret = (struct cl_ruleset){fd, attr.handled_access_fs};
    return 0;
}

int cl_landlock_enter(const struct cl_ruleset *ruleset, struct cl_error *err)
{
    int r = cl_sys_landlock_restrict_self(ruleset->fd);

    return r < 0 ? cl_fail(err, r, "enter the domain") : 0;
}
