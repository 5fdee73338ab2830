/* landlock.h - a Landlock domain for the calling process: a ruleset is made, what it allows added,
 * and it is entered, for good. Source: landlock(7).
 */
#ifndef CL_BASE_LANDLOCK_H
#define CL_BASE_LANDLOCK_H

#include "base/error.h"
#include "base/sys_abi.h"

#define CL_ACCESS_READ (CL_LANDLOCK_FS_EXECUTE | CL_LANDLOCK_FS_READ_FILE | CL_LANDLOCK_FS_READ_DIR)
#define CL_ACCESS_FILE_WRITE                                                                       \
    (CL_LANDLOCK_FS_WRITE_FILE | CL_LANDLOCK_FS_TRUNCATE | CL_LANDLOCK_FS_IOCTL_DEV)
/* No MAKE_CHAR and MAKE_BLOCK: nothing makes devices. */
#define CL_ACCESS_WRITE                                                                            \
    (CL_ACCESS_FILE_WRITE | CL_LANDLOCK_FS_REMOVE_DIR | CL_LANDLOCK_FS_REMOVE_FILE |               \
     CL_LANDLOCK_FS_MAKE_DIR | CL_LANDLOCK_FS_MAKE_REG | CL_LANDLOCK_FS_MAKE_SOCK |                \
     CL_LANDLOCK_FS_MAKE_FIFO | CL_LANDLOCK_FS_MAKE_SYM | CL_LANDLOCK_FS_REFER)
/* What a rule on something that isn't a directory may hold. */
#define CL_ACCESS_FILE (CL_LANDLOCK_FS_EXECUTE | CL_LANDLOCK_FS_READ_FILE | CL_ACCESS_FILE_WRITE)

struct cl_ruleset {
    int fd;
    uint64_t handled;
};

/* A ruleset that allows nothing yet, with scopes for signals and abstract sockets where the kernel
 * has them. */
int cl_landlock_make(int has_scopes, struct cl_ruleset *ret, struct cl_error *err);
/* Allows ACCESS (CL_ACCESS_*) below what FD is open on; PATH is for messages. */
int cl_landlock_allow(const struct cl_ruleset *ruleset, int fd, const char *path, uint64_t access,
                      struct cl_error *err);
int cl_landlock_enter(const struct cl_ruleset *ruleset, struct cl_error *err);

#endif
