/* The image `host`: a skeleton in scratch, the host's programs bound into it
 * read-only, and a generated /etc. policy/host.def says what and why. */
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

struct host_row {
    const char *path;
    const char *content; /* NULL: bound from the host */
};

static const struct host_row rows[] = {
#define CL_HOST_TREE(path, why) {path, NULL},
#define CL_HOST_FILE(path, content, why) {path, content},
#include "policy/host.def"
#undef CL_HOST_TREE
#undef CL_HOST_FILE
};

static const char *const directories[] = {
    "etc", "etc/ssl", "proc", "dev", "tmp", "run", "root", "home", "var", "var/tmp",
};

static int make_file(int root, const char *path, const char *content, struct cl_error *err)
{
    char what[80];

    (void)snprintf(what, sizeof(what), "/%s of the image", path);
    return cl_make_file(root, path, content, what, err);
}

static int show_row(struct cl_container *container, const char *path, struct cl_error *err)
{
    char absolute[64];

    (void)snprintf(absolute, sizeof(absolute), "/%s", path);
    CL_CLEANUP_FD int source = cl_sys_openat(AT_FDCWD, absolute, O_PATH | O_NOFOLLOW, 0);
    if (source == -ENOENT)
        return 0;
    if (source < 0)
        return cl_fail(err, source, "open %s of the host", absolute);
    return cl_show(container, source, container->root, path, err);
}

/* The sandbox's own users: root, its user, nobody. */
static int make_users(struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    char text[512];
    char user[160] = "";

    if (plan->uid != 0)
        (void)snprintf(user, sizeof(user), "user:x:%u:%u:user:/tmp:/bin/sh\n",
                       (unsigned int)plan->uid, (unsigned int)plan->gid);
    (void)snprintf(text, sizeof(text),
                   "root:x:0:0:root:/root:/bin/sh\n%s"
                   "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
                   user);
    int r = make_file(container->root, "etc/passwd", text, err);
    if (r < 0)
        return r;
    user[0] = '\0';
    if (plan->gid != 0)
        (void)snprintf(user, sizeof(user), "user:x:%u:\n", (unsigned int)plan->gid);
    (void)snprintf(text, sizeof(text), "root:x:0:\n%snogroup:x:65534:\n", user);
    return make_file(container->root, "etc/group", text, err);
}

int cl_host_image_fill(struct cl_container *container, struct cl_error *err)
{
    int r;

    for (size_t i = 0; i < CL_ARRAY_SIZE(directories); i++) {
        r = cl_sys_mkdirat(container->root, directories[i], 0755);
        if (r < 0)
            return cl_fail(err, r, "make /%s of the image", directories[i]);
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (rows[i].content == NULL)
            r = show_row(container, rows[i].path, err);
        else
            r = make_file(container->root, rows[i].path, rows[i].content, err);
        if (r < 0)
            return r;
    }
    return make_users(container, err);
}
