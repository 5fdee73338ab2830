#include "base/beside.h"

#include <sched.h>
#include <sys/wait.h>

#include "base/sys.h"

int cl_beside_run(const char *what, int namespaces, cl_beside_fn *fn, void *context,
                  struct cl_error *err)
{
    static _Alignas(16) char stack[CL_BESIDE_STACK];
    /* It inherits them blocked: stopped by a terminal's Ctrl-Z it would hold us in the clone,
     * where nothing but a kill reaches us. */
    const uint64_t all = ~0ULL;
    uint64_t before;
    int status = 0;
    int r = cl_sys_rt_sigprocmask(SIG_SETMASK, &all, &before);

    if (r < 0)
        return cl_fail(err, r, "block signals");
    pid_t pid =
        cl_sys_clone_beside(fn, stack + sizeof(stack),
                            CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD | namespaces, context);
    (void)cl_sys_rt_sigprocmask(SIG_SETMASK, &before, NULL); /* can't fail where the other didn't */
    if (pid < 0)
        return cl_fail(err, pid, "clone %s", what);
    r = cl_sys_wait_for(pid, &status);
    if (r < 0)
        return cl_fail(err, r, "wait for %s", what);
    if (!WIFEXITED(status))
        return cl_refuse(err, EIO, "%s was ended from outside (wait status %d)", what, status);
    return WEXITSTATUS(status);
}
