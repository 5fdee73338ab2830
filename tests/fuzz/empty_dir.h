/* empty_dir.h - what an input left in a directory goes before the next. */
#ifndef CL_TESTS_FUZZ_EMPTY_DIR_H
#define CL_TESTS_FUZZ_EMPTY_DIR_H

#include <fcntl.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/fd.h"

static void empty_dir(int dir)
{
    struct cl_dir entries;
    const char *name;

    cl_dir_start(&entries, dir);
    CL_ASSERT(lseek(dir, 0, SEEK_SET) == 0);
    while (cl_dir_next(&entries, &name, NULL) > 0) {
        if (unlinkat(dir, name, 0) == 0)
            continue;
        CL_CLEANUP_FD int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
        CL_ASSERT(fd >= 0);
        empty_dir(fd);
        CL_ASSERT(unlinkat(dir, name, AT_REMOVEDIR) == 0);
    }
}

#endif
