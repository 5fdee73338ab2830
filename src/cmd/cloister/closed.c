#include "cmd/cloister/closed.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "image/merged.h"

/* The caller's own files may be a stranger's to the sandbox (container/volumes.c). Of single
 * files nothing is said: what is kept one by one is meant so. */
static int is_closed(const char *path)
{
    struct stat st;

    return cl_sys_fstatat(AT_FDCWD, path, &st, 0) == 0 && st.st_uid == geteuid() &&
           S_ISDIR(st.st_mode) && (st.st_mode & (S_IROTH | S_IXOTH)) != (S_IROTH | S_IXOTH);
}

static const struct cl_plan_file *find_closed_volume(const struct cl_plan *plan)
{
    for (size_t i = 0; i < plan->files.count; i++) {
        const struct cl_plan_file *file = &plan->files.items[i];

        if (file->kind == CL_FILE_BIND && file->mode == CL_FILE_RO && is_closed(file->source))
            return file;
    }
    return NULL;
}

/* The topmost layer says who may enter the root of all. */
static int is_closed_image(const struct cl_plan *plan)
{
    const struct cl_strlist *layers = &plan->image_layers;
    char tree[CL_LAYER_TREE_SIZE];
    char path[4096];

    if (plan->image_kind != CL_IMAGE_STORE)
        return plan->image_kind == CL_IMAGE_ROOTFS && is_closed(plan->image_path);
    int size = snprintf(path, sizeof(path), "%s/%s", plan->image_path,
                        cl_layer_tree(layers->items[layers->count - 1], tree));
    return size < (int)sizeof(path) && is_closed(path);
}

/* An ordinary user is who the sandbox runs as, unless it has a range and takes another of it. */
static int is_caller(const struct cl_plan *plan)
{
    return geteuid() != 0 && (plan->profile != CL_PROFILE_BUILD || plan->uid == 0);
}

void cl_closed_explain(const struct cl_plan *plan, char *ret, size_t size)
{
    ret[0] = '\0';
    if (is_caller(plan))
        return;
    const char *who = geteuid() == 0 ? "root" : "you";
    const struct cl_plan_file *file = find_closed_volume(plan);
    if (geteuid() == 0 && plan->profile == CL_PROFILE_STRICT && is_closed_image(plan))
        (void)snprintf(ret, size,
                       "%.120s lets only root in, and the sandbox isn't root: %stake --profile "
                       "build",
                       plan->image_kind == CL_IMAGE_STORE ? plan->image : plan->image_path,
                       plan->image_kind == CL_IMAGE_STORE ? "" : "open it with chmod, or ");
    else if (file != NULL)
        (void)snprintf(ret, size,
                       "%.120s lets only %s in, and the sandbox isn't %s: "
                       "%.120s:%.120s:copy shows all of it, or open it with chmod",
                       file->source, who, who, file->source, file->target);
}
