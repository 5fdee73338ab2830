/* The processes of a container, those in cgroups that it made below its own too. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "limits/group_parts.h"
#include "limits/lines.h"

enum {
    BELOW = 400, /* descriptors and frames; how deep a container may have nested its own */
    PASSES = 50,
    PAUSE_MS = 1, /* between them */
};

struct walk {
    int (*at)(const struct walk *walk, int dir); /* each cgroup */
    int (*each)(void *context, pid_t pid);
    void *context;
};

/* One that was removed meanwhile has none. */
static int is_gone(int r)
{
    return r == -ENOENT || r == -ENODEV;
}

__attribute__((noinline)) /* its lines must not lie in each frame of the walk */
static int
list_procs(const struct walk *walk, int dir)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, "cgroup.procs", O_RDONLY, 0);
    struct cl_lines lines;
    const char *line;
    int r;

    if (fd < 0)
        return fd;
    cl_lines_init(&lines, fd);
    while ((r = cl_lines_next(&lines, &line)) > 0) {
        uint64_t pid;

        if (cl_parse_u64(line, &pid) < 0 || pid > INT32_MAX)
            return -EBADMSG;
        r = pid == 0 ? 0 : walk->each(walk->context, (pid_t)pid); /* 0: of no namespace of ours */
        if (r < 0)
            return r;
    }
    return r == -EOPNOTSUPP ? 0 : r; /* a threaded cgroup: its processes are listed above it */
}

static int walk_below(const struct walk *walk, int at, const char *name, int depth)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    struct cl_dir entries;
    const char *child;
    unsigned char type;
    int r = fd < 0 ? fd : walk->at(walk, fd);

    if (r < 0)
        return is_gone(r) ? 0 : r;
    cl_dir_start(&entries, fd);
    while ((r = cl_dir_next(&entries, &child, &type)) > 0) {
        if (type == DT_DIR)
            r = depth == 0 ? -ELOOP : walk_below(walk, fd, child, depth - 1);
        if (r < 0)
            break;
    }
    return is_gone(r) ? 0 : r;
}

/* The hierarchy that is asked: any, since all processes are in each. */
static const struct cl_group_dir *find_list(const struct cl_group *group)
{
    const struct cl_group_dir *dir =
        group->place.layout == CL_CGROUP_V2 ? NULL : cl_group_find(group, "pids");

    return dir != NULL || group->count == 0 ? dir : &group->dirs[0];
}

static int walk_group(const struct cl_group *group, const struct walk *walk)
{
    const struct cl_group_dir *dir = find_list(group);

    return dir == NULL ? -ENOTSUP : walk_below(walk, dir->dir, ".", BELOW);
}

/* EACH's own failure, apart from those of the walk. */
struct guard {
    int (*each)(void *context, pid_t pid);
    void *context;
    int r;
};

static int call_guarded(void *context, pid_t pid)
{
    struct guard *guard = context;

    guard->r = guard->each(guard->context, pid);
    return guard->r;
}

int cl_group_pids(const struct cl_group *group, int (*each)(void *context, pid_t pid),
                  void *context, struct cl_error *err)
{
    struct guard guard = {.each = each, .context = context};
    const struct walk walk = {.at = list_procs, .each = call_guarded, .context = &guard};
    const int r = walk_group(group, &walk);

    if (guard.r < 0)
        return guard.r;
    return r < 0 ? cl_fail(err, r, "list the processes of the cgroup %.300s", group->place.path)
                 : 0;
}

/* --- killing -------------------------------------------------------------------- */

struct killing {
    int signal;
    int count; /* of those that it reached */
    int failed;
};

static int kill_one(void *context, pid_t pid)
{
    struct killing *killing = context;
    const int r = cl_sys_kill(pid, killing->signal);

    if (r == 0)
        killing->count++;
    else if (r != -ESRCH && killing->failed == 0)
        killing->failed = r; /* the others are not spared for it */
    return 0;
}

static int pass(const struct cl_group *group, struct killing *killing)
{
    const struct walk walk = {.at = list_procs, .each = kill_one, .context = killing};
    const int r = walk_group(group, &walk);

    return r < 0 ? r : killing->failed;
}

static int thaw_one(CL_UNUSED const struct walk *walk, int dir)
{
    return cl_write_file(dir, "freezer.state", "THAWED");
}

int cl_group_thaw_v1(const struct cl_group *group)
{
    const struct cl_group_dir *freezer =
        group->place.layout == CL_CGROUP_V2 ? NULL : cl_group_find(group, "freezer");
    const struct walk walk = {.at = thaw_one};

    return freezer == NULL ? 0 : walk_below(&walk, freezer->dir, ".", BELOW);
}

