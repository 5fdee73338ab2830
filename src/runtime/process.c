#include "runtime/process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"

enum { STATE_FIELD = 3, START_FIELD = 22 };

/* The name in parentheses may hold anything, blanks and parentheses too: fields are counted from
 * its last one on. */
static int parse(char *text, struct cl_process_stat *ret)
{
    char *at = strrchr(text, ')');
    uint64_t ticks = 0;

    if (at == NULL || at[1] != ' ')
        return -EBADMSG;
    at += 2;
    for (int field = STATE_FIELD; field < START_FIELD; field++) {
        at = strchr(at, ' ');
        if (at == NULL)
            return -EBADMSG;
        at++;
    }
    at[strcspn(at, " \n")] = '\0';
    if (cl_parse_u64(at, &ticks) < 0)
        return -EBADMSG;
    *ret = (struct cl_process_stat){.start_ticks = ticks};
    return 0;
}

int cl_process_look(int pid, struct cl_process_stat *ret)
{
    char path[32];
    char text[1024] = "";

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    ssize_t size = cl_sys_read(fd, text, sizeof(text) - 1);
    if (size == -ESRCH)
        return -ENOENT;
    return size < 0 ? (int)size : parse(text, ret);
}
