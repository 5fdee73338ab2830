/* What the sandbox calls itself, /etc/hosts and /etc/hostname, and with network outbound
 * whom it asks for other names, /etc/resolv.conf. Without them a program finds
 * neither `localhost` nor its own host: what an image brings, if anything, is an empty
 * file or another machine's. A file of the image is covered; where there is none it is
 * made, if the root can grow (an image of a store can, or has an empty hosts of ours by now:
 * rootfs.c); what is no regular file or lies behind a link is left alone. Volumes come later,
 * and cover ours.
 */
#include <stdio.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

enum { TEXT_SIZE = 256 };

/* The image's /etc, or a new one. */
static int open_etc(const struct cl_container *container)
{
    int fd = cl_open_no_links(container->root, "/etc", O_PATH | O_DIRECTORY);

    if (fd != -ENOENT)
        return fd;
    int r = cl_sys_mkdirat(container->root, "etc", 0755);
    return r < 0 ? r : cl_open_no_links(container->root, "/etc", O_PATH | O_DIRECTORY);
}

/* An image whose directory can't be written goes without. */
static int add_to_etc(const struct cl_container *container, const char *name, const char *text,
                      struct cl_error *err)
{
    if (!container->root_grows)
        return 0;
    CL_CLEANUP_FD int etc = open_etc(container);
    if (etc < 0)
        return 0;
    int r = cl_make_file(etc, name, text, name, err);
    if (!cl_is_closed(r))
        return r;
    *err = (struct cl_error){0};
    return 0;
}

static int cover(const struct cl_container *container, int target, const char *name,
                 const char *text, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    uint64_t attrs = CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV | CL_MOUNT_ATTR_NOEXEC;
    int r = cl_make_file(container->scratch, name, text, name, err);

    if (r < 0)
        return r;
    if (!cl_rootfs_is_writable(plan))
        attrs |= CL_MOUNT_ATTR_RDONLY;
    CL_CLEANUP_FD int tree =
        cl_tree_clone(container->scratch, name, cl_mount_attrs(plan, attrs), err);
    return tree < 0 ? tree : cl_tree_attach(tree, target, name, err);
}

static int put(const struct cl_container *container, const char *name, const char *text,
               struct cl_error *err)
{
    char path[32];
    struct stat st;

    (void)snprintf(path, sizeof(path), "/etc/%s", name);
    CL_CLEANUP_FD int target = cl_open_no_links(container->root, path, O_PATH);
    if (target == -ENOENT)
        return add_to_etc(container, name, text, err);
    if (target == -ELOOP || target == -ENOTDIR || target == -EACCES)
        return 0;
    if (target < 0)
        return cl_fail(err, target, "open %s of the image", path);
    int r = cl_sys_fstat(target, &st);
    if (r < 0)
        return cl_fail(err, r, "stat %s of the image", path);
    return S_ISREG(st.st_mode) ? cover(container, target, name, text, err) : 0;
}

/* Where pasta listens for the host's own resolvers; without any there is nobody to ask. Unlike
 * the other names this one has to be there: a program whose names aren't found would be told
 * nothing of the reason. */
static int put_resolver(struct cl_container *container, struct cl_error *err)
{
    static const char path[] = "/etc/resolv.conf";
    const struct cl_net *net = container->net;
    char text[TEXT_SIZE];

    if (cl_rootfs_is_covered(container->plan, path))
        return 0; /* by a volume */
    (void)snprintf(text, sizeof(text), "%s%s",
                   net->resolver4.family != 0 ? "nameserver " CL_NET_DNS4 "\n" : "",
                   net->resolver6.family != 0 ? "nameserver " CL_NET_DNS6 "\n" : "");
    CL_CLEANUP_FD int target = cl_target_open(container, path, 0, err);
    return target < 0 ? target : cover(container, target, "resolv.conf", text, err);
}

int cl_names_make(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    const char *hostname = container->plan->hostname;
    char text[TEXT_SIZE];

    if (cl_has_program(container) && container->net == NULL)
        return 0; /* it looks nothing up */
    (void)snprintf(text, sizeof(text), "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n",
                   hostname);
    int r = put(container, "hosts", text, err);
    if (r < 0)
        return r;
    (void)snprintf(text, sizeof(text), "%s\n", hostname);
    r = put(container, "hostname", text, err);
    if (r < 0 || container->net == NULL)
        return r;
    return put_resolver(container, err);
}
