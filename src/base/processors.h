/* processors.h - whether the machine has something left to do things beside each other.
 *
 * Advice for what is only a matter of time: the answer is old when it comes, and no where
 * nothing can be learnt. Costs 0.01 ms. Source: proc(5), sched_getaffinity(2). */
#ifndef CL_BASE_PROCESSORS_H
#define CL_BASE_PROCESSORS_H

#include <sched.h>

/* Whether fewer tasks run than the processors that this process may use; WAITING tasks of
 * ours, which wait for one to be idle, don't count. */
int cl_processors_have_idle(unsigned int waiting);

/* The processors that this process may use, and those of them on which it doesn't run now.
 * The number of the one on which it does, or -errno. */
int cl_processors_split(cpu_set_t *ret_all, cpu_set_t *ret_others);

#endif
