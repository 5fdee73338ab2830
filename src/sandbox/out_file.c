#include "sandbox/out_file.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "sandbox/filter.h"

/* The number of the caller's own descriptor that PATH names by one of the links which only
 * the kernel makes, or -1. */
static int named_descriptor(const char *path)
{
    static const char *const places[] = {"/dev/fd/", "/proc/self/fd/"};
    uint64_t number;

    if (strcmp(path, "/dev/stdout") == 0)
        return STDOUT_FILENO;
    if (strcmp(path, "/dev/stderr") == 0)
        return STDERR_FILENO;
    for (size_t i = 0; i < CL_ARRAY_SIZE(places); i++) {
        const size_t size = strlen(places[i]);

        if (strncmp(path, places[i], size) == 0 && cl_parse_u64(path + size, &number) == 0 &&
            number <= INT_MAX)
            return (int)number;
    }
    return -1;
}

/* A regular file is written on from where its descriptor is: opened anew it would be emptied,
 * and a log would lose what stands in it. Anything else is opened anew, so that it is ours to
 * make non-blocking, where it can be: a socket can't, and the caller's user may not open a pipe
 * that another user made, nor the terminal of another user's session. */
static int open_descriptor(int number, const char *path, int flags)
{
    struct stat st;
    int r = cl_sys_fstat(number, &st);

    if (r < 0)
        return r;
    if (!S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode)) {
        r = cl_sys_openat(AT_FDCWD, path, flags, 0644);
        if (r != -EACCES)
            return r;
    }
    r = cl_sys_fcntl(number, F_GETFL, 0);
    if (r < 0 || (r & O_ACCMODE) == O_RDONLY)
        return r < 0 ? r : -EBADF;
    return cl_sys_fcntl(number, F_DUPFD_CLOEXEC, 3);
}

/* The file may lie in a directory that sandboxes write to (a rw volume), or strangers: a
 * link that one of them has made must not lead the next run's result elsewhere. */
int cl_out_file_open(const char *path, const char *option, const char *what, struct cl_error *err)
{
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
    const struct cl_open_how how = {
        .flags = (uint64_t)flags,
        .mode = 0644,
        .resolve = CL_RESOLVE_NO_SYMLINKS,
    };
    if (strcmp(path, "-") == 0)
        return cl_refuse(err, EINVAL,
                         "%s takes a file; for a stream name /dev/stderr or /dev/stdout", option);
    const int number = named_descriptor(path);
    int fd =
        number >= 0 ? open_descriptor(number, path, flags) : cl_sys_openat2(AT_FDCWD, path, &how);

    if (fd == -ELOOP)
        return cl_refuse(err, ELOOP,
                         "%s %.300s is, or lies behind, a symbolic link; name the real path", what,
                         path);
    if (fd >= 0)
        return fd;
    (void)cl_fail(err, fd, "open %s %s", what, path);
    return cl_filter_explain(0, err);
}
