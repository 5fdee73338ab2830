/* seccomp.h - puts a system call filter on the calling thread, or on all of its process. */
#ifndef CL_BASE_SECCOMP_H
#define CL_BASE_SECCOMP_H

#include <stddef.h>

#include "base/error.h"

/* INSTRUCTIONS are COUNT struct sock_filter (policy/seccomp_tables.h, or joined of those). For
 * good. Needs no_new_privs, or CAP_SYS_ADMIN in the own user namespace. Source: seccomp(2). */
int cl_seccomp_install(const void *instructions, size_t count, struct cl_error *err);
/* The same on all threads of the process, whose filters are the caller's. Linux 3.17. */
int cl_seccomp_install_on_all(const void *instructions, size_t count, struct cl_error *err);

#endif
