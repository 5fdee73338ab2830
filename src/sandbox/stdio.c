#include "sandbox/stdio.h"

#include <errno.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/sys.h"

int cl_stdio_has_input(int fd)
{
    struct stat st;

    if (cl_sys_fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode))
        return 1;
    return st.st_rdev != makedev(1, 3) && !isatty(fd);
}

int cl_stdio_make_pipe(int fd, uint32_t uid_base, const struct cl_plan *plan,
                       struct cl_stdio_pipe *ret, struct cl_error *err)
{
    int ends[2];
    int r = cl_sys_pipe2(ends, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    ret->ours = ends[fd == 0 ? 1 : 0];
    ret->theirs = ends[fd == 0 ? 0 : 1];
    r = cl_sys_fcntl(ret->ours, F_SETFL, O_NONBLOCK);
    if (r < 0)
        return cl_fail(err, r, "make a pipe non-blocking");
    if (uid_base == 0)
        return 0;
    /* So that the command can open /dev/stdout and its like again. */
    r = cl_sys_fchown(ret->theirs, uid_base + (uid_t)plan->uid, uid_base + (gid_t)plan->gid);
    if (r == 0)
        return 0;
    (void)cl_fail(err, r, "give a pipe to the sandbox's user");
    return r == -EINVAL ? cl_hint(err,
                                  "this process is root of a user namespace (unshare -r, a "
                                  "container) that lacks the sandboxes' uids, from %u on; start "
                                  "cloister outside of it",
                                  (unsigned int)uid_base)
                        : r;
}
