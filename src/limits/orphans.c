#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/cgroup.h"

/* Cgroups that no record knows. No order of steps of a run leaves one (its record comes
 * before its cgroups and goes after them); a state directory that was removed under a
 * sandbox does, and a `doctor` that was killed while it tried what the host can. */

static const char prefix[] = "cloister-";

struct orphans {
    int (*is_known)(void *context, const char *id);
    void *context;
    uint64_t now_ns;
    int removed;
};

/* A sandbox's, or `doctor`s probe<pid>; not v2's cloister-self. */
static int is_ours(const char *id)
{
    if (strncmp(id, "probe", strlen("probe")) == 0) {
        id += strlen("probe");
        return id[0] != '\0' && id[strspn(id, "0123456789")] == '\0';
    }
    return strlen(id) == 16 && strspn(id, "0123456789abcdef") == 16;
}

/* A time in the future (the clock was set back) is no age. */
static int is_old(const struct orphans *orphans, int dir, const char *name)
{
    const uint64_t least_ns = CL_LIMITS_ORPHAN_S * CL_NS_PER_S;
    struct stat st;

    if (cl_sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    return (uint64_t)st.st_mtim.tv_sec * CL_NS_PER_S + least_ns <= orphans->now_ns;
}

static void judge(struct orphans *orphans, int dir, const char *name)
{
    const char *id = name + strlen(prefix);

    if (strncmp(name, prefix, strlen(prefix)) != 0 || !is_ours(id) || !is_old(orphans, dir, name) ||
        orphans->is_known(orphans->context, id))
        return;
    /* Busy: somebody's that lives. */
    orphans->removed += cl_sys_unlinkat(dir, name, AT_REMOVEDIR) == 0;
}

static void look_in(struct orphans *orphans, const char *path)
{
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    struct cl_dir entries;
    const char *name;

    if (dir < 0)
        return;
    cl_dir_start(&entries, dir);
    while (cl_dir_next(&entries, &name, NULL) > 0)
        judge(orphans, dir, name);
}

static void look_in_v2(struct orphans *orphans, const struct cl_own_cgroups *own)
{
    char path[CL_CGROUP_PATH_SIZE];
    struct cl_error ignored; /* no place, no orphans */

    if (cl_v2_path(path, own, &ignored) < 0)
        return;
    for (;;) {
        look_in(orphans, path);
        if (strcmp(path, CL_CGROUP_MOUNT) == 0)
            return;
        *strrchr(path, '/') = '\0';
    }
}

int cl_limits_sweep_orphans(int (*is_known)(void *context, const char *id), void *context)
{
    struct orphans orphans = {
        .is_known = is_known, .context = context, .now_ns = cl_clock_wall_ns()};
    char path[CL_CGROUP_PATH_SIZE];
    struct cl_own_cgroups own;
    struct cl_error ignored; /* as above */
    int layout = cl_cgroup_layout(0, &ignored);

    if (layout < 0 || cl_own_cgroups_read(&own, &ignored) < 0)
        return 0;
    if (layout == CL_CGROUP_V2) {
        look_in_v2(&orphans, &own);
        return orphans.removed;
    }
    for (enum cl_controller i = 0; i < CL_CONTROLLER_COUNT; i++) {
        if (cl_own_is_first(&own, i) && cl_v1_path(path, i, &own, &ignored) == 0)
            look_in(&orphans, path);
    }
    return orphans.removed;
}
