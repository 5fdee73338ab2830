/* test_dir.c - the entries of a directory. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "check.h"

static char place[] = "/tmp/cloister-test-dir-XXXXXX";

static int open_place(void)
{
    int fd = cl_sys_openat(AT_FDCWD, place, O_RDONLY | O_DIRECTORY, 0);

    CHECK(fd >= 0);
    return fd;
}

static int count(int fd, unsigned char type)
{
    struct cl_dir entries;
    const char *name;
    unsigned char seen;
    int found = 0;
    int r;

    cl_dir_start(&entries, fd);
    while ((r = cl_dir_next(&entries, &name, &seen)) > 0) {
        CHECK(name[0] == 'e' && strlen(name) > 40);
        found += seen == type;
    }
    return r < 0 ? r : found;
}

/* More than one system call gives. */
TEST(all_are_seen_once)
{
    enum { FILES = 200 };
    char name[64];
    CL_CLEANUP_FD int fd = open_place();

    CHECK(count(fd, DT_REG) == 0);
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof(name), "entry-%040d", i);
        CHECK(i % 2 == 0 ? cl_sys_mkdirat(fd, name, 0700) == 0
                         : cl_sys_mknodat(fd, name, S_IFREG | 0600, 0) == 0);
    }
    CHECK(lseek(fd, 0, SEEK_SET) == 0 && count(fd, DT_DIR) == FILES / 2);
    CHECK(lseek(fd, 0, SEEK_SET) == 0 && count(fd, DT_REG) == FILES / 2);
    CHECK(count(fd, DT_REG) == 0); /* it stands at the end */
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof(name), "entry-%040d", i);
        CHECK(cl_sys_unlinkat(fd, name, i % 2 == 0 ? AT_REMOVEDIR : 0) == 0);
    }
}

TEST(what_fails_is_told)
{
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0);

    CHECK(count(null, DT_REG) == -ENOTDIR);
    CHECK(count(-1, DT_REG) == -EBADF);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(all_are_seen_once),
        ROW(what_fails_is_told),
    };

    if (mkdtemp(place) == NULL)
        return 1;
    int status = check_run(tests, CL_ARRAY_SIZE(tests));
    return rmdir(place) < 0 ? 1 : status;
}
