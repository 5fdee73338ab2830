/* errno.h - the host's error numbers as the specification's. */
#ifndef CL_WASI_ERRNO_H
#define CL_WASI_ERRNO_H

#include <stdint.h>

/* RESULT is a system call's: 0 and more is success, else -errno. What has no number there is
 * CL_WASI_IO. */
uint32_t cl_wasi_errno(long result);

#endif
