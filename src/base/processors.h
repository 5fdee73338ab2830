/* processors.h - whether the machine has something left to do things beside each other.
 *
 * Advice for what is only a matter of time: the answer is old when it comes, and no where
 * nothing can be learnt. Costs 0.01 ms. Source: proc(5), sched_getaffinity(2). */
#ifndef CL_BASE_PROCESSORS_H
#define CL_BASE_PROCESSORS_H

/* Whether fewer tasks run than the processors that this process may use; WAITING tasks of
 * ours, which wait for one to be idle, don't count. */
int cl_processors_have_idle(unsigned int waiting);

#endif
