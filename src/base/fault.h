/* fault.h - which system call or allocation has to fail; in builds with -DCL_FAULTS only.
 *
 * A process counts its calls through base/sys.h and base/alloc.h. A test says which one
 * fails, and walks the number upwards until nothing fails any more. Programs take the
 * same from CLOISTER_FAULT:
 *   syscall:N[:ERRNO]   the Nth system call fails, with EIO or the number given
 *   alloc:N             the Nth allocation fails
 *   lacks:NR[,NR...]    each of these system calls is ENOSYS, always
 * A forked process goes on counting from where its parent was. Not for threads.
 */
#ifndef CL_BASE_FAULT_H
#define CL_BASE_FAULT_H

#include "base/defs.h"

/* TEXT as above; NULL or "": nothing fails. Counting starts again at 1. A text that says
 * nothing that is known ends the process: a test that tests nothing must not pass. */
void cl_fault_set(const char *text);

/* Whether a fault was answered to this process since cl_fault_set. */
int cl_fault_struck(void);

#endif
