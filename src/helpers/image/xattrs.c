/* Extended attributes by policy/xattrs.def.
 *
 * File capabilities. The kernel has three versions of the value; 1 and 2 hold for every user
 * namespace, 3 names the root of the one (and those below it) that they hold for. Whoever is in
 * a user namespace writes 2 and has 3 stored, with its own root; here it is nobody's instead,
 * so that they mean nothing to the host and are there for programs that look at them (dpkg, rpm,
 * getcap). vfs_ns_cap_data, linux/capability.h.
 */
#include <assert.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "base/sys.h"
#include "helpers/image/attributes.h"
#include "oci/quote.h"

enum action { KEEP, CAPABILITY, DROP };

enum { NOBODY = 65534 };

static const struct row {
    const char *name;
    int is_prefix;
    enum action action;
} rows[] = {
#define CL_XATTR(name, action, why) {name, 0, action},
#define CL_XATTR_PREFIX(name, action, why) {name, 1, action},
#include "policy/xattrs.def"
#undef CL_XATTR
#undef CL_XATTR_PREFIX
};

static enum action action_of(const char *name)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];

        if (row->is_prefix ? strncmp(name, row->name, strlen(row->name)) == 0
                           : strcmp(name, row->name) == 0)
            return row->action;
    }
    return DROP;
}

/* Words of the value are little-endian, and so are both machines that Cloister runs on. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "capabilities are little-endian");

/* Sets the capabilities of VALUE for the root NOBODY, or, where that is nobody that is known
 * here, for the root of this namespace, which is then an ordinary user of the host's. */
static int set_capability(int fd, const struct cl_tar_xattr *xattr)
{
    struct vfs_ns_cap_data data = {0};
    uint32_t version;

    if (xattr->size < sizeof(data.magic_etc) || xattr->size > sizeof(data))
        return -EOPNOTSUPP;
    memcpy(&data, xattr->value, xattr->size);
    version = data.magic_etc & VFS_CAP_REVISION_MASK;
    if (!(version == VFS_CAP_REVISION_1 && xattr->size == XATTR_CAPS_SZ_1) &&
        !(version == VFS_CAP_REVISION_2 && xattr->size == XATTR_CAPS_SZ_2) &&
        !(version == VFS_CAP_REVISION_3 && xattr->size == XATTR_CAPS_SZ_3))
        return -EOPNOTSUPP; /* no kernel would take it */
    data.magic_etc = VFS_CAP_REVISION_3 | (data.magic_etc & VFS_CAP_FLAGS_EFFECTIVE);
    data.rootid = NOBODY;
    int r = cl_sys_fsetxattr(fd, xattr->name, &data, sizeof(data));
    if (r != -EINVAL)
        return r;
    data.rootid = 0;
    return cl_sys_fsetxattr(fd, xattr->name, &data, sizeof(data));
}

/* 0, -EOPNOTSUPP where there can be no such attribute, or another error. */
static int set_one(int fd, const struct cl_tar_entry *entry, const struct cl_tar_xattr *xattr)
{
    const enum action action = action_of(xattr->name);

    if (fd < 0 || action == DROP || (action == CAPABILITY && entry->type != CL_TAR_FILE))
        return -EOPNOTSUPP;
    if (action == CAPABILITY)
        return set_capability(fd, xattr);
    return cl_sys_fsetxattr(fd, xattr->name, xattr->value, xattr->size);
}

/* ENOSPC is more often said of the little that a file system has for one file's attributes than
 * of a full disk: more room there would not help. */
static int refuse_set(const struct cl_tar_entry *entry, const struct cl_tar_xattr *xattr, int r,
                      struct cl_error *err)
{
    char shown[CL_QUOTE_SIZE];
    char which[CL_QUOTE_SIZE];

    cl_tar_quote(&entry->name, shown);
    cl_quote_part(xattr->name, strlen(xattr->name), which);
    if (r == -ENOSPC)
        return cl_refuse(err, E2BIG,
                         "the file system has no room for the extended attribute \"%s\" (%zu "
                         "bytes) of \"%s\"",
                         which, xattr->size, shown);
    return cl_fail(err, r, "set the extended attribute \"%s\" (%zu bytes) of \"%s\"", which,
                   xattr->size, shown);
}

int cl_xattrs_set(int fd, const struct cl_tar_entry *entry, uint64_t *dropped, struct cl_error *err)
{
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const struct cl_tar_xattr *xattr = &entry->xattrs[i];
        int r = set_one(fd, entry, xattr);

        if (r == -EOPNOTSUPP)
            (*dropped)++;
        else if (r < 0)
            return refuse_set(entry, xattr, r, err);
    }
    return 0;
}
