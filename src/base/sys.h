/* sys.h - the system calls Cloister makes, each as a typed function that returns
 * >= 0 or -errno and leaves errno alone.
 *
 * Everything that can fail while a sandbox is made goes through here, for two
 * reasons: the kernel's convention (one return value) reads better in a list of
 * steps, and the fault build (-DCL_FAULTS) can fail any one of the calls, to show
 * that each failure is reported and undone, and pretend that a kernel lacks one.
 *
 * Sources: the man pages of section 2; the numbers and structures of calls newer
 * than the build host's headers are spelled in sys_abi.h with their version.
 */
#ifndef CL_BASE_SYS_H
#define CL_BASE_SYS_H

#include "base/sys_files.h"
#include "base/sys_process.h"

#endif
