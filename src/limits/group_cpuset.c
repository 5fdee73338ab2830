/* v1's cpuset: a new cgroup has no processors and no memory, and nobody gets into it before it has
 * both (cgroup-v1/cpusets.rst). It gets what the one above it has. */
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/group_parts.h"

enum { LIST_SIZE = 1024, DEPTH = 64 };

/* Reads FILE of DIR, which is one line. */
static int read_list(int dir, const char *file, char ret[LIST_SIZE])
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, file, O_RDONLY, 0);
    const ssize_t got = fd < 0 ? fd : cl_sys_read(fd, ret, LIST_SIZE - 1);

    if (got < 0)
        return (int)got;
    ret[got] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    return got == LIST_SIZE - 1 ? -ENAMETOOLONG : 0;
}

/* Into RET what FILE of the cgroup above DIR has. One that somebody made and left empty is filled
 * on the way; the hierarchy's root never is empty. */
static int inherit(int dir, const char *file, int depth, char ret[LIST_SIZE])
{
    CL_CLEANUP_FD int above = cl_sys_openat(dir, "..", O_PATH | O_DIRECTORY, 0);
    int r = above < 0 ? above : read_list(above, file, ret);

    if (r < 0 || ret[0] != '\0')
        return r;
    r = depth == 0 ? -ELOOP : inherit(above, file, depth - 1, ret);
    return r < 0 ? r : cl_write_file(above, file, ret);
}

int cl_group_fill_cpuset(int dir, unsigned int keep, struct cl_error *err)
{
    static const char *const files[] = {"cpuset.cpus", "cpuset.mems"}; /* CL_GROUP_KEEP_ */
    char list[LIST_SIZE];
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(files); i++) {
        if ((keep & 1U << i) != 0)
            continue;
        r = inherit(dir, files[i], DEPTH, list);
        if (r == 0)
            r = cl_write_file(dir, files[i], list);
        if (r < 0)
            return cl_fail(err, r, "copy %s of the cgroup above the container's", files[i]);
    }
    return 0;
}
