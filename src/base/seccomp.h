/* seccomp.h - puts a system call filter on the calling process. */
#ifndef CL_BASE_SECCOMP_H
#define CL_BASE_SECCOMP_H

#include <stddef.h>

#include "base/error.h"

/* INSTRUCTIONS are COUNT struct sock_filter (policy/seccomp_tables.h, or joined of those). For
 * good. Needs no_new_privs, or CAP_SYS_ADMIN in the own user namespace. Source: seccomp(2). */
int cl_seccomp_install(const void *instructions, size_t count, struct cl_error *err);

#endif
