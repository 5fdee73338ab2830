#include "cmd/cloister/image_user.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "plan/compile.h"

enum { NOBODY = 65534 };

/* -1 where there is none. */
static int open_regular(int root, const char *path, int *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int found = cl_open_in_root(root, path, O_PATH);

    if (found == -ENOENT || found == -ENOTDIR) {
        *ret = -1;
        return 0;
    }
    if (found < 0)
        return cl_fail(err, found, "open %s of the image", path);
    int fd = cl_reopen_regular(found, path, CL_COMPILE_MAX_INPUT, err);
    if (fd < 0)
        return cl_hint(err, "it is the image's; a user by numbers needs none");
    *ret = fd;
    return 0;
}

static int find_in_tree(struct cl_arena *arena, const struct cl_plan *plan, struct cl_plan *ret,
                        struct cl_error *err)
{
    CL_CLEANUP_FD int passwd = -1;
    CL_CLEANUP_FD int group = -1;
    CL_CLEANUP_FD int root = cl_sys_openat(AT_FDCWD, plan->image_path, O_PATH | O_DIRECTORY, 0);

    if (root < 0)
        return cl_fail(err, root, "open the image %s", plan->image_path);
    int r = open_regular(root, "/etc/passwd", &passwd, err);
    if (r == 0)
        r = open_regular(root, "/etc/group", &group, err);
    if (r < 0)
        return r;
    /* The cache is for what is read again: an image's users are looked up seldom. */
    const struct cl_compile_context context = {.cache_dir = "", .arena = arena};
    const struct cl_compile_input input = {
        .kind = CL_COMPILE_USER, .fd = passwd, .group_fd = group, .name = plan->user};
    return cl_plan_compile(&context, &input, ret, err);
}

/* NAME, or NAME:GROUP, as the generated files have them. */
static int find_on_host(const struct cl_plan *plan, struct cl_plan *ret, struct cl_error *err)
{
    static const char *const known[] = {"nobody", "nobody:nogroup", "nobody:65534",
                                        "65534:nogroup"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(known); i++) {
        if (strcmp(plan->user, known[i]) != 0)
            continue;
        ret->uid = ret->gid = NOBODY;
        cl_plan_mark(ret, CL_FIELD_UID);
        cl_plan_mark(ret, CL_FIELD_GID);
        return 0;
    }
    return cl_refuse(err, ENOENT,
                     "the host image knows root and nobody alone, not \"%.64s\"; use a number",
                     plan->user);
}

int cl_image_user_find(void *context, const struct cl_plan *plan, struct cl_plan *ret,
                       struct cl_error *err)
{
    if (plan->image_kind == CL_IMAGE_HOST)
        return find_on_host(plan, ret, err);
    return find_in_tree(context, plan, ret, err);
}
