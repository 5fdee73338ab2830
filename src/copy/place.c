#include "copy/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"

enum { PATH_SIZE = 4096 };

int cl_copy_is_name(const char *name)
{
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strchr(name, '/') == NULL && strlen(name) <= CL_COPY_NAME_MAX;
}

/* PATH up to where its last name ends, slashes behind it left off. */
static size_t end_of(const char *path)
{
    size_t end = strlen(path);

    while (end > 0 && path[end - 1] == '/')
        end--;
    return end;
}

static size_t start_of(const char *path, size_t end)
{
    size_t start = end;

    while (start > 0 && path[start - 1] != '/')
        start--;
    return start;
}

int cl_copy_name(const char *path, char ret[CL_COPY_NAME_MAX + 1], struct cl_error *err)
{
    const size_t end = end_of(path);
    const size_t start = start_of(path, end);

    if (path[0] == '\0')
        return cl_refuse(err, EINVAL, "copy: an empty path");
    if (end - start > CL_COPY_NAME_MAX)
        return cl_refuse(err, ENAMETOOLONG, "copy: the name at the end of %.64s... is too long",
                         path);
    memcpy(ret, path + start, end - start);
    ret[end - start] = '\0';
    if (strcmp(ret, ".") == 0 || strcmp(ret, "..") == 0)
        ret[0] = '\0';
    return 0;
}

/* PATH isn't a directory: it becomes one, or a file. */
static int open_parent(const char *path, struct cl_copy_place *ret, struct cl_error *err)
{
    CL_CLEANUP(cl_copy_place_done) struct cl_copy_place place = CL_COPY_PLACE_INIT;
    char parent[PATH_SIZE];
    const size_t end = end_of(path);
    const size_t start = start_of(path, end);
    int r = cl_copy_name(path, place.name, err);

    if (r < 0)
        return r;
    if (place.name[0] == '\0')
        return cl_refuse(err, ENOENT, "copy to %s: there is no such directory", path);
    if (start >= sizeof(parent))
        return cl_refuse(err, ENAMETOOLONG, "copy to %.64s...: the path is too long", path);
    (void)snprintf(parent, sizeof(parent), "%.*s", (int)(start == 0 ? 1 : start),
                   start == 0 ? "." : path);
    place.dir = cl_sys_openat(AT_FDCWD, parent, O_PATH | O_DIRECTORY, 0);
    if (place.dir < 0)
        return cl_fail(err, place.dir, "copy to %s: open %s", path, parent);
    place.only_dir = path[end] == '/';
    (void)cl_copy_path_enter(&place.shown, path);
    *ret = place;
    place.dir = -1;
    return 0;
}

int cl_copy_place_open(const char *path, const char *name, struct cl_copy_place *ret,
                       struct cl_error *err)
{
    if (name[0] != '\0' && !cl_copy_is_name(name))
        return cl_refuse(err, EINVAL, "copy: \"%.64s\" is no name of a file", name);
    int dir = cl_sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
    if (dir == -ENOENT || dir == -ENOTDIR)
        return open_parent(path, ret, err);
    if (dir < 0)
        return cl_fail(err, dir, "copy to %s", path);
    *ret = (struct cl_copy_place){.dir = dir};
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    (void)cl_copy_path_enter(&ret->shown, path);
    if (name[0] != '\0')
        (void)cl_copy_path_enter(&ret->shown, name);
    return 0;
}

void cl_copy_place_done(struct cl_copy_place *place)
{
    cl_fd_close(&place->dir);
}
