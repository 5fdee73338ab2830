#include "base/dir.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"

struct entry { /* getdents64(2) */
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

void cl_dir_start(struct cl_dir *dir, int fd)
{
    dir->fd = fd;
    dir->got = 0;
    dir->at = 0;
}

int cl_dir_next(struct cl_dir *dir, const char **ret_name, unsigned char *ret_type)
{
    for (;;) {
        if (dir->at >= dir->got) {
            dir->at = 0;
            dir->got = cl_sys_getdents64(dir->fd, dir->block, sizeof(dir->block));
            if (dir->got <= 0)
                return (int)dir->got;
        }
        const struct entry *entry = (const void *)(dir->block + dir->at);
        dir->at += entry->size;
        if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
            continue;
        *ret_name = entry->name;
        if (ret_type != NULL)
            *ret_type = entry->type;
        return 1;
    }
}

int cl_dir_make_path(const char *path, mode_t parents, mode_t mode)
{
    char part[PATH_MAX];
    int r = strlen(path) < sizeof(part) ? 0 : -ENAMETOOLONG;

    for (const char *slash = strchr(path + 1, '/'); r == 0 && slash != NULL;
         slash = strchr(slash + 1, '/')) {
        (void)snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        r = cl_sys_mkdirat(AT_FDCWD, part, parents);
        r = r == -EEXIST ? 0 : r;
    }
    if (r == 0)
        r = cl_sys_mkdirat(AT_FDCWD, path, mode);
    return r == -EEXIST ? 0 : r;
}
