#include "limits/core.h"

#include <sys/resource.h>

#include "base/fd.h"
#include "base/sys.h"

#define PATTERN "/proc/sys/kernel/core_pattern"

int cl_core_turn_off(struct cl_error *err)
{
    const struct cl_rlimit64 off = {.cur = CL_CORE_OFF, .max = CL_CORE_OFF};
    const int limited = cl_sys_prlimit(0, RLIMIT_CORE, &off, NULL);
    char kind = '\0';

    if (limited < 0 && limited != -EPERM)
        return cl_fail(err, limited, "setrlimit core");
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, PATTERN, O_RDONLY, 0);
    ssize_t got = fd < 0 ? fd : cl_sys_read(fd, &kind, sizeof(kind));
    if (got < 0) {
        (void)cl_fail(err, (int)got, "read " PATTERN);
        return cl_hint(err, "it says whether a crash inside would reach a program of the host; "
                            "--without core-limit accepts that");
    }
    if (kind == '@')
        return cl_refuse(err, EPERM,
                         "this host sends the memory of whatever crashes to a socket, and no limit "
                         "prevents that; give kernel.core_pattern a file's name, or accept it: "
                         "--without core-limit");
    if (kind == '|' && limited < 0)
        return cl_refuse(err, EPERM,
                         "the hard limit on core dumps is 0, for which this host still starts a "
                         "program with whatever crashes (kernel.core_pattern); start cloister with "
                         "a hard limit of 1 byte or more, or accept it: --without core-limit");
    return 0;
}
