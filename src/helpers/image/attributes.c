#include "helpers/image/attributes.h"

#include <errno.h>
#include <inttypes.h>

#include "base/sys.h"

enum { MODE_BITS = 07777 };

int cl_attributes_read(const struct cl_tar_entry *entry, struct cl_attributes *ret,
                       struct cl_error *err)
{
    const struct cl_tar_text *name = &entry->name;
    const uint64_t most = UINT32_MAX - 1; /* -1 means: leave it */
    char shown[CL_QUOTE_SIZE];

    if (entry->uid > most || entry->gid > most)
        return cl_refuse(err, EINVAL,
                         "\"%s\" belongs to user %" PRId64 " and group %" PRId64
                         ": Linux has no such ids",
                         cl_tar_quote(name, shown), (int64_t)entry->uid, (int64_t)entry->gid);
    *ret = (struct cl_attributes){(uid_t)entry->uid, (gid_t)entry->gid, entry->mode, entry->mtime};
    return 0;
}

int cl_attributes_owner_differs(const struct cl_attributes *attributes, const struct stat *status)
{
    return attributes->uid != status->st_uid || attributes->gid != status->st_gid;
}

int cl_attributes_mode_differs(const struct cl_attributes *attributes, const struct stat *status)
{
    return attributes->mode != (status->st_mode & MODE_BITS);
}

int cl_attributes_no_owner(int r, const struct cl_attributes *attributes,
                           const struct cl_tar_text *name, struct cl_error *err)
{
    char shown[CL_QUOTE_SIZE];

    (void)cl_fail(err, r, "give \"%s\" to user %u and group %u", cl_tar_quote(name, shown),
                  (unsigned int)attributes->uid, (unsigned int)attributes->gid);
    if (r != -EINVAL && r != -EOVERFLOW)
        return r;
    err->code = EOVERFLOW; /* no such id in this user namespace, or this mount */
    return -EOVERFLOW;
}

int cl_attributes_set(int fd, const struct stat *status, const struct cl_attributes *attributes,
                      const struct cl_tar_text *name, struct cl_error *err)
{
    const int other_owner = cl_attributes_owner_differs(attributes, status);
    char shown[CL_QUOTE_SIZE];
    int r = 0;

    if (other_owner)
        r = cl_sys_fchown(fd, attributes->uid, attributes->gid);
    if (r < 0)
        return cl_attributes_no_owner(r, attributes, name, err);
    /* fchown clears set-user-ID and set-group-ID bits of programs */
    if (cl_attributes_mode_differs(attributes, status) ||
        (other_owner && (attributes->mode & (S_ISUID | S_ISGID)) != 0))
        r = cl_sys_fchmod(fd, attributes->mode);
    if (r < 0)
        return cl_fail(err, r, "set the mode of \"%s\"", cl_tar_quote(name, shown));
    return 0;
}
