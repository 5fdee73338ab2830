#include "worker/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "worker/orders.h"

static int take(struct cl_volumes *volumes, int line, int root, struct cl_error *err)
{
    struct cl_worker_volume told = {0};
    struct cl_volume *volume = &volumes->items[volumes->count];
    const ssize_t size = cl_sys_read(line, &told, sizeof(told));

    if (size <= (ssize_t)offsetof(struct cl_worker_volume, path) || told.path[0] != '/' ||
        memchr(told.path, '\0', sizeof(told.path)) == NULL)
        return cl_refuse(err, EPROTO, "this is no volume that a worker could be told of");
    volume->is_read_only = told.is_read_only != 0;
    volume->directory = cl_sys_openat(root, told.path + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    if (volume->directory < 0)
        return cl_fail(err, volume->directory, "open the volume %s: a module has directories alone",
                       told.path);
    volume->name = strdup(told.path);
    volumes->count++;
    return volume->name == NULL ? cl_fail_memory(err) : 0;
}

int cl_volumes_take(struct cl_volumes *ret, uint32_t count, int line, int root,
                    struct cl_error *err)
{
    int r = 0;

    if (count > CL_WORKER_VOLUMES_MOST)
        return cl_refuse(err, EPROTO, "a worker has %d volumes at most", CL_WORKER_VOLUMES_MOST);
    while (r == 0 && ret->count < count)
        r = take(ret, line, root, err);
    return r;
}

void cl_volumes_done(struct cl_volumes *volumes)
{
    for (size_t i = 0; i < volumes->count; i++) {
        cl_fd_close(&volumes->items[i].directory);
        free(volumes->items[i].name);
    }
    volumes->count = 0;
}
