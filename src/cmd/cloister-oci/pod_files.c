/* --pod-files: what all containers of a pod have in common, which no bundle names: containerd's CRI
 * leaves these files to who makes the pod (containerd-shim-cloister-v2, pod_files.c). A bundle's
 * own mounts go before. */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"

static const struct {
    const char *name;
    const char *target;
    uint32_t kind;
} files[] = {
    {"hosts", "/etc/hosts", S_IFREG},
    {"hostname", "/etc/hostname", S_IFREG},
    {"resolv.conf", "/etc/resolv.conf", S_IFREG},
    {"shm", "/dev/shm", S_IFDIR},
};

/* Who may write there says what containers see: the caller alone. */
static int open_files(const char *path, struct cl_error *err)
{
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    struct stat st;

    if (path[0] != '/')
        return cl_refuse(err, EINVAL, "--pod-files: \"%.200s\" is no absolute path", path);
    int r = dir < 0 ? dir : cl_sys_fstat(dir, &st);
    if (r < 0)
        return cl_fail(err, r, "--pod-files: open %.200s", path);
    if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return cl_refuse(err, EPERM,
                         "--pod-files: %.200s must be the caller's own, and nobody else may write "
                         "there",
                         path);
    return CL_TAKE_FD(dir);
}

/* Slashes at its end mean nothing. */
static int is_at(const struct cl_spec_mount *mount, const char *target)
{
    size_t size = strlen(mount->target);

    while (size > 1 && mount->target[size - 1] == '/')
        size--;
    return size == strlen(target) && strncmp(mount->target, target, size) == 0;
}

/* What engines put into each bundle that says nothing else: memory of its own. */
static int is_usual(const struct cl_spec_mount *mount)
{
    return (mount->flags & CL_SPEC_BIND) == 0 && strcmp(mount->type, "tmpfs") == 0 &&
           strcmp(mount->source, "shm") == 0;
}

/* NULL: the bundle has another there. */
static struct cl_spec_mount *find_place(struct cl_spec_mount *mounts, size_t *count,
                                        const char *target)
{
    for (size_t i = 0; i < *count; i++) {
        if (is_at(&mounts[i], target))
            return is_usual(&mounts[i]) ? &mounts[i] : NULL;
    }
    return &mounts[(*count)++];
}

struct adding {
    const char *path; /* of the directory DIR */
    int dir;
    struct cl_oci_container *container;
    struct cl_spec_mount *mounts; /* its own, with room for ours */
};

static int add_file(const struct adding *adding, size_t which, struct cl_spec_mount *place,
                    struct cl_error *err)
{
    struct cl_oci_container *container = adding->container;
    const int is_readonly = files[which].kind == S_IFREG && container->spec.root_readonly;
    const char *source =
        cl_arena_printf(&container->arena, "%s/%s", adding->path, files[which].name);

    if (source == NULL)
        return cl_fail_memory(err);
    *place = (struct cl_spec_mount){
        .target = files[which].target,
        .type = "",
        .source = source,
        .options = "",
        .flags = CL_SPEC_BIND,
        .propagation = MS_PRIVATE,
        .set = CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV | CL_MOUNT_ATTR_NOEXEC |
               (is_readonly ? CL_MOUNT_ATTR_RDONLY : 0),
    };
    return 0;
}

static int add_if_there(const struct adding *adding, size_t which, struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_fstatat(adding->dir, files[which].name, &st, AT_SYMLINK_NOFOLLOW);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return cl_fail(err, r, "--pod-files: stat %s", files[which].name);
    if ((st.st_mode & S_IFMT) != files[which].kind)
        return cl_refuse(err, EINVAL, "--pod-files: %s isn't what it has to be", files[which].name);
    struct cl_spec_mount *place =
        find_place(adding->mounts, &adding->container->spec.mounts.count, files[which].target);
    return place == NULL ? 0 : add_file(adding, which, place, err);
}

int cl_oci_add_pod_files(const char *path, struct cl_oci_container *container, struct cl_error *err)
{
    struct cl_spec_mounts *list = &container->spec.mounts;

    if (path == NULL)
        return 0;
    CL_CLEANUP_FD int dir = open_files(path, err);
    if (dir < 0)
        return dir;
    if (list->count + CL_ARRAY_SIZE(files) > CL_SPEC_MAX_MOUNTS)
        return cl_refuse(err, E2BIG, "mounts: with the pod's files there are more than %d",
                         CL_SPEC_MAX_MOUNTS);
    struct cl_spec_mount *mounts =
        cl_arena_array(&container->arena, list->count + CL_ARRAY_SIZE(files), sizeof(*mounts));
    if (mounts == NULL)
        return cl_fail_memory(err);
    if (list->count > 0)
        memcpy(mounts, list->items, list->count * sizeof(*mounts));
    list->items = mounts;
    const struct adding adding = {path, dir, container, mounts};
    int r = 0;
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(files); i++)
        r = add_if_there(&adding, i, err);
    return r;
}
