#include "base/pages.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/sys.h"

enum { PAGE = 4096 }; /* no larger one is needed: a remainder stays mapped */

/* The linker's: where the image begins, and where its code ends (end(3)). */
extern char __ehdr_start[] __attribute__((visibility("hidden")));
extern char etext[];

void cl_pages_forget_code(void)
{
    const size_t size = (size_t)((uintptr_t)etext - (uintptr_t)__ehdr_start) & ~(size_t)(PAGE - 1);

    (void)cl_sys_madvise(__ehdr_start, size, MADV_DONTNEED);
}
