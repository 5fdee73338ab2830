#include "image/places.h"

#include <errno.h>

#include "base/fd.h"
#include "base/sys.h"
#include "image/merged.h"

int cl_places_look(int layers, const struct cl_plan *launch, enum cl_place place)
{
    const struct cl_strlist *names = &launch->image_layers;
    const char *path = cl_place_path(place);
    struct stat st;

    if (place == CL_PLACE_HOSTS) {
        int r = cl_merged_lstat(layers, names, path, &st);
        return r != -ENOENT && r != -ENOTDIR;
    }
    CL_CLEANUP_FD int fd = cl_merged_open(layers, names, path);
    return fd >= 0;
}

void cl_places_find(const struct cl_store *store, struct cl_plan *launch)
{
    CL_CLEANUP_FD int layers = cl_sys_openat(store->dir, "layers", O_PATH | O_DIRECTORY, 0);
    uint64_t places = 0;

    if (layers < 0)
        return;
    for (unsigned int place = 0; place < CL_PLACE_COUNT; place++) {
        if (cl_places_look(layers, launch, (enum cl_place)place))
            places |= CL_PLACE_BIT(place);
    }
    launch->image_places = places;
    cl_plan_mark(launch, CL_FIELD_IMAGE_PLACES);
}
