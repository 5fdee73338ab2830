#include "worker/apart.h"

#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/sys.h"

static int open_directory(int at, const char *name, struct cl_error *err)
{
    int fd = cl_sys_openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);

    return fd < 0 ? cl_fail(err, fd, "open the guest's directory %s", name) : fd;
}

static void add(struct cl_apart *apart, const char *name, int directory, int is_read_only)
{
    apart->preopens[apart->preopen_count++] = (struct cl_wasi_preopen){
        .name = name, .directory = directory, .is_read_only = is_read_only};
}

static int make_root(struct cl_apart *apart, int is_read_only, struct cl_error *err)
{
    int root = open_directory(AT_FDCWD, CL_WORKER_APART, err);
    int r = root < 0 ? root : cl_sys_mkdirat(root, "tmp", 0700);

    if (root < 0)
        return root;
    add(apart, "/", root, is_read_only);
    if (r < 0)
        return cl_fail(err, r, "make the guest's directory /tmp");
    int temporary = is_read_only ? open_directory(root, "tmp", err) : 0;
    if (temporary > 0)
        add(apart, "/tmp", temporary, 0);
    return temporary < 0 ? temporary : 0;
}

int cl_apart_make(const struct cl_worker_orders *orders, int line, struct cl_apart *ret,
                  struct cl_error *err)
{
    CL_CLEANUP_FD int root = open_directory(AT_FDCWD, "/", err);
    int r = root < 0 ? root : cl_volumes_take(&ret->volumes, orders->volumes, line, root, err);

    if (r == 0)
        r = make_root(ret, (int)orders->is_read_only, err);
    for (size_t i = 0; r == 0 && i < ret->volumes.count; i++) {
        struct cl_volume *volume = &ret->volumes.items[i];

        add(ret, volume->name, CL_TAKE_FD(volume->directory), volume->is_read_only);
    }
    return r;
}
