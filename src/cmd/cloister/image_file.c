#include "cmd/cloister/image_file.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/follow.h"
#include "base/sys.h"
#include "image/merged.h"

/* As the wall will find it (container/volumes.c). */
int cl_image_file_root(const struct cl_plan *plan, struct cl_error *err)
{
    CL_CLEANUP_FD int root = cl_follow_named(plan->image_path, geteuid() == 0, "the image", err);
    struct stat st;
    int r = root < 0 ? root : cl_sys_fstat(root, &st);

    if (root < 0)
        return root;
    if (r == 0 && !S_ISDIR(st.st_mode))
        r = -ENOTDIR;
    return r < 0 ? cl_fail(err, r, "open the image %s", plan->image_path) : CL_TAKE_FD(root);
}

int cl_image_file_find(const struct cl_plan *plan, int root, const char *path)
{
    return plan->image_kind == CL_IMAGE_STORE ? cl_merged_open(root, &plan->image_layers, path)
                                              : cl_open_in_root(root, path, O_PATH);
}
