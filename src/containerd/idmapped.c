/* The lower directories of an overlay for a container with a user namespace: each as an id-mapped
 * mount of its own, since the kernel maps no overlay. They have names only until that is mounted,
 * which keeps them (containerd's mounts: the options uidmap and gidmap). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/fd.h"
#include "base/sys.h"
#include "base/userns.h"
#include "containerd/bundle.h"

enum { LOWERS_MOST = 512, CLONE_TREE = 1, OF_EMPTY_PATH = 4 };

static void name_of(const char *bundle, size_t number, char ret[CL_BUNDLE_PATH])
{
    (void)snprintf(ret, CL_BUNDLE_PATH, "%s/lower%zu", bundle, number);
}

/* "0:100000:65536", some of them behind commas, as user_namespaces(7) has it. */
static int write_map(const char *text, struct cl_buf *ret, struct cl_error *err)
{
    int r = cl_buf_add_str(ret, text);

    for (char *at = ret->data; r == 0 && *at != '\0'; at++) {
        if (*at == ':')
            *at = ' ';
        else if (*at == ',')
            *at = '\n';
        else if (*at < '0' || *at > '9')
            return cl_refuse(err, EINVAL, "\"%.100s\" is no map of ids", text);
    }
    return r < 0 ? cl_fail_memory(err) : 0;
}

static int make_userns(const char *uids, const char *gids, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf uid_map = CL_BUF_INIT(4096);
    CL_CLEANUP_BUF struct cl_buf gid_map = CL_BUF_INIT(4096);
    int r = write_map(uids, &uid_map, err);

    if (r == 0)
        r = write_map(gids, &gid_map, err);
    return r < 0 ? r : cl_userns_make_of(uid_map.data, gid_map.data, err);
}

static int map_lower(const char *lower, const char *name, int userns, struct cl_error *err)
{
    CL_CLEANUP_FD int tree = cl_sys_open_tree(AT_FDCWD, lower, CLONE_TREE | O_CLOEXEC);

    if (tree < 0)
        return cl_fail(err, tree, "clone the mount at %.200s", lower);
    int r = cl_idmap_tree(tree, userns, lower, err);
    if (r < 0)
        return r;
    r = cl_sys_mkdirat(AT_FDCWD, name, 0700);
    if (r == 0 || r == -EEXIST)
        r = cl_sys_move_mount(tree, "", AT_FDCWD, name, OF_EMPTY_PATH);
    return r < 0 ? cl_fail(err, r, "mount %.200s at %.200s", lower, name) : 0;
}

static int map_all(const char *bundle, char *lowers, int userns, struct cl_buf *ret,
                   struct cl_error *err)
{
    static char name[CL_BUNDLE_PATH]; /* large */
    size_t number = 0;
    int r = 0;

    for (char *lower = lowers; r == 0 && *lower != '\0'; number++) {
        const size_t size = strcspn(lower, ":");
        const int is_last = lower[size] == '\0';

        if (number == LOWERS_MOST)
            return cl_refuse(err, E2BIG, "more than %d lower directories", LOWERS_MOST);
        lower[size] = '\0';
        name_of(bundle, number, name);
        r = map_lower(lower, name, userns, err);
        if (r == 0 && cl_buf_printf(ret, "%s%s", number > 0 ? ":" : "", name) < 0)
            r = cl_fail_memory(err);
        lower += size + !is_last;
    }
    return r;
}

int cl_bundle_map_lowers(const char *bundle, const char *lowers, const struct cl_bundle_maps *maps,
                         struct cl_buf *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf copy = CL_BUF_INIT(16384);
    CL_CLEANUP_FD int userns = make_userns(maps->uids, maps->gids, err);

    if (userns < 0)
        return userns;
    if (cl_buf_add_str(&copy, lowers) < 0)
        return cl_fail_memory(err);
    return map_all(bundle, copy.data, userns, ret, err);
}

void cl_bundle_forget_lowers(const char *bundle)
{
    static char name[CL_BUNDLE_PATH]; /* large */

    for (size_t number = 0; number < LOWERS_MOST; number++) {
        name_of(bundle, number, name);
        /* One that isn't mounted yet is removed all the same. */
        (void)cl_sys_umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW);
        if (cl_sys_unlinkat(AT_FDCWD, name, AT_REMOVEDIR) < 0)
            return;
    }
}
