/* Id-mapped mounts, and why there is none of a tree. */
#include <string.h>

#include "base/sys.h"
#include "base/userns.h"

/* File systems that people mount and some kernel can't id-map; the type is all that
 * statfs(2) tells. */
static const struct {
    unsigned long type;
    const char *name;
} file_systems[] = {
    {0x01021994, "tmpfs"},    {0x858458f6, "ramfs"}, {0x794c7630, "overlay"},
    {0x6969, "nfs"},          {0xff534d42, "cifs"},  {0xfe534d42, "smb3"},
    {0x65735546, "fuse"},     {0x01021997, "9p"},    {0x2fc12fc1, "zfs"},
    {0x786f4256, "vboxsf"},   {0x00c36400, "ceph"},  {0x958458f6, "hugetlbfs"},
    {0x9123683e, "btrfs"},    {0xef53, "ext4"},      {0x58465342, "xfs"},
    {0x2011bab0, "exfat"},    {0x4d44, "vfat"},      {0x7366746e, "ntfs3"},
    {0x73717368, "squashfs"}, {0xe0f5e1e2, "erofs"}, {0x9fa0, "proc"},
    {0x62656572, "sysfs"},    {0x1cd1, "devpts"},
};

static const char *name_file_system(unsigned long type)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(file_systems); i++) {
        if (file_systems[i].type == type)
            return file_systems[i].name;
    }
    return NULL;
}

/* Why TREE refused ATTR; that it did is in ERR already. */
static int explain_idmap(int tree, const struct cl_mount_attr *attr, struct cl_error *err)
{
    const char *name;
    struct statfs fs = {0};

    if (err->code == EPERM)
        return cl_hint(err, "its mount is id-mapped already, or another user namespace's");
    if (err->code != EINVAL)
        return -err->code;
    /* Without what is mounted below. The tree is of no more use either way. */
    if (cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH, attr) == 0)
        return cl_hint(err, "a file system that is mounted below it can't be id-mapped by this "
                            "kernel; name a directory that has none below");
    if (cl_sys_fstatfs(tree, &fs) < 0)
        return -err->code;
    name = name_file_system((unsigned long)fs.f_type);
    if (name == NULL)
        return cl_hint(
            err,
            "its file system (of type %#lx) can't be id-mapped by this kernel, "
            "and :ro and :copy of a volume need that too; use a directory on ext4, xfs or btrfs",
            (unsigned long)fs.f_type);
    return cl_hint(err,
                   "its file system, %s, can't be id-mapped by this kernel%s, and :ro and "
                   ":copy of a volume need that too; use a directory on ext4, xfs or btrfs",
                   name, strcmp(name, "tmpfs") == 0 ? " (before Linux 6.3)" : "");
}

int cl_idmap_tree(int tree, int userns, const char *what, struct cl_error *err)
{
    struct cl_mount_attr attr = {.attr_set = CL_MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns};
    int r = cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH | CL_AT_RECURSIVE, &attr);

    if (r == 0)
        return 0;
    (void)cl_fail(err, r, "id-map the mount of %s", what);
    return explain_idmap(tree, &attr, err);
}
