/* core.h - what a crash inside sets off outside: core dumps.
 *
 * The host's core_pattern is a file's name, or "|" and a program of the host's that the
 * kernel starts as root, or (since Linux 6.16) "@" and a socket that it connects to, with
 * the memory of whoever crashed. Source: core(5), fs/coredump.c.
 */
#ifndef CL_LIMITS_CORE_H
#define CL_LIMITS_CORE_H

#include "base/error.h"

/* RLIMIT_CORE's value, in bytes, for which the kernel starts no program, as it does for 0,
 * and writes no file, as none is smaller than a page. */
enum { CL_CORE_OFF = 1 };

/* Turns the calling process's core dumps off, and those of its children to come, who have
 * not the capability to do it. -EPERM where a crash would reach the host all the same: by
 * a socket, whatever the limit is, or by a program when the hard limit is 0 and this
 * process may not raise it. */
int cl_core_turn_off(struct cl_error *err);

#endif