/* v1 has no call for it: pass after pass, until nobody is left that could have had a child. Who is
 * frozen doesn't die (freezer-subsystem.rst), and who isn't may have one: so they are frozen for
 * the first pass and thawed for the others. */
static int kill_all_v1(const struct cl_group *group)
{
    const struct cl_group_dir *freezer = cl_group_find(group, "freezer");
    struct killing killing = {.signal = SIGKILL};

    if (freezer != NULL)
        (void)cl_write_file(freezer->dir, "freezer.state", "FROZEN"); /* the passes do without */
    int r = pass(group, &killing);
    int thawed = cl_group_thaw_v1(group); /* those that have frozen themselves below, too */
    if (thawed < 0)                       /* who stays frozen doesn't die, and is waited for */
        thawed = cl_group_thaw_v1(group);
    r = r < 0 ? r : thawed;
    for (int i = 0; r == 0 && killing.count > 0 && i < PASSES; i++) {
        killing.count = 0;
        r = pass(group, &killing);
        if (killing.count > 0)
            (void)cl_sys_poll(NULL, 0, PAUSE_MS); /* an early return only looks again */
    }
    return r;
}

/* A cgroup2 kills all that is in it, and what is born meanwhile (cgroup-v2.rst, cgroup.kill). */
static int kill_all(const struct cl_group *group)
{
    const struct cl_group_dir *unified = cl_group_find(group, CL_GROUP_UNIFIED);
    const int r = unified == NULL ? 0 : cl_write_file(unified->dir, "cgroup.kill", "1");

    if (group->place.layout == CL_CGROUP_V2)
        return r;
    return kill_all_v1(group); /* who is in v1's alone, and who is frozen there */
}

int cl_group_kill(const struct cl_group *group, int signal, struct cl_error *err)
{
    struct killing killing = {.signal = signal};
    int r;

    if (group->count == 0)
        return cl_refuse(err, ENOTSUP,
                         "the container has no cgroup whose processes could be killed");
    r = signal == SIGKILL ? kill_all(group) : pass(group, &killing);
    if (signal == SIGKILL)
        cl_group_unthrottle(group);
    return r < 0 ? cl_fail(err, r, "send signal %d to the processes of the cgroup %.300s", signal,
                           group->place.path)
                 : 0;
}

uint64_t cl_group_oom_kills(const struct cl_group *group)
{
    const int is_v2 = group->place.layout == CL_CGROUP_V2;
    const struct cl_group_dir *dir = cl_group_find(group, "memory");
    struct cl_keyed kills = {.key = "oom_kill"};
    CL_CLEANUP_FD int fd =
        dir == NULL
            ? -1
            : cl_sys_openat(dir->dir, is_v2 ? "memory.events" : "memory.oom_control", O_RDONLY, 0);

    return fd >= 0 && cl_lines_find(fd, &kills, 1) == 1 ? kills.value : 0;
}

/* v1: an event is asked for by the numbers of two descriptors. */
static int watch_v1(const struct cl_group_dir *dir, struct cl_error *err)
{
    CL_CLEANUP_FD int event = cl_sys_eventfd();
    CL_CLEANUP_FD int control = cl_sys_openat(dir->dir, "memory.oom_control", O_RDONLY, 0);
    CL_CLEANUP_FD int asking = cl_sys_openat(dir->dir, "cgroup.event_control", O_WRONLY, 0);
    char text[32];

    if (event < 0 || control < 0 || asking < 0)
        return cl_fail(err,
                       event < 0     ? event
                       : control < 0 ? control
                                     : asking,
                       "open the cgroup's events of memory");
    (void)snprintf(text, sizeof(text), "%d %d", event, control);
    int r = cl_write_all(asking, text, strlen(text));
    return r < 0 ? cl_fail(err, r, "watch the cgroup's memory") : CL_TAKE_FD(event);
}

static int watch_v2(const struct cl_group_dir *dir, struct cl_error *err)
{
    CL_CLEANUP_FD int events = cl_sys_inotify_init();
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/memory.events", dir->dir);
    int r = events < 0 ? events : cl_sys_inotify_add(events, path, IN_MODIFY);
    return r < 0 ? cl_fail(err, r, "watch the cgroup's memory") : CL_TAKE_FD(events);
}

int cl_group_watch_oom(const struct cl_group *group, struct cl_error *err)
{
    const struct cl_group_dir *dir = cl_group_find(group, "memory");

    if (dir == NULL)
        return cl_refuse(err, ENOTSUP, "the container has no cgroup whose memory is limited");
    return group->place.layout == CL_CGROUP_V2 ? watch_v2(dir, err) : watch_v1(dir, err);
}
