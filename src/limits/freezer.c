#include "limits/freezer.h"

#include <errno.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/cgroup.h"
#include "limits/lines.h"

int cl_limits_freeze(const struct cl_limits *limits, int is_frozen)
{
    if (limits->layout != CL_CGROUP_V2 || limits->count == 0)
        return -ENOTSUP;
    return cl_cgroup_set(&limits->cgroups[0], limits->name, "cgroup.freeze", is_frozen ? "1" : "0");
}

int cl_freezer_open(const char *id, int32_t init)
{
    struct cl_own_cgroups own;
    char name[CL_CGROUP_NAME_SIZE];
    char path[CL_CGROUP_PATH_SIZE];
    struct cl_error unused = {0};

    if (cl_cgroup_layout(0, &unused) != CL_CGROUP_V2 || cl_cgroup_name(name, id, &unused) < 0)
        return -ENOTSUP;
    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)init); /* 10 digits fit */
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    int r = cl_own_cgroups_parse(fd, &own, &unused);
    if (r == 0)
        r = cl_v2_path(path, &own, &unused);
    if (r < 0)
        return r;
    const char *last = strrchr(path, '/');
    return last != NULL && strcmp(last + 1, name) == 0
               ? cl_cgroup_open(path, CGROUP2_SUPER_MAGIC, &unused)
               : -ENOTSUP;
}

/* Reading re-arms the event, as in cgroup.c. */
static int read_frozen(int events)
{
    struct cl_keyed frozen = {.key = "frozen"};
    int r = cl_lines_rewind(events);

    if (r == 0)
        r = cl_lines_find(events, &frozen, 1);
    return r < 0 ? r : frozen.found && frozen.value != 0;
}

int cl_freezer_wait_for(int dir, int is_frozen, uint64_t until_ns)
{
    CL_CLEANUP_FD int events = cl_sys_openat(dir, "cgroup.events", O_RDONLY, 0);

    if (events < 0)
        return events;
    for (;;) {
        struct pollfd wait = {.fd = events, .events = POLLPRI};
        const uint64_t now_ns = cl_clock_boot_ns();
        const int r = read_frozen(events);

        if (r < 0)
            return r;
        if (r == (is_frozen != 0))
            return 1;
        if (now_ns >= until_ns)
            return 0;
        /* An early return only looks again. */
        (void)cl_sys_poll(&wait, 1, (int)((until_ns - now_ns) / CL_NS_PER_MS + 1));
    }
}
