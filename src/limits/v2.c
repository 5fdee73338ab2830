#include <linux/magic.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/cgroup.h"
#include "limits/lines.h"

/* cgroup v2: one directory, but where? A cgroup that gives controllers to its children
 * may hold no process itself, the root excepted ("no internal processes", cgroups(7)),
 * and the caller's own cgroup holds at least the caller. So, in this order:
 *
 *  1. The own cgroup, when it is the root: missing controllers are enabled there.
 *  2. The own cgroup, when we are its only process and may write to it: what
 *     `systemd-run --scope -p Delegate=yes cloister ...`, a service of its own and
 *     `--cgroup-manager systemd` give.
 *     We move into its child `cloister-self` and enable the controllers behind us. The
 *     child stays until the scope ends, which takes it along.
 *  3. The nearest cgroup above that already gives the controllers to its children and
 *     in which we may make one: a delegated scope whose cloister-self we already are
 *     in, the app.slice of a user's manager, a slice of the system for root. The
 *     nearest, so that as many as can be of the limits above the caller hold for the
 *     sandbox too. No cgroup that isn't ours is changed on the way, but the root's
 *     missing controllers, for root.
 *
 * Where systemd runs, every cgroup is its own that it hasn't delegated, the root too: at
 * each reload it takes away the controllers that no unit of its own needs there. What
 * others enabled would be lost at the next, and so nothing is enabled there. What it has
 * enabled itself may still go with the unit that needed it: the files that limits were
 * written to are kept open to the end, when one that is gone tells of it
 * (cl_limits_check). A delegated scope (2) is the place that systemd leaves alone.
 *
 * Other people's processes are never moved. */

#define SELF "cloister-self"

enum {
    NEED_MEMORY_PIDS =
        CL_CONTROLLER_BIT(CL_CONTROLLER_MEMORY) | CL_CONTROLLER_BIT(CL_CONTROLLER_PIDS)
};

struct place {
    char path[CL_CGROUP_PATH_SIZE]; /* walks upwards */
    unsigned int need;
    int dir;
};

static void place_done(struct place *place)
{
    cl_fd_close(&place->dir);
}

static int is_root(const struct place *place)
{
    return strcmp(place->path, CL_CGROUP_MOUNT) == 0;
}

/* The names of CONTROLLERS, each with PREFIX before it. */
static void write_names(char ret[64], unsigned int controllers, const char *prefix)
{
    size_t used = 0;

    ret[0] = '\0';
    for (enum cl_controller i = 0; i < CL_CONTROLLER_COUNT; i++) {
        if ((controllers & CL_CONTROLLER_BIT(i)) == 0)
            continue;
        int size = snprintf(ret + used, 64 - used, "%s%s%s", used > 0 ? " " : "", prefix,
                            cl_controller_name(i));
        CL_ASSERT(size > 0 && (size_t)size < 64 - used);
        used += (size_t)size;
    }
}

int cl_v2_controllers(int dir, const char *file)
{
    const char *names[CL_CONTROLLER_COUNT];

    for (enum cl_controller i = 0; i < CL_CONTROLLER_COUNT; i++)
        names[i] = cl_controller_name(i);
    return cl_cgroup_words(dir, file, names, CL_CONTROLLER_COUNT);
}

int cl_v2_path(char ret[CL_CGROUP_PATH_SIZE], const struct cl_own_cgroups *own,
               struct cl_error *err)
{
    int size;

    if (own->v2 == NULL)
        return cl_refuse(err, ENOTSUP, "this process is in no cgroup v2 though one is mounted");
    size = snprintf(ret, CL_CGROUP_PATH_SIZE, "%s%s", CL_CGROUP_MOUNT,
                    strcmp(own->v2, "/") == 0 ? "" : own->v2);
    if (size < 0 || size >= CL_CGROUP_PATH_SIZE)
        return cl_refuse(err, ENAMETOOLONG, "the path of this process's own cgroup is too long");
    return 0;
}

/* 1 when this process is the only one in DIR. Processes outside our pid namespace are
 * listed as 0 and count as others. */
static int is_alone(int dir)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, "cgroup.procs", O_RDONLY, 0);
    struct cl_lines lines;
    const char *line;
    char own[16];
    int r;

    if (fd < 0)
        return 0;
    (void)snprintf(own, sizeof(own), "%d", (int)getpid()); /* 10 digits fit */
    cl_lines_init(&lines, fd);
    r = cl_lines_next(&lines, &line);
    if (r <= 0 || strcmp(line, own) != 0)
        return 0;
    return cl_lines_next(&lines, &line) == 0;
}

