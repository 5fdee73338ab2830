#include "cmd/cloister/exec_plan.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloister/image_user.h"
#include "plan/decide.h"

/* For an instant the newborn and init, one memory, are what fs.suid_dumpable says, and the
 * newborn has the user's id already: see walls/container/newborn.c. */
static int check_host(const struct cl_plan *plan, struct cl_error *err)
{
    char text[16] = "";

    if (plan->profile != CL_PROFILE_BUILD || plan->uid == 0)
        return 0;
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/proc/sys/fs/suid_dumpable", O_RDONLY, 0);
    ssize_t got = fd < 0 ? fd : cl_sys_read(fd, text, sizeof(text) - 1);
    if (got < 0)
        return cl_fail(err, (int)got, "read /proc/sys/fs/suid_dumpable");
    if (text[0] != '1')
        return 0;
    return cl_refuse(err, EPERM,
                     "user: fs.suid_dumpable is 1 on this host, and the sandboxed code could trace "
                     "a process that changes its user; run: sysctl fs.suid_dumpable=0");
}

int cl_exec_plan(const struct cl_exec_parts *words, const struct cl_plan *base, struct cl_plan *ret,
                 struct cl_error *err)
{
    struct cl_decide how = {
        .parts = words->parts,
        .count = words->count,
        .arena = words->arena,
        .find_user = cl_image_user_find,
        .context = words->arena,
        .caller_is_root = geteuid() == 0,
    };
    int r = cl_plan_decide_exec(&how, base, ret, err);

    if (r == 0 && how.note != NULL)
        (void)fprintf(stderr, "cloister: %s\n",
                      how.note); /* a closed stderr is the caller's wish */
    return r < 0 ? r : check_host(ret, err);
}
