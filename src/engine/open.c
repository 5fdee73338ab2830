/* Where the engine opens a file by its path, a path of ours means a descriptor.
 *
 * The engine's C API maps a compiled module from a path alone, and a worker's root has no /proc by
 * which a descriptor had one. The linker leads the engine's calls of open64 here
 * (-Wl,--wrap=open64); it opens nothing else in a worker. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "engine/wasmtime.h"

static const char prefix[] = "descriptor:";

void cl_module_path(int fd, char ret[CL_MODULE_PATH_SIZE])
{
    (void)snprintf(ret, CL_MODULE_PATH_SIZE, "%s%d", prefix, fd);
}

/* A signal's handler opens nothing, and there is one thread. */
static int opened = -1;

int cl_module_opened(void)
{
    const int fd = opened;

    opened = -1;
    return fd >= 0 && fcntl(fd, F_GETFD) >= 0 ? fd : -1;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

int __wrap_open64(const char *path, int flags, ...)
{
    va_list more;
    uint64_t fd;

    if (strncmp(path, prefix, strlen(prefix)) == 0 &&
        cl_parse_u64(path + strlen(prefix), &fd) == 0) {
        opened = fcntl((int)fd, F_DUPFD_CLOEXEC, 3);
        return opened;
    }
    va_start(more, flags);
    const unsigned int mode = (flags & O_CREAT) != 0 ? va_arg(more, unsigned int) : 0;
    va_end(more);
    return __real_open64(path, flags, mode);
}
