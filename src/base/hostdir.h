/* hostdir.h - directories of root's on the host that outlive a run. */
#ifndef CL_BASE_HOSTDIR_H
#define CL_BASE_HOSTDIR_H

#include <sys/types.h>

/* The template of /dev, and the place where scratch files on disk have their blocks. */
#define CL_HOSTDIR_PARENT "/var/lib"
#define CL_HOSTDIR CL_HOSTDIR_PARENT "/cloister"

/* Where a host may have what makes the file system of scratch on disk. */
#define CL_MKE2FS_PLACES                                                                           \
    {                                                                                              \
        "/usr/sbin/mke2fs", "/sbin/mke2fs"                                                         \
    }

/* CL_HOSTDIR, made where it is missing; root mode. A descriptor or -errno. */
int cl_hostdir_open(void);

/* A file in it without a name, for scratch on disk: a descriptor or -errno. */
int cl_hostdir_make_file(void);

/* Any directory PATH of root's, made with MODE where it is missing; -EPERM when it is somebody
 * else's or has a bit of FORBIDDEN. */
int cl_rootdir_open(const char *path, mode_t mode, mode_t forbidden);

#endif
