/* The root file system of a container, as containerd's snapshotter describes it: mounts, one over
 * the other, at the bundle's `rootfs`. In the host's mount namespace, where containerd's others
 * (kubelet, its metrics) look for it; who deletes the container takes them away. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/buf.h"
#include "base/sys.h"
#include "containerd/bundle.h"

enum { DATA_MOST = 4096, DEEP = 64 };

/* mount(8)'s words for mount(2)'s flags. */
static const struct {
    const char *word;
    unsigned long flag;
    int is_off;
} flags[] = {
    {"ro", MS_RDONLY, 0},
    {"rw", MS_RDONLY, 1},
    {"nosuid", MS_NOSUID, 0},
    {"suid", MS_NOSUID, 1},
    {"nodev", MS_NODEV, 0},
    {"dev", MS_NODEV, 1},
    {"noexec", MS_NOEXEC, 0},
    {"exec", MS_NOEXEC, 1},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", MS_SYNCHRONOUS, 1},
    {"dirsync", MS_DIRSYNC, 0},
    {"noatime", MS_NOATIME, 0},
    {"atime", MS_NOATIME, 1},
    {"nodiratime", MS_NODIRATIME, 0},
    {"relatime", MS_RELATIME, 0},
    {"norelatime", MS_RELATIME, 1},
    {"strictatime", MS_STRICTATIME, 0},
    {"bind", MS_BIND, 0},
    {"rbind", MS_BIND | MS_REC, 0},
    {"defaults", 0, 0},
};

struct plan {
    unsigned long flags;
    const char *lowers; /* an overlay's */
    struct cl_bundle_maps maps;
    char data[DATA_MOST]; /* the file system's own options */
    size_t size;
};

static int add_data(struct plan *plan, const char *option, struct cl_error *err)
{
    const int size = snprintf(plan->data + plan->size, sizeof(plan->data) - plan->size, "%s%s",
                              plan->size > 0 ? "," : "", option);

    if (size >= (int)(sizeof(plan->data) - plan->size))
        return cl_refuse(err, E2BIG, "the options of the root file system are more than a page");
    plan->size += (size_t)size;
    return 0;
}

/* "KEY=" in front: *RET is what follows. */
static int take(const char *option, const char *key, const char **ret)
{
    const size_t size = strlen(key);

    if (strncmp(option, key, size) != 0)
        return 0;
    *ret = option + size;
    return 1;
}

static int add_option(struct plan *plan, const char *option, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(flags); i++) {
        if (strcmp(flags[i].word, option) != 0)
            continue;
        plan->flags = flags[i].is_off ? plan->flags & ~flags[i].flag : plan->flags | flags[i].flag;
        return 0;
    }
    if (strcmp(option, "loop") == 0)
        return cl_refuse(err, ENOTSUP,
                         "a root file system in a file (the option loop) isn't taken");
    if (strncmp(option, "X-", 2) == 0 || strncmp(option, "x-", 2) == 0)
        return 0; /* for programs of user space: mount(8) */
    return take(option, "lowerdir=", &plan->lowers) || take(option, "uidmap=", &plan->maps.uids) ||
                   take(option, "gidmap=", &plan->maps.gids)
               ? 0
               : add_data(plan, option, err);
}

static int add_lowers(struct plan *plan, const char *bundle, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf option = CL_BUF_INIT(DATA_MOST);
    int r = cl_buf_add_str(&option, "lowerdir=");

    if (plan->lowers == NULL)
        return 0;
    if (r < 0)
        return cl_fail_memory(err);
    if (plan->maps.uids == NULL || plan->maps.gids == NULL)
        r = cl_buf_add_str(&option, plan->lowers) < 0 ? cl_fail_memory(err) : 0;
    else
        r = cl_bundle_map_lowers(bundle, plan->lowers, &plan->maps, &option, err);
    return r < 0 ? r : add_data(plan, option.data, err);
}

static int read_options(const struct cl_msg_mount *mount, const char *bundle, struct plan *ret,
                        struct cl_error *err)
{
    int r = 0;

    if (mount->target[0] != '\0' && strcmp(mount->target, "/") != 0)
        return cl_refuse(err, ENOTSUP, "a mount at %.100s of the root file system isn't taken",
                         mount->target);
    if (strcmp(mount->type, "bind") == 0)
        ret->flags = MS_BIND;
    for (size_t i = 0; r == 0 && i < mount->options.count; i++)
        r = add_option(ret, mount->options.items[i], err);
    if (r == 0)
        r = add_lowers(ret, bundle, err);
    if (r == 0 && ret->maps.uids != NULL && ret->lowers == NULL)
        return cl_refuse(err, ENOTSUP, "an id-mapped %.40s as root file system isn't taken",
                         mount->type);
    return r;
}

/* A bind's other flags come by a second call: mount(2), "Creating a bind mount". */
static int mount_one(const struct cl_msg_mount *mount, const char *bundle, const char *path,
                     struct cl_error *err)
{
    const unsigned long of_bind = MS_BIND | MS_REC;
    static struct plan plan; /* large */

    plan = (struct plan){0};
    int r = read_options(mount, bundle, &plan, err);
    if (r == 0) {
        const int is_bind = (plan.flags & MS_BIND) != 0;

        r = cl_sys_mount(mount->source, path, mount->type,
                         is_bind ? plan.flags & of_bind : plan.flags, is_bind ? NULL : plan.data);
        if (r == 0 && is_bind && (plan.flags & ~of_bind) != 0)
            r = cl_sys_mount(NULL, path, NULL, (plan.flags & ~(unsigned long)MS_REC) | MS_REMOUNT,
                             NULL);
        if (r < 0)
            (void)cl_fail(err, r, "mount %.40s from %.200s at the bundle's rootfs", mount->type,
                          mount->source);
    }
    if (plan.maps.uids != NULL)
        cl_bundle_forget_lowers(bundle);
    return r;
}

static void rootfs_of(const char *bundle, char ret[CL_BUNDLE_PATH])
{
    (void)snprintf(ret, CL_BUNDLE_PATH, "%s/rootfs", bundle);
}

void cl_bundle_unmount(const char *bundle)
{
    char path[CL_BUNDLE_PATH];

    rootfs_of(bundle, path);
    /* -EINVAL: there is none any more. Busy ones go when nobody uses them. */
    for (int i = 0; i < DEEP && cl_sys_umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0; i++)
        ;
}

int cl_bundle_mount(const char *bundle, const struct cl_wire_list *mounts, struct cl_error *err)
{
    const struct cl_msg_mount *items = mounts->items;
    static char path[CL_BUNDLE_PATH]; /* large */
    int r = 0;

    rootfs_of(bundle, path);
    if (mounts->count > 0)
        r = cl_sys_mkdirat(AT_FDCWD, path, 0711);
    if (r == -EEXIST)
        r = 0;
    if (r < 0)
        return cl_fail(err, r, "make the bundle's rootfs");
    for (size_t i = 0; r == 0 && i < mounts->count; i++)
        r = mount_one(&items[i], bundle, path, err);
    if (r < 0)
        cl_bundle_unmount(bundle);
    return r;
}