static int is_unit(const char *name)
{
    static const char *const types[] = {".service", ".scope", ".slice",
                                        ".socket",  ".mount", ".swap"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot != NULL && i < CL_ARRAY_SIZE(types); i++) {
        if (strcmp(dot, types[i]) == 0)
            return 1;
    }
    return 0;
}

static int has_systemd(void)
{
    return cl_sys_faccessat(AT_FDCWD, "/run/systemd/system", F_OK) == 0;
}

/* 1 when systemd manages the cgroup PATH: at its next reload it takes the controllers
 * away again that somebody else enabled there, and the limits below with them. It says by
 * an attribute which units it leaves to others; what is below a unit is the unit's. */
__attribute__((noinline)) /* its path must not lie in its caller's frame */
static int
is_systemds(const char *path)
{
    char unit[CL_CGROUP_PATH_SIZE];
    char value[2];

    if (!has_systemd())
        return 0;
    if (strcmp(path, CL_CGROUP_MOUNT) == 0)
        return 1;
    for (memcpy(unit, path, strlen(path) + 1); strcmp(unit, CL_CGROUP_MOUNT) != 0;
         *strrchr(unit, '/') = '\0') {
        if (is_unit(strrchr(unit, '/') + 1))
            return cl_sys_getxattr(unit, "user.delegate", value, sizeof(value)) != 1 &&
                   cl_sys_getxattr(unit, "trusted.delegate", value, sizeof(value)) != 1;
    }
    return 0;
}

/* Has the place give what is needed to its children; -ENOTSUP when it doesn't have them,
 * -EPERM when that wouldn't last, -EBUSY when there are processes in it. */
static int enable(const struct place *place)
{
    char text[64];
    int available = cl_v2_controllers(place->dir, "cgroup.controllers");
    int given = cl_v2_controllers(place->dir, "cgroup.subtree_control");

    if (available < 0 || given < 0)
        return available < 0 ? available : given;
    unsigned int missing = place->need & ~(unsigned int)given;
    if (missing == 0)
        return 0;
    if ((missing & ~(unsigned int)available) != 0)
        return -ENOTSUP;
    if (is_root(place) && is_systemds(place->path))
        return -EPERM;
    write_names(text, missing, "+");
    return cl_write_file(place->dir, "cgroup.subtree_control", text);
}

/* Whether PATH is the scope that limits/scope.c was given for the sandbox whose cgroup is to be
 * NAME: delegated, though a user's manager sets no attribute that says so (252). */
static int is_own_scope(const char *path, const char *name)
{
    const char *last = strrchr(path, '/') + 1;
    const size_t size = strlen(name);

    return strncmp(last, name, size) == 0 && strcmp(last + size, ".scope") == 0;
}

/* Rule 2. 0, or -errno with everything as it was. */
static int move_to_leaf(const struct place *place, const char *name)
{
    int made;
    int r;

    if (!is_alone(place->dir))
        return -EBUSY;
    if (is_systemds(place->path) && !is_own_scope(place->path, name))
        return -EBUSY;
    made = cl_sys_mkdirat(place->dir, SELF, 0755);
    if (made < 0 && made != -EEXIST)
        return made;
    r = cl_write_file(place->dir, SELF "/cgroup.procs", "0");
    if (r == 0) {
        r = enable(place);
        if (r == 0) {
            /* For io.stat only: a result without it is no failure. */
            (void)cl_write_file(place->dir, "cgroup.subtree_control", "+io");
            return 0;
        }
        /* Back, as far as it goes: what failed first is what is reported. */
        (void)cl_write_file(place->dir, "cgroup.procs", "0");
    }
    if (made == 0)
        (void)cl_sys_unlinkat(place->dir, SELF, AT_REMOVEDIR);
    return r;
}

/* Makes the sandbox's directory in the place's. */
static int try_mkdir(const struct place *place, const char *name)
{
    int r;

    /* Birth in a cgroup needs write permission for the cgroup.procs of the lowest
     * cgroup above both the child's and its maker's. */
    r = cl_sys_faccessat(place->dir, "cgroup.procs", W_OK);
    if (r == 0)
        r = cl_sys_mkdirat(place->dir, name, 0755);
    return r;
}

