/* The cgroup of a module that has a process of its own: where its bundle says, limited as it says.
 * It is written down before it is made, STATE/groups/SPACE,ID, so that the next daemon removes what
 * this one could not. */
#include "cmd/cloisterd/group.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"

enum { NAME_SIZE = 2 * CL_CONTAINERD_ID_MOST + 2, NS_PER_US = 1000 };

/* --- the record ------------------------------------------------------------------------------ */

static int open_groups(const char *state)
{
    char path[CL_BUNDLE_PATH];

    (void)snprintf(path, sizeof(path), "%s/groups", state);
    int r = cl_dir_make_path(path, 0700, 0700);
    return r < 0 ? r : cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

static void name_of(const struct cl_module_group *group, char ret[NAME_SIZE])
{
    (void)snprintf(ret, NAME_SIZE, "%s,%s", group->space, group->id);
}

static int write_record(const struct cl_module_group *group, const struct cl_group_place *place,
                        struct cl_error *err)
{
    CL_CLEANUP_FD int dir = open_groups(group->state);
    char name[NAME_SIZE];

    name_of(group, name);
    CL_CLEANUP_FD int fd =
        dir < 0 ? dir : cl_sys_openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    int r = fd < 0 ? fd : cl_write_all(fd, place, sizeof(*place));
    return r < 0 ? cl_fail(err, r, "write down the cgroup of %s", group->id) : 0;
}

/* By the same program, or it is as good as none. */
static int read_record(int dir, const char *name, struct cl_group_place *ret)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    ssize_t size = fd < 0 ? fd : cl_sys_read(fd, ret, sizeof(*ret));

    if (size != (ssize_t)sizeof(*ret))
        return size < 0 ? (int)size : -EBADMSG;
    ret->path[sizeof(ret->path) - 1] = '\0';
    ret->bases[sizeof(ret->bases) - 1] = '\0';
    return ret->manager == CL_GROUP_FS ? 0 : -EBADMSG;
}

struct cl_module_group cl_module_group_of(const struct cl_task *task)
{
    return (struct cl_module_group){task->daemon->options->state, task->space->name, task->id};
}

/* --- its making ------------------------------------------------------------------------------ */

/* What is limited or counted there; a process enters no more of them than an order has room for. */
static int is_wanted(const char *hierarchy)
{
    return strcmp(hierarchy, "unified") == 0 || strcmp(hierarchy, "memory") == 0 ||
           strcmp(hierarchy, "pids") == 0 || strncmp(hierarchy, "cpu", 3) == 0;
}

static int open_doors(const struct cl_group *group, int ret[CL_ORDER_MAX_GROUPS],
                      struct cl_error *err)
{
    const int is_v2 = group->place.layout == CL_CGROUP_V2;
    int count = 0;

    for (size_t i = 0; i < group->count; i++) {
        const char *name = group->dirs[i].name;

        if (!is_wanted(name) || strcmp(name, "cpuset") == 0 ||
            (!is_v2 && strcmp(name, "unified") == 0) || count == CL_ORDER_MAX_GROUPS)
            continue;
        ret[count] = cl_sys_openat(group->dirs[i].dir, is_v2 ? "cgroup.procs" : "tasks",
                                   O_WRONLY | O_NOFOLLOW, 0);
        if (ret[count] < 0)
            return cl_fail(err, ret[count], "open the cgroup %s of the module", name);
        count++;
    }
    return count;
}

int cl_module_group_make(const struct cl_module_group *group, const struct cl_spec *spec,
                         int ret_doors[CL_ORDER_MAX_GROUPS], struct cl_error *err)
{
    static struct cl_group_place place; /* large */
    CL_CLEANUP_GROUP struct cl_group made = {0};
    int r = cl_group_place(spec, group->id, CL_GROUP_FS, &place, err);

    if (r < 0)
        return r;
    cl_group_foresee(&place);
    r = write_record(group, &place, err);
    if (r == 0)
        r = cl_group_make(&place, spec, &made, err);
    if (r == 0)
        r = write_record(group, &made.place, err);
    if (r == 0)
        r = open_doors(&made, ret_doors, err);
    if (r < 0)
        cl_module_group_remove(group);
    return r;
}

