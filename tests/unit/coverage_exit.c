/* coverage_exit.c - for `make coverage` alone: what a process counted that ends by _exit, as
 * all do that a test clones or forks, is written too. Linked with --wrap=_exit. */
#include <unistd.h>

void __gcov_dump(void); /* gcov.h, which clang lacks */

_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);

_Noreturn void __wrap__exit(int status)
{
    if (access(CL_TEST_SOURCES "/build/coverage", W_OK) == 0) /* in no other root by now */
        __gcov_dump();
    __real__exit(status);
}