/* One cgroup on the way up, from the own one on: 1 when it is the place, 0 to go on. */
static int try_ancestor(const struct place *place, const char *name, struct cl_error *err)
{
    int given = cl_v2_controllers(place->dir, "cgroup.subtree_control");
    int r = 0;

    if (given < 0)
        return cl_fail(err, given, "read %.200s/cgroup.subtree_control", place->path);
    if ((place->need & ~(unsigned int)given) != 0) {
        if (!is_root(place))
            return 0;
        r = enable(place);
    }
    if (r == 0)
        r = try_mkdir(place, name);
    if (r == 0)
        return 1;
    if (r == -EACCES || r == -EPERM || r == -EROFS || r == -ENOTSUP || r == -EBUSY)
        return 0; /* told when nothing else is found */
    return cl_fail(err, r, "make the cgroup %.200s/%s", place->path, name);
}

static int open_place(struct place *place, struct cl_error *err)
{
    int r;

    cl_fd_close(&place->dir);
    r = cl_cgroup_open(place->path, CGROUP2_SUPER_MAGIC, err);
    if (r < 0)
        return r;
    place->dir = r;
    return 0;
}

/* Nothing was found; place is at the root again. */
static int fail_place(const struct place *place, const char *own, struct cl_error *err)
{
    int available = cl_v2_controllers(place->dir, "cgroup.controllers");
    unsigned int missing = place->need & ~(available < 0 ? 0U : (unsigned int)available);
    char names[64];

    if (missing != 0) {
        write_names(names, missing, "");
        return cl_refuse(err, ENOTSUP,
                         "cgroup v2 at %s lacks the controllers %s: they are on cgroup v1, or off "
                         "on the kernel's command line; change that, %s",
                         CL_CGROUP_MOUNT, names, CL_CGROUP_WITHOUT);
    }
    write_names(names, place->need, "");
    if (geteuid() != 0)
        return cl_refuse(err, EACCES,
                         "this user has no cgroup with the controllers %s to put the sandbox in "
                         "(own: %.80s); ask this user's systemd for one with --cgroup-manager "
                         "systemd, %s",
                         names, own, CL_CGROUP_WITHOUT_ANY);
    if (is_systemds(place->path)) {
        int given = cl_v2_controllers(place->dir, "cgroup.subtree_control");

        missing = place->need & ~(given < 0 ? 0U : (unsigned int)given);
        write_names(names, missing, "");
        if (missing != 0)
            return cl_refuse(err, EACCES,
                             "systemd gives no cgroup above this process's own (%.120s) the "
                             "controllers %s, and takes away again what others enable; ask it for "
                             "one with --cgroup-manager systemd, %s",
                             own, names, CL_CGROUP_WITHOUT);
    }
    if (cl_sys_faccessat(place->dir, "cgroup.procs", W_OK) == -EROFS)
        return cl_refuse(err, EACCES,
                         "%s is mounted read-only, as ProtectControlGroups= of a systemd service "
                         "does; mount it writable, %s",
                         CL_CGROUP_MOUNT, CL_CGROUP_WITHOUT);
    write_names(names, place->need, "");
    return cl_refuse(err, EACCES,
                     "no cgroup above this process's own (%.120s) can be given the controllers %s; "
                     "start cloister alone in a delegated one (`systemd-run --scope -p "
                     "Delegate=yes cloister run ...`), mount %s writable, %s",
                     own, names, CL_CGROUP_MOUNT, CL_CGROUP_WITHOUT);
}

/* Rules 1 and 2. What fails here is met again on the way up, and told there. */
static void take_own(const struct place *place, const char *name, int is_in_self)
{
    /* Rule 2 of an earlier time, or the root; a namespace's root is named like the root
     * but is busy. */
    if ((is_in_self || is_root(place)) && enable(place) != -EBUSY)
        return;
    (void)move_to_leaf(place, name);
}

/* Whether PATH is a cloister-self, which is then cut off. */
static int cut_self(char *path)
{
    size_t size = strlen(path);
    size_t cut = sizeof("/" SELF) - 1;

    if (size < cut || strcmp(path + size - cut, "/" SELF) != 0)
        return 0;
    path[size - cut] = '\0';
    return 1;
}

/* Finds the place by the rules above and makes the directory NAME in it. The place's
 * descriptor is place->dir. */
static int find_place(struct place *place, const char *name, const char *own, struct cl_error *err)
{
    int is_in_self = cut_self(place->path);
    int r = open_place(place, err);

    if (r < 0)
        return r;
    take_own(place, name, is_in_self);
    for (;;) {
        r = try_ancestor(place, name, err);
        if (r != 0)
            return r < 0 ? r : 0;
        if (is_root(place))
            return fail_place(place, own, err);
        *strrchr(place->path, '/') = '\0';
        r = open_place(place, err);
        if (r < 0)
            return r;
    }
}

/* Writes a limit to FILE, CONTROLLER's, and keeps it open: a controller that is taken away
 * takes it along, and one that comes back brings another, without the limit. */
