/* selinux.h - the SELinux context of sandboxes, as the policies that come with container
 * engines have it (container-selinux, reference policy): commands run as container_t, and
 * what is theirs alone is container_file_t. The level follows: sensitivity s0 and two
 * categories of each sandbox's own.
 */
#ifndef CL_POLICY_SELINUX_H
#define CL_POLICY_SELINUX_H

#define CL_SELINUX_PROCESS "system_u:system_r:container_t"
#define CL_SELINUX_FILE "system_u:object_r:container_file_t"
#define CL_SELINUX_LEVEL ":s0"

enum { CL_SELINUX_CATEGORIES = 1024 };

#endif
