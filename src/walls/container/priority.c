/* What its caller is ahead of others in, a sandbox is not. */
#include <sched.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

enum { NICE_ZERO = 20 }; /* in the kernel's answer */

/* What the caller raised for itself is not the sandbox's: whoever runs before all others
 * on a processor needs no limit to be broken. Source: sched(7), ioprio_set(2). */
int cl_priority_level(CL_UNUSED void *context, struct cl_error *err)
{
    const struct sched_param none = {0};
    int policy = cl_sys_sched_getscheduler();
    int r = 0;

    if (policy < 0)
        return cl_fail(err, policy, "ask for the scheduling policy");
    policy &= ~SCHED_RESET_ON_FORK;
    if (policy != SCHED_OTHER && policy != SCHED_BATCH && policy != SCHED_IDLE)
        r = cl_sys_sched_setscheduler(SCHED_OTHER, &none);
    if (r < 0)
        return cl_fail(err, r, "take the ordinary scheduling policy");
    r = cl_sys_getpriority();
    if (r > NICE_ZERO)
        r = cl_sys_setpriority(0);
    if (r < 0)
        return cl_fail(err, r, "take nice value 0");
    r = cl_sys_ioprio_get();
    if (r >= 0 && r >> CL_IOPRIO_CLASS_SHIFT == CL_IOPRIO_CLASS_RT)
        r = cl_sys_ioprio_set(0);
    if (r == -ENOSYS)
        return 0; /* a kernel without block devices */
    return r < 0 ? cl_fail(err, r, "take the ordinary I/O priority") : 0;
}

/* Services that must not be killed when memory runs out (OOMScoreAdjust= of a daemon that
 * starts sandboxes) hand that on to their children; the host's other programs would be
 * killed in the sandbox's place. While init is dumpable, or it would be closed to its user.
 * Source: proc(5). */
int cl_priority_level_oom(void *context, struct cl_error *err)
{
    const struct cl_container *container = context;
    char text[16] = "";
    CL_CLEANUP_FD int fd = cl_sys_openat(container->pid_dir, "oom_score_adj", O_RDWR, 0);

    if (fd == -ENOENT)
        return 0; /* a kernel without an OOM killer */
    int r = fd < 0 ? fd : (int)cl_sys_read(fd, text, sizeof(text) - 1);
    if (r >= 0 && text[0] == '-')
        r = (int)cl_sys_write(fd, "0", 1);
    return r < 0 ? cl_fail(err, r, "level init's out-of-memory score") : 0;
}