static int set_limit(struct cl_limits *limits, enum cl_controller controller, const char *file,
                     const char *text, struct cl_error *err)
{
    int r = cl_cgroup_open_file(limits->cgroups[0].parent, limits->name, file, O_RDWR);

    if (r >= 0) {
        limits->set[controller] = r;
        r = cl_write_all(r, text, strlen(text));
    }
    return r < 0 ? cl_fail(err, r, "set %s of the sandbox's cgroup", file) : 0;
}

static int set_swap(const struct cl_limits *limits, uint64_t bytes, struct cl_error *err)
{
    int r = cl_cgroup_set_u64(&limits->cgroups[0], limits->name, "memory.swap.max", bytes);

    if (r == -ENOENT)
        return cl_cgroup_no_swap_file(err);
    return r < 0 ? cl_fail(err, r, "set memory.swap.max of the sandbox's cgroup") : 0;
}

/* memory.oom.group stays 0: a program may survive the OOM kill of its child. */
int cl_v2_set(struct cl_limits *limits, const struct cl_plan *plan, struct cl_error *err)
{
    char text[48]; /* 20 digits and 7 fit */
    int r = 0;

    if (cl_plan_has(plan, CL_FIELD_MEMORY)) {
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)plan->limits.memory_bytes);
        r = set_limit(limits, CL_CONTROLLER_MEMORY, "memory.max", text, err);
    }
    if (r == 0 && cl_plan_has(plan, CL_FIELD_SWAP))
        r = set_swap(limits, plan->limits.swap_bytes, err);
    if (r == 0 && cl_plan_has(plan, CL_FIELD_TASKS)) {
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)cl_cgroup_tasks(plan));
        r = set_limit(limits, CL_CONTROLLER_PIDS, "pids.max", text, err);
    }
    if (r == 0 && cl_plan_has(plan, CL_FIELD_CPUS)) {
        (void)snprintf(text, sizeof(text), "%llu 100000",
                       (unsigned long long)plan->limits.millicpus * 100);
        r = set_limit(limits, CL_CONTROLLER_CPU, "cpu.max", text, err);
    }
    return r;
}

int cl_limits_check(const struct cl_limits *limits, struct cl_error *err)
{
    unsigned int lost = 0;
    char names[64];
    char byte;

    for (enum cl_controller i = 0; i < CL_CONTROLLER_COUNT; i++) {
        ssize_t r = limits->set[i] < 0 ? 0 : cl_sys_pread(limits->set[i], &byte, 1, 0);

        if (r < 0 && r != -ENODEV)
            return cl_fail(err, (int)r, "see whether the limit on %s held", cl_controller_name(i));
        lost |= r < 0 ? CL_CONTROLLER_BIT(i) : 0;
    }
    if (lost == 0)
        return 0;
    write_names(names, lost, "");
    return cl_refuse(err, ENODEV,
                     "the sandbox lost its limits on the way: the controllers %s were taken away "
                     "from its cgroup (systemd does that with what it hasn't delegated); ask it "
                     "for one with --cgroup-manager systemd",
                     names);
}

int cl_v2_create(struct cl_limits *ret, const struct cl_plan *plan,
                 const struct cl_own_cgroups *own, struct cl_error *err)
{
    CL_CLEANUP(place_done) struct place place = {.dir = -1, .need = NEED_MEMORY_PIDS};
    struct cl_cgroup *cgroup = &ret->cgroups[0];
    int r;

    if (cl_plan_has(plan, CL_FIELD_CPUS))
        place.need |= CL_CONTROLLER_BIT(CL_CONTROLLER_CPU);
    r = cl_v2_path(place.path, own, err);
    if (r < 0)
        return r;
    r = find_place(&place, ret->name, own->v2, err);
    if (r < 0)
        return r;
    *cgroup = (struct cl_cgroup){
        .parent = CL_TAKE_FD(place.dir),
        .tasks = -1,
        .controllers = place.need,
        .made = 1,
    };
    ret->count = 1;
    r = cl_sys_openat(cgroup->parent, ret->name, O_PATH | O_DIRECTORY, 0);
    if (r < 0)
        return cl_fail(err, r, "open the sandbox's cgroup");
    ret->dir = r;
    r = cl_cgroup_open_file(cgroup->parent, ret->name, "cpu.stat", O_RDONLY);
    if (r < 0)
        return cl_fail(err, r, "open cpu.stat of the sandbox's cgroup");
    ret->cpu_usage = r;
    return cl_v2_set(ret, plan, err);
}
