#include "copy/confine.h"

#include <errno.h>
#include <sys/prctl.h>

#include "base/fd.h"
#include "base/sys.h"

enum {
    LEAST_ABI = 2, /* which denies what it was not told of: links and moves to other directories */
    TRUNCATE_ABI = 3,
    EVERY_ACCESS_OF_1 = (1 << 13) - 1,
    SENDING_FILE = CL_LANDLOCK_FS_READ_FILE,
    SENDING_DIR = CL_LANDLOCK_FS_READ_FILE | CL_LANDLOCK_FS_READ_DIR,
    TAKING = CL_LANDLOCK_FS_READ_DIR | CL_LANDLOCK_FS_MAKE_DIR | CL_LANDLOCK_FS_MAKE_REG |
             CL_LANDLOCK_FS_MAKE_SYM | CL_LANDLOCK_FS_WRITE_FILE | CL_LANDLOCK_FS_REMOVE_FILE |
             CL_LANDLOCK_FS_TRUNCATE, /* holes at a file's end */
};

/* All is denied but ALLOWED below PLACE. */
static int make_ruleset(int place, uint64_t allowed, struct cl_error *err)
{
    struct cl_landlock_ruleset_attr attr = {.handled_access_fs =
                                                EVERY_ACCESS_OF_1 | CL_LANDLOCK_FS_REFER};
    struct cl_landlock_path_beneath rule = {.allowed_access = allowed, .parent_fd = place};
    int abi = cl_sys_landlock_create_ruleset(NULL, 0, CL_LANDLOCK_CREATE_RULESET_VERSION);

    if (abi < 0)
        return cl_fail(err, abi, "ask for Landlock's version");
    if (abi < LEAST_ABI)
        return cl_refuse(err, ENOTSUP, "this kernel's Landlock is ABI %d and at least %d is needed",
                         abi, LEAST_ABI);
    if (abi >= TRUNCATE_ABI)
        attr.handled_access_fs |= CL_LANDLOCK_FS_TRUNCATE;
    rule.allowed_access &= attr.handled_access_fs;
    CL_CLEANUP_FD int ruleset = cl_sys_landlock_create_ruleset(&attr, sizeof(attr), 0);
    if (ruleset < 0)
        return cl_fail(err, ruleset, "create the ruleset");
    int r = cl_sys_landlock_add_rule(ruleset, CL_LANDLOCK_RULE_PATH_BENEATH, &rule);
    if (r == -EBADFD) /* a file of memory: in no file system that has names, and never denied */
        r = 0;
    return r < 0 ? cl_fail(err, r, "add the rule for the copy's place") : CL_TAKE_FD(ruleset);
}

static int confine(int place, uint64_t allowed, struct cl_error *err)
{
    CL_CLEANUP_FD int ruleset = make_ruleset(place, allowed, err);

    if (ruleset < 0)
        return ruleset;
    int r = cl_sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (r < 0)
        return cl_fail(err, r, "set no_new_privs");
    r = cl_sys_landlock_restrict_self(ruleset);
    return r < 0 ? cl_fail(err, r, "enter the domain") : 0;
}

int cl_copy_confine(int dir, struct cl_error *err)
{
    return confine(dir, TAKING, err);
}

int cl_copy_confine_sender(int top, struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_fstat(top, &st);

    if (r < 0)
        return cl_fail(err, r, "look at what is copied");
    return confine(top, S_ISDIR(st.st_mode) ? SENDING_DIR : SENDING_FILE, err);
}
