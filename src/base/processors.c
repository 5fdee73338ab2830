#include "base/processors.h"

#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"

/* proc(5): loadavg's fourth field is "RUNNABLE/ALL". */
static int count_runnable(uint64_t *ret)
{
    char text[64] = "";
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/proc/loadavg", O_RDONLY, 0);
    int r = fd < 0 ? fd : (int)cl_sys_read(fd, text, sizeof(text) - 1);

    if (r < 0)
        return r;
    char *field = text;
    for (int i = 0; i < 3; i++)
        field += strcspn(field, " ") + (strchr(field, ' ') != NULL);
    field[strcspn(field, "/")] = '\0';
    return cl_parse_u64(field, ret);
}

struct cl_processors cl_processors_look(void)
{
    const struct cl_processors busy = {.count = 1, .running = 1};
    cpu_set_t ours;
    uint64_t running;

    CPU_ZERO(&ours);
    if (cl_sys_sched_getaffinity(0, &ours) < 0)
        return busy;
    const uint64_t count = (uint64_t)CPU_COUNT(&ours);
    if (count < 2 || count_runnable(&running) < 0 || running == 0)
        return busy;
    return (struct cl_processors){.count = count, .running = running};
}

/* A list of ranges, as "0-3,8": the last number is the highest. */
uint64_t cl_processors_most(void)
{
    char text[256] = "";
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/sys/devices/system/cpu/present", O_RDONLY, 0);
    ssize_t got = fd < 0 ? 0 : cl_sys_read(fd, text, sizeof(text) - 1);
    uint64_t last;

    if (got <= 0)
        return CPU_SETSIZE;
    text[strcspn(text, "\n")] = '\0';
    size_t at = strlen(text);
    while (at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9')
        at--;
    return cl_parse_u64(text + at, &last) < 0 || last >= CPU_SETSIZE ? CPU_SETSIZE : last + 1;
}

int cl_processors_split(cpu_set_t *ret_all, cpu_set_t *ret_others)
{
    int here = cl_sys_getcpu();

    if (here < 0 || here >= CPU_SETSIZE)
        return here < 0 ? here : -ENOSYS;
    CPU_ZERO(ret_all);
    int r = cl_sys_sched_getaffinity(0, ret_all);
    if (r < 0)
        return r;
    *ret_others = *ret_all;
    CPU_CLR((size_t)here, ret_others);
    return here;
}

/* "3" or "0-3", of `size` bytes. */
static int add_range(const char *text, size_t size, cpu_set_t *set)
{
    char copy[32];
    uint64_t first;
    uint64_t last;

    if (size >= sizeof(copy))
        return -EINVAL;
    (void)snprintf(copy, sizeof(copy), "%.*s", (int)size, text);
    char *dash = strchr(copy, '-');
    if (dash != NULL)
        *dash++ = '\0';
    if (cl_parse_u64(copy, &first) < 0 || cl_parse_u64(dash == NULL ? copy : dash, &last) < 0)
        return -EINVAL;
    if (first > last || last >= CPU_SETSIZE)
        return -EINVAL;
    for (size_t i = first; i <= last; i++)
        CPU_SET(i, set);
    return 0;
}

int cl_processors_parse(const char *text, cpu_set_t *ret)
{
    CPU_ZERO(ret);
    for (;;) {
        const size_t size = strcspn(text, ",");
        const int r = add_range(text, size, ret);

        if (r < 0 || text[size] == '\0')
            return r;
        text += size + 1;
    }
}
