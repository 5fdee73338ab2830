#include "limits/gauges.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/cgroup.h"
#include "limits/lines.h"

enum { NS_PER_US = 1000 };

/* --- opening ---------------------------------------------------------------- */

/* What is this process's own fault; all else means that there is no such gauge. */
static int is_own_failure(int r)
{
    return r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

/* FILE of the cgroup NAME in the directory PLACE: -1 where it isn't there. */
static int open_gauge(const struct cl_gauge_place *place, const char *name, const char *file,
                      int *ret)
{
    int fd = cl_cgroup_open_file(place->dir, name, file, O_RDONLY);

    if (is_own_failure(fd))
        return fd;
    *ret = fd < 0 ? -1 : fd;
    return 0;
}

/* Opens the directory that the cgroup at PATH is in, when that is the sandbox NAME's. */
static int enter_place(struct cl_gauge_place *place, char *path, const char *name,
                       unsigned long magic)
{
    char *last = strrchr(path, '/');
    struct cl_error unused = {0};

    if (last == NULL || strcmp(last + 1, name) != 0)
        return -ENOENT;
    *last = '\0';
    if (place->dir >= 0 && strcmp(place->path, path) == 0)
        return 0;
    if (strlen(path) >= sizeof(place->path))
        return -ENAMETOOLONG;
    int dir = cl_cgroup_open(path, magic, &unused);
    if (dir < 0)
        return dir;
    cl_fd_close(&place->dir);
    place->dir = dir;
    memcpy(place->path, path, strlen(path) + 1);
    return 0;
}

struct opening {
    struct cl_gauge_places *places;
    struct cl_own_cgroups own; /* of the sandbox's first process */
    char name[CL_CGROUP_NAME_SIZE];
    char path[CL_CGROUP_PATH_SIZE];
};

static int open_v2(struct opening *opening, struct cl_gauges *gauges)
{
    struct cl_gauge_place *place = &opening->places->of[0];
    const struct {
        const char *file;
        int *fd;
    } rows[] = {
        {"cpu.stat", &gauges->cpu},
        {"memory.current", &gauges->memory},
        {"pids.current", &gauges->tasks},
        {"io.stat", &gauges->io},
    };
    struct cl_error unused = {0};
    int r = cl_v2_path(opening->path, &opening->own, &unused);

    if (r == 0)
        r = enter_place(place, opening->path, opening->name, CGROUP2_SUPER_MAGIC);
    if (r < 0)
        return is_own_failure(r) ? r : 0;
    gauges->is_v2 = 1;
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(rows); i++)
        r = open_gauge(place, opening->name, rows[i].file, rows[i].fd);
    return r;
}

/* v1's blkio is joined by no sandbox (v1.c). */
static int open_v1(struct opening *opening, struct cl_gauges *gauges)
{
    const struct {
        enum cl_controller controller;
        const char *file;
        int *fd;
    } rows[] = {
        {CL_CONTROLLER_CPUACCT, "cpuacct.usage", &gauges->cpu},
        {CL_CONTROLLER_MEMORY, "memory.usage_in_bytes", &gauges->memory},
        {CL_CONTROLLER_PIDS, "pids.current", &gauges->tasks},
    };
    struct cl_error unused = {0};

    _Static_assert(CL_ARRAY_SIZE(rows) == CL_ARRAY_SIZE(opening->places->of), "a place for each");
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_gauge_place *place = &opening->places->of[i];
        int r = cl_v1_path(opening->path, rows[i].controller, &opening->own, &unused);

        if (r == 0)
            r = enter_place(place, opening->path, opening->name, CGROUP_SUPER_MAGIC);
        if (r == 0)
            r = open_gauge(place, opening->name, rows[i].file, rows[i].fd);
        if (is_own_failure(r))
            return r;
    }
    return 0;
}

/* Reads where INIT is: 0, or -errno. */
static int look_up(struct opening *opening, int32_t init)
{
    struct cl_error unused = {0};
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)init); /* 10 digits fit */
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    if (opening->places->layout < 0)
        opening->places->layout = cl_cgroup_layout(0, &unused);
    return opening->places->layout < 0 ? -ENOTSUP
                                       : cl_own_cgroups_parse(fd, &opening->own, &unused);
}

