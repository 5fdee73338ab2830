/* proc_status.h - what /proc says of a process, and whether this host lets us make namespaces. */
#ifndef CL_TESTS_UNIT_PROC_STATUS_H
#define CL_TESTS_UNIT_PROC_STATUS_H

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "check.h"

static inline int host_lets_us_unshare(void)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(cl_sys_unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    return status == 0;
}

/* proc(5): in the ids of who opened it, where nobody's are known. */
static inline int open_status(void)
{
    return cl_sys_openat(AT_FDCWD, "/proc/self/status", O_RDONLY, 0);
}

static inline void read_status(int fd, char *ret, size_t size)
{
    const ssize_t got = pread(fd, ret, size - 1, 0);

    CHECK(got > 0);
    ret[got < 0 ? 0 : got] = '\0';
}

/* Whether all four ids of the line WHAT are one that nobody hands out (jail_user.c). */
static inline int is_an_id_of_its_own(const char *status, const char *what)
{
    const char *at = strstr(status, what);
    char *end = cl_unconst(at == NULL ? "" : at + strlen(what));
    unsigned long ids[4];

    for (size_t i = 0; i < CL_ARRAY_SIZE(ids); i++) {
        ids[i] = strtoul(end, &end, 10);
        if (ids[i] != ids[0] || ids[i] < 0x7fff0000UL || ids[i] >= 0x80000000UL)
            return 0;
    }
    return 1;
}

#endif