/* --- later ----------------------------------------------------------------------------------- */

static int open_group(const struct cl_module_group *group, struct cl_group *ret)
{
    static struct cl_group_place place; /* large */
    CL_CLEANUP_FD int dir = open_groups(group->state);
    struct cl_error ignored;
    char name[NAME_SIZE];

    name_of(group, name);
    int r = dir < 0 ? dir : read_record(dir, name, &place);
    return r < 0 ? r : cl_group_open(&place, ret, &ignored);
}

static int take_first(void *context, pid_t pid)
{
    *(pid_t *)context = pid;
    return -ECANCELED; /* that is enough */
}

pid_t cl_module_group_pid(const struct cl_module_group *group)
{
    CL_CLEANUP_GROUP struct cl_group opened = {0};
    struct cl_error ignored;
    pid_t pid = 0;

    if (open_group(group, &opened) == 0)
        (void)cl_group_pids(&opened, take_first, &pid, &ignored);
    return pid;
}

uint64_t cl_module_group_oom_kills(const struct cl_module_group *group)
{
    CL_CLEANUP_GROUP struct cl_group opened = {0};

    return open_group(group, &opened) < 0 ? 0 : cl_group_oom_kills(&opened);
}

void cl_module_group_usage(const struct cl_module_group *group, uint64_t *ret_cpu_ns,
                           uint64_t *ret_memory)
{
    CL_CLEANUP_GROUP struct cl_group opened = {0};
    struct cl_keyed usage[] = {{.key = "usage_usec"}};

    if (open_group(group, &opened) < 0)
        return;
    if (opened.place.layout != CL_CGROUP_V2) {
        (void)cl_group_number(&opened, "cpuacct", "cpuacct.usage", ret_cpu_ns);
        (void)cl_group_number(&opened, "memory", "memory.usage_in_bytes", ret_memory);
        return;
    }
    if (cl_group_lines(&opened, "cpu", "cpu.stat", usage, 1) > 0 && usage[0].found)
        *ret_cpu_ns = usage[0].value * NS_PER_US;
    (void)cl_group_number(&opened, "memory", "memory.current", ret_memory);
}

static void remove_named(int dir, const char *name)
{
    static struct cl_group_place place; /* large */
    CL_CLEANUP_GROUP struct cl_group opened = {0};
    struct cl_error why = {0};
    int r = read_record(dir, name, &place);

    if (r == 0 && cl_group_open(&place, &opened, &why) == 0) {
        (void)cl_group_kill(&opened, SIGKILL, &why); /* what still lives ends with it */
        r = cl_group_remove(&opened, &why);
    } else if (r == 0) {
        cl_group_forget(&place);
    }
    if (r < 0 && r != -EBADMSG)
        cl_daemon_say(name, &why); /* the next daemon tries again */
    else
        (void)cl_sys_unlinkat(dir, name, 0);
}

void cl_module_group_remove(const struct cl_module_group *group)
{
    CL_CLEANUP_FD int dir = open_groups(group->state);
    char name[NAME_SIZE];

    name_of(group, name);
    if (dir >= 0 && cl_sys_faccessat(dir, name, F_OK) == 0)
        remove_named(dir, name);
}

void cl_daemon_sweep_groups(const struct cl_daemon *daemon)
{
    CL_CLEANUP_FD int fd = open_groups(daemon->options->state);
    struct cl_dir dir;
    const char *name;

    if (fd < 0)
        return;
    cl_dir_start(&dir, fd);
    while (cl_dir_next(&dir, &name, NULL) == 1)
        remove_named(fd, name);
}
