#include "wasi/path.h"

#include <errno.h>

#include "base/fd.h"
#include "wasi/beneath.h"

enum { NEW_FILE_MODE = 0666 }; /* less the umask */

uint32_t cl_wasi_take_path(struct cl_wasi *wasi, const struct cl_wasi_memory *memory, size_t which,
                           const uint64_t pointer_and_length[2])
{
    const uint64_t length = pointer_and_length[1];
    const uint8_t *text = cl_wasi_at(memory, pointer_and_length[0], length);
    char *path = wasi->paths[which];

    if (text == NULL)
        return CL_WASI_FAULT;
    if (length >= PATH_MAX)
        return CL_WASI_NAMETOOLONG;
    if (length == 0)
        return CL_WASI_NOENT;
    memcpy(path, text, length);
    path[length] = '\0';
    return strlen(path) == length ? CL_WASI_SUCCESS : CL_WASI_INVAL;
}

uint32_t cl_wasi_open_beneath(int directory, const char *path, int flags, int *ret_fd)
{
    int fd = cl_beneath_open(directory, path, flags, NEW_FILE_MODE);

    if (fd == -EXDEV)
        return CL_WASI_NOTCAPABLE;
    if (fd < 0)
        return cl_wasi_errno(fd);
    *ret_fd = fd;
    return CL_WASI_SUCCESS;
}

uint32_t cl_wasi_lookup(uint64_t lookupflags, int *ret_flags)
{
    if ((lookupflags & ~(uint64_t)CL_WASI_SYMLINK_FOLLOW) != 0)
        return CL_WASI_INVAL;
    *ret_flags = (lookupflags & CL_WASI_SYMLINK_FOLLOW) != 0 ? 0 : O_NOFOLLOW;
    return CL_WASI_SUCCESS;
}

uint32_t cl_wasi_open_for_reading(struct cl_wasi_descriptor *directory)
{
    int fd = -1;

    if (!directory->is_path)
        return CL_WASI_SUCCESS;
    uint32_t r = cl_wasi_open_beneath(directory->host, ".", O_RDONLY | O_DIRECTORY, &fd);
    if (r != CL_WASI_SUCCESS)
        return r;
    cl_fd_close(&directory->host);
    directory->host = fd;
    directory->is_path = 0; /* so that it was never listed: its cookie is 0 */
    return CL_WASI_SUCCESS;
}

/* --- places -------------------------------------------------------------------------------- */

void cl_wasi_place_done(struct cl_wasi_place *place)
{
    cl_fd_close(&place->opened);
}

/* Leaves one slash of several at PATH's end. Where the last name begins. */
static char *last_name(char *path)
{
    size_t end = strlen(path);
    size_t start;

    while (end > 1 && path[end - 1] == '/' && path[end - 2] == '/')
        end--;
    path[end] = '\0';
    start = end;
    if (start > 0 && path[start - 1] == '/')
        start--;
    while (start > 0 && path[start - 1] != '/')
        start--;
    return path + start;
}

static int is_no_name(const char *name)
{
    const size_t length = strcspn(name, "/");

    return (length == 1 && name[0] == '.') || (length == 2 && name[0] == '.' && name[1] == '.');
}

/* PATH has to be a directory that is there. */
static uint32_t answer_of_directory(int directory, const char *path, uint32_t if_there)
{
    CL_CLEANUP_FD int fd = -1;
    uint32_t r = cl_wasi_open_beneath(directory, path, O_PATH | O_DIRECTORY, &fd);

    return r == CL_WASI_SUCCESS ? if_there : r;
}

uint32_t cl_wasi_place_open(int directory, char *path, uint32_t if_no_name,
                            struct cl_wasi_place *ret)
{
    if (path[0] == '/')
        return CL_WASI_NOTCAPABLE;
    char *name = last_name(path);
    if (is_no_name(name))
        return answer_of_directory(directory, path, if_no_name);
    ret->directory = directory;
    ret->name = name;
    if (name == path)
        return CL_WASI_SUCCESS;
    name[-1] = '\0';
    uint32_t r = cl_wasi_open_beneath(directory, path, O_PATH | O_DIRECTORY, &ret->opened);
    if (r == CL_WASI_SUCCESS)
        ret->directory = ret->opened;
    return r;
}

uint32_t cl_wasi_place_open_plain(int directory, char *path, uint32_t if_no_name,
                                  struct cl_wasi_place *ret)
{
    if (path[strlen(path) - 1] == '/')
        return answer_of_directory(directory, path, if_no_name);
    return cl_wasi_place_open(directory, path, if_no_name, ret);
}
