/* Where mounts go: places below a root that a stranger may have made, found or made by
 * descriptors. */
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

/* Opens NAME in PARENT, making it as a directory or an empty file where it is not
 * there. Whatever stands there in the end must not be a link. */
static int make_component(int parent, const char *name, int is_dir)
{
    int r = is_dir ? cl_sys_mkdirat(parent, name, 0755)
                   : cl_sys_mknodat(parent, name, S_IFREG | 0644, 0);

    if (r < 0 && r != -EEXIST)
        return r;
    return cl_open_no_links(parent, name, O_PATH | (is_dir ? O_DIRECTORY : 0));
}

/* Makes the rest of PATH component by component below PARENT (taken). */
static int make_path(int parent, const char *path, int is_dir)
{
    char name[256];
    int fd = parent;

    while (*path != '\0') {
        size_t size = strcspn(path, "/");
        const char *rest = path + size + strspn(path + size, "/");

        if (size >= sizeof(name)) {
            cl_fd_close(&fd);
            return -ENAMETOOLONG;
        }
        memcpy(name, path, size);
        name[size] = '\0';
        if (strcmp(name, "..") == 0) { /* of a directory that isn't there */
            cl_fd_close(&fd);
            return -ENOENT;
        }
        int next = make_component(fd, name, *rest != '\0' || is_dir);
        cl_fd_close(&fd);
        if (next < 0)
            return next;
        fd = next;
        path = rest;
    }
    return fd;
}

int cl_target_existing(int root, const char *path, const char **ret_rest)
{
    char part[4096];
    size_t size = strlen(path);

    if (size >= sizeof(part))
        return -ENAMETOOLONG;
    memcpy(part, path, size + 1);
    for (;;) {
        int fd = cl_open_in_root(root, part, O_PATH);

        if (fd != -ENOENT) {
            *ret_rest = path + size + strspn(path + size, "/");
            return fd;
        }
        char *slash = strrchr(part, '/');
        CL_ASSERT(slash != NULL);
        if (slash == part)
            slash++; /* keep "/" */
        *slash = '\0';
        size = strlen(part);
    }
}

int cl_target_find(int root, const char *path, int is_dir, int *ret, int *ret_making)
{
    const char *rest = "";
    int fd = cl_target_existing(root, path, &rest);

    *ret_making = fd >= 0 && *rest != '\0';
    if (*ret_making)
        fd = make_path(fd, rest, is_dir);
    if (fd < 0)
        return fd;
    *ret = fd;
    return 0;
}