int cl_gauges_open(struct cl_gauge_places *places, const char *id, int32_t init,
                   struct cl_gauges *ret)
{
    CL_CLEANUP_GAUGES struct cl_gauges gauges = CL_GAUGES_INIT;
    struct opening opening = {.places = places};
    struct cl_error unused = {0};

    *ret = gauges;
    int r = init <= 0 ? -ESRCH : cl_cgroup_name(opening.name, id, &unused);
    if (r == 0)
        r = look_up(&opening, init);
    if (r < 0)
        return is_own_failure(r) ? r : 0;
    r = places->layout == CL_CGROUP_V2 ? open_v2(&opening, &gauges) : open_v1(&opening, &gauges);
    if (r < 0)
        return r;
    *ret = gauges;
    gauges = CL_GAUGES_INIT;
    return 0;
}

void cl_gauge_places_done(struct cl_gauge_places *places)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(places->of); i++)
        cl_fd_close(&places->of[i].dir);
}

void cl_gauges_close(struct cl_gauges *gauges)
{
    cl_fd_close(&gauges->cpu);
    cl_fd_close(&gauges->memory);
    cl_fd_close(&gauges->tasks);
    cl_fd_close(&gauges->io);
}

/* --- reading ----------------------------------------------------------------- */

static void set(struct cl_readings *readings, enum cl_gauge gauge, uint64_t value)
{
    readings->values[gauge] = value;
    readings->known |= 1U << gauge;
}

/* 0 when there is a value, else -errno. */
static int read_number(int fd, uint64_t *ret)
{
    return fd < 0 ? -ENODATA : cl_lines_number(fd, ret);
}

/* Files that are read line by line are read from where they stand. */
static int rewind_file(int fd)
{
    return fd < 0 ? -ENODATA : cl_lines_rewind(fd);
}

static int read_cpu(const struct cl_gauges *gauges, uint64_t *ret)
{
    struct cl_keyed usage = {.key = "usage_usec"};

    if (!gauges->is_v2)
        return read_number(gauges->cpu, ret);
    int r = rewind_file(gauges->cpu);
    if (r == 0)
        r = cl_lines_find(gauges->cpu, &usage, 1);
    if (r < 0)
        return r;
    return usage.found && !__builtin_mul_overflow(usage.value, NS_PER_US, ret) ? 0 : -ENODATA;
}

/* No line: no device was used. */
static int read_io(int fd, const char *key, uint64_t *ret)
{
    int r = rewind_file(fd);

    *ret = 0;
    if (r < 0)
        return r;
    r = cl_lines_sum(fd, key, ret);
    return r == -ENODATA ? 0 : r;
}

int cl_gauges_read(const struct cl_gauges *gauges, struct cl_readings *ret)
{
    uint64_t values[CL_GAUGE_COUNT] = {0};
    const int results[CL_GAUGE_COUNT] = {
        [CL_GAUGE_CPU] = read_cpu(gauges, &values[CL_GAUGE_CPU]),
        [CL_GAUGE_MEMORY] = read_number(gauges->memory, &values[CL_GAUGE_MEMORY]),
        [CL_GAUGE_TASKS] = read_number(gauges->tasks, &values[CL_GAUGE_TASKS]),
        [CL_GAUGE_READ] = read_io(gauges->io, "rbytes", &values[CL_GAUGE_READ]),
        [CL_GAUGE_WRITTEN] = read_io(gauges->io, "wbytes", &values[CL_GAUGE_WRITTEN]),
    };

    *ret = (struct cl_readings){0};
    values[CL_GAUGE_TASKS] -= cl_min_u64(values[CL_GAUGE_TASKS], CL_LIMITS_OWN_TASKS);
    for (enum cl_gauge i = 0; i < CL_GAUGE_COUNT; i++) {
        if (results[i] == -ENODEV) /* kernfs: the file was removed with its cgroup */
            return -ESRCH;
        if (results[i] == 0)
            set(ret, i, values[i]);
    }
    return 0;
}
