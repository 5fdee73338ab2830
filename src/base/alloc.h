/* alloc.h - malloc's family behind names that the fault build can fail one by one.
 * Results are freed with free(). */
#ifndef CL_BASE_ALLOC_H
#define CL_BASE_ALLOC_H

#include "base/defs.h"

#ifdef CL_FAULTS
/* True when this allocation must fail now. */
int cl_fault_alloc(void);
#else
static inline int cl_fault_alloc(void)
{
    return 0;
}
#endif

static inline void *cl_realloc(void *old, size_t size)
{
    return cl_fault_alloc() ? NULL : realloc(old, size);
}

static inline void *cl_calloc(size_t count, size_t size)
{
    return cl_fault_alloc() ? NULL : calloc(count, size);
}

#endif
