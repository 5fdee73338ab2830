#include "sandbox/children.h"

#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"

int32_t cl_first_child(int32_t pid)
{
    char path[64];
    char text[16] = "";
    uint64_t child;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0 || cl_sys_read(fd, text, sizeof(text) - 1) <= 0)
        return 0;
    text[strcspn(text, " ")] = '\0';
    return cl_parse_u64(text, &child) == 0 && child <= INT32_MAX ? (int32_t)child : 0;
}
