/* processors.h - whether the machine has something left to do things beside each other.
 *
 * Advice for what is only a matter of time: the answer is old when it comes, and a busy
 * machine where nothing can be learnt. Source: proc(5), sched_getaffinity(2), the kernel's
 * admin-guide/cputopology. */
#ifndef CL_BASE_PROCESSORS_H
#define CL_BASE_PROCESSORS_H

#include <sched.h>

#include "base/defs.h"

struct cl_processors {
    uint64_t count;   /* that this process may use */
    uint64_t running; /* tasks on the whole machine, this one too, and those that wait for a
                         processor */
};

/* Costs 0.01 ms. */
struct cl_processors cl_processors_look(void);

/* Whether fewer tasks run than there are processors. */
static inline int cl_processors_have_idle(const struct cl_processors *look)
{
    return look->running < look->count;
}

/* Whether another task is unlikely to want any one processor. */
static inline int cl_processors_are_quiet(const struct cl_processors *look)
{
    return look->running <= look->count / 2;
}

/* How many processors the machine has, at the most: whoever may not use one of them now, whose
 * affinity is narrow or which is offline, may later. CPU_SETSIZE where nobody can tell. */
uint64_t cl_processors_most(void);

/* The processors that this process may use, and those of them on which it doesn't run now.
 * The number of the one on which it does, or -errno. */
int cl_processors_split(cpu_set_t *ret_all, cpu_set_t *ret_others);

/* A list of ranges, as "0-3,8", each number below CPU_SETSIZE. -EINVAL on another text. */
int cl_processors_parse(const char *text, cpu_set_t *ret);

#endif
