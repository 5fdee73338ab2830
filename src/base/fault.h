/* fault.h - which system call or allocation has to fail, or is answered by the test; in
 * builds with -DCL_FAULTS only.
 *
 * A process counts its calls through base/sys.h and base/alloc.h. A test says which one
 * fails, and walks the number upwards until nothing fails any more. Programs take the
 * same from CLOISTER_FAULT:
 *   [WHO:]syscall:N[:ERRNO]   the Nth system call fails, with EIO or the number given
 *   [WHO:]alloc:N             the Nth allocation fails
 *   [WHO:]dies:N              the process is killed (SIGKILL) before its Nth system call
 *   [WHO:]lacks:NR[#N][=ERRNO][,...]
 *                             each of these system calls is ENOSYS or ERRNO: always, or
 *                             (#N) its Nth call only
 *   [WHO:]answers:NR[#N]=RESULT[,...]
 *                             each of these system calls isn't made, and returns RESULT (1
 *                             and more) as if it had been: for one that only tells
 *                             something, which another kernel would tell otherwise
 * A forked process goes on counting from where its parent was. WHO takes one side alone,
 * and only its calls are counted: `self` the process that read the text, `children` the
 * processes that it made. Not for threads.
 *
 * CLOISTER_FAULT_MARK=FILE, a file of CL_FAULT_MARK_SIZE bytes: a process that is
 * answered a fault writes there what it was, as text: "syscall NR N", "alloc 0 N" or "dies NR
 * N". It is
 * mapped, because a sandbox soon has neither the file nor a descriptor left.
 */
#ifndef CL_BASE_FAULT_H
#define CL_BASE_FAULT_H

#include "base/defs.h"

enum { CL_FAULT_MARK_SIZE = 4096 };

/* TEXT as above; NULL or "": nothing fails. Counting starts again at 1. A text that says
 * nothing that is known ends the process: a test that tests nothing must not pass. */
void cl_fault_set(const char *text);

/* Whether a fault was answered to this process since cl_fault_set. */
int cl_fault_struck(void);

#endif
