/* All processes of a container stand still: v1's freezer hierarchy (freezer-subsystem.rst), else
 * cgroup2's own freezer, which the hybrid has too. */
#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/freezer.h"
#include "limits/group_parts.h"
#include "limits/lines.h"

enum { WAIT_S = 10, PAUSE_MS = 1, PAUSE_MAX_MS = 10 };

static const char v1_file[] = "freezer.state";

/* The directory to freeze, or NULL; whether it is v1's. */
static const struct cl_group_dir *find_freezer(const struct cl_group *group, int *ret_is_v1)
{
    const struct cl_group_dir *dir =
        group->place.layout == CL_CGROUP_V2 ? NULL : cl_group_find(group, "freezer");

    *ret_is_v1 = dir != NULL;
    return dir != NULL ? dir : cl_group_find(group, CL_GROUP_UNIFIED);
}

/* Whether v1's state is WORD: 1, 0 or -errno. */
static int has_state(int dir, const char *word)
{
    char state[16];
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, v1_file, O_RDONLY, 0);
    const ssize_t got = fd < 0 ? fd : cl_sys_read(fd, state, sizeof(state) - 1);

    if (got < 0)
        return (int)got;
    state[got] = '\0';
    return strncmp(state, word, strlen(word)) == 0;
}

/* A process that is made meanwhile can keep v1 at FREEZING until it is told again. 1, 0 when time
 * is over, or -errno. */
static int change_v1(int dir, const char *word, uint64_t until_ns)
{
    for (int pause_ms = PAUSE_MS;; pause_ms += pause_ms < PAUSE_MAX_MS) {
        int r = cl_write_file(dir, v1_file, word);

        if (r == 0)
            r = has_state(dir, word);
        if (r != 0 || cl_clock_boot_ns() >= until_ns)
            return r;
        (void)cl_sys_poll(NULL, 0, pause_ms); /* an early return only looks again */
    }
}

static int change(int dir, int is_v1, int is_frozen, uint64_t until_ns)
{
    if (is_v1)
        return change_v1(dir, is_frozen ? "FROZEN" : "THAWED", until_ns);
    const int r = cl_write_file(dir, "cgroup.freeze", is_frozen ? "1" : "0");
    return r < 0 ? r : cl_freezer_wait_for(dir, is_frozen, until_ns);
}

int cl_group_freeze(const struct cl_group *group, int is_frozen, struct cl_error *err)
{
    const uint64_t until_ns = cl_clock_boot_ns() + WAIT_S * CL_NS_PER_S;
    const char *what = is_frozen ? "freeze" : "thaw";
    int is_v1;
    const struct cl_group_dir *dir = find_freezer(group, &is_v1);

    if (dir == NULL)
        return cl_refuse(err, ENOTSUP, "%s: the container has no cgroup that could be frozen",
                         what);
    const int r = change(dir->dir, is_v1, is_frozen, until_ns);
    if (r > 0)
        return 0;
    if (is_frozen) /* what is half frozen can neither go on nor end; what failed first is told */
        (void)change(dir->dir, is_v1, 0, 0);
    if (r < 0)
        return cl_fail(err, r, "%s the cgroup %.300s", what, group->place.path);
    return cl_refuse(err, ETIMEDOUT,
                     "the processes of the cgroup %.300s are not %s within %d s: one of them waits "
                     "for a device, or a cgroup above is frozen",
                     group->place.path, is_frozen ? "frozen" : "thawed", WAIT_S);
}

int cl_group_is_frozen(const struct cl_group *group)
{
    struct cl_keyed frozen = {.key = "frozen"};
    int is_v1;
    const struct cl_group_dir *dir = find_freezer(group, &is_v1);

    if (dir == NULL)
        return 0;
    if (is_v1)
        return has_state(dir->dir, "FROZEN");
    CL_CLEANUP_FD int fd = cl_sys_openat(dir->dir, "cgroup.events", O_RDONLY, 0);
    const int r = fd < 0 ? fd : cl_lines_find(fd, &frozen, 1);

    return r < 0 ? r : r == 1 && frozen.value != 0;
}
