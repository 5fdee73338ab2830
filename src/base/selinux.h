/* base/selinux.h - what the kernel says about SELinux, through selinuxfs.
 *
 * No state. Any process may ask; the policy may refuse the answer to some domains.
 * Sources: Documentation/admin-guide/LSM/SELinux.rst, security/selinux/selinuxfs.c.
 */
#ifndef CL_BASE_SELINUX_H
#define CL_BASE_SELINUX_H

enum cl_selinux_mode { CL_SELINUX_NONE, CL_SELINUX_PERMISSIVE, CL_SELINUX_ENFORCING };

enum { CL_SELINUX_CONTEXT_MAX = 256 };

/* A cl_selinux_mode, or -errno. Costs one failing open where there is no SELinux. */
int cl_selinux_mode(void);
/* 1 when contexts have a level, else 0; -errno. */
int cl_selinux_has_levels(void);
/* 1 when the loaded policy knows CONTEXT (shorter than CL_SELINUX_CONTEXT_MAX), else 0;
 * -errno, -EACCES where the policy doesn't let the caller ask. */
int cl_selinux_knows(const char *context);

#endif
