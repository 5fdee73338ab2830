/* A container's cgroup as systemd's: a transient scope, delegated, with the bundle's limits as its
 * properties (systemd.resource-control(5)) and what annotations org.systemd.property.NAME say.
 *
 * A scope begins with a process and ends with the last one. The container's first process is born
 * in its cgroup, which therefore has to be there before: until then a holder is in it, a child of
 * ours that does nothing and doesn't outlive us. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "limits/group_text.h"
#include "limits/lines.h"
#include "limits/scope.h"

enum {
    INPUT_MAX = 1 << 20,
    PERIOD_US = 100000,    /* the kernel's own */
    QUOTA_STEP_US = 10000, /* systemd's CPUQuota= has whole percents */
    MASK_BYTES = 1024,
};

/* --- the holder ------------------------------------------------------------------ */

CL_NORETURN static void hold(pid_t parent)
{
    (void)cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* can't fail */
    while (getppid() == parent)
        (void)cl_sys_poll(NULL, 0, -1); /* a signal ends us, or nothing does */
    (void)cl_sys_exit_group(0);
    __builtin_trap();
}

static int start_holder(struct cl_group *group, struct cl_error *err)
{
    const struct cl_clone_args args = {.exit_signal = SIGCHLD};
    const pid_t parent = getpid();
    const pid_t pid = cl_sys_clone3(&args);

    if (pid == 0)
        hold(parent);
    if (pid < 0)
        return cl_fail(err, pid, "start a process for the scope %s", group->place.unit);
    group->holder = pid;
    return 0;
}

void cl_group_let_go(struct cl_group *group)
{
    int status;

    if (group->holder <= 0)
        return;
    (void)cl_sys_kill(group->holder, SIGKILL); /* or it has ended */
    (void)cl_sys_wait_for(group->holder, &status);
    group->holder = 0;
}

/* --- properties -------------------------------------------------------------------- */

static int put_text(struct cl_buf *buf, const char *text)
{
    return cl_buf_add(buf, text, strlen(text) + 1);
}

static int put(struct cl_buf *buf, const char *name, const char *value)
{
    const int r = put_text(buf, name);

    return r < 0 ? r : put_text(buf, value);
}

static int put_u64(struct cl_buf *buf, const char *name, uint64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "uint64 %" PRIu64, value);
    return put(buf, name, text);
}

/* As the kernel's files have it: a number, or "max" or "-1" for none. */
static int put_number(struct cl_buf *buf, const char *name, const char *text)
{
    uint64_t value;

    if (strcmp(text, "max") == 0 || strcmp(text, "-1") == 0)
        return put_u64(buf, name, UINT64_MAX);
    return cl_parse_u64(text, &value) < 0 ? 0 : put_u64(buf, name, value);
}

/* "0-3,7": sets their bits. 0, or -EINVAL. */
static int read_range(const char *text, size_t size, uint8_t mask[MASK_BYTES], size_t *used)
{
    char first[12];
    char last[12];
    const char *dash = memchr(text, '-', size);
    const size_t head = dash == NULL ? size : (size_t)(dash - text);
    const char *tail = dash == NULL ? text : dash + 1;
    const size_t tail_size = dash == NULL ? size : size - head - 1;
    uint64_t from;
    uint64_t to;

    if (head >= sizeof(first) || tail_size >= sizeof(last))
        return -EINVAL;
    (void)snprintf(first, sizeof(first), "%.*s", (int)head, text);
    (void)snprintf(last, sizeof(last), "%.*s", (int)tail_size, tail);
    if (cl_parse_u64(first, &from) < 0 || cl_parse_u64(last, &to) < 0 || to >= 8UL * MASK_BYTES)
        return -EINVAL;
    for (uint64_t i = from; i <= to; i++)
        mask[i / 8] |= (uint8_t)(1U << i % 8);
    *used = (size_t)cl_max_u64(*used, to / 8 + 1);
    return 0;
}

/* systemd takes a list of processors as bytes. What is no list the kernel refuses later. */
static int put_list(struct cl_buf *buf, const char *name, const char *text)
{
    uint8_t mask[MASK_BYTES] = {0};
    size_t used = 0;

    for (const char *at = text; *at != '\0';) {
        const size_t size = strcspn(at, ",\n");

        if (read_range(at, size, mask, &used) < 0)
            return 0;
        at += size + (at[size] != '\0');
    }
    int r = put_text(buf, name);
    for (size_t i = 0; r == 0 && i < used; i++)
        r = cl_buf_printf(buf, "%s%u", i == 0 ? "[byte " : ", ", (unsigned int)mask[i]);
    return r < 0 ? r : put_text(buf, used == 0 ? "@ay []" : "]");
}

/* systemd's CPUQuota=: of each second. */
static int put_quota(struct cl_buf *buf, const struct cl_spec_resources *resources)
{
    const struct cl_spec_resource *quota = cl_group_item(resources, CL_RESOURCE_CPU_QUOTA);
    const struct cl_spec_resource *period = cl_group_item(resources, CL_RESOURCE_CPU_PERIOD);
    const int has_period = period != NULL && period->value > 0;
    const uint64_t period_us = has_period ? (uint64_t)period->value : PERIOD_US;
    int r = has_period ? put_u64(buf, "CPUQuotaPeriodUSec", period_us) : 0;

    if (r < 0 || quota == NULL || quota->value == 0)
        return r;
    if (quota->value < 0)
        return put_u64(buf, "CPUQuotaPerSecUSec", UINT64_MAX);
    const unsigned __int128 exact = (unsigned __int128)quota->value * 1000000 / period_us;
    if (exact > UINT64_MAX / 2)
        return put_u64(buf, "CPUQuotaPerSecUSec", UINT64_MAX);
    const uint64_t steps = ((uint64_t)exact + QUOTA_STEP_US - 1) / QUOTA_STEP_US;
    return put_u64(buf, "CPUQuotaPerSecUSec", steps * QUOTA_STEP_US);
}

/* What of v2's files a bundle may name itself (unified). */
static int put_unified(struct cl_buf *buf, const struct cl_spec_resource *item)
{
    static const struct {
        const char *file;
        const char *name;
    } rows[] = {
        {"memory.high", "MemoryHigh"},        {"memory.low", "MemoryLow"},
        {"memory.min", "MemoryMin"},          {"memory.max", "MemoryMax"},
        {"memory.swap.max", "MemorySwapMax"}, {"pids.max", "TasksMax"},
        {"cpu.weight", "CPUWeight"},          {"io.weight", "IOWeight"},
    };

    if (strcmp(item->name, "cpuset.cpus") == 0)
        return put_list(buf, "AllowedCPUs", item->text);
    if (strcmp(item->name, "cpuset.mems") == 0)
        return put_list(buf, "AllowedMemoryNodes", item->text);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (strcmp(item->name, rows[i].file) == 0)
            return put_number(buf, rows[i].name, item->text);
    }
    return 0;
}

/* The property of a resource whose value is the file's: NULL, there is none. */
static const char *name_of(enum cl_resource what, int is_v2)
{
    static const struct {
        enum cl_resource what;
        const char *v1;
        const char *v2;
    } rows[] = {
        {CL_RESOURCE_MEMORY_LIMIT, "MemoryLimit", "MemoryMax"},
        {CL_RESOURCE_MEMORY_RESERVATION, NULL, "MemoryLow"},
        {CL_RESOURCE_MEMORY_SWAP, NULL, "MemorySwapMax"},
        {CL_RESOURCE_CPU_SHARES, "CPUShares", "CPUWeight"},
        {CL_RESOURCE_PIDS_LIMIT, "TasksMax", "TasksMax"},
        {CL_RESOURCE_IO_WEIGHT, "BlockIOWeight", NULL},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (rows[i].what == what)
            return is_v2 ? rows[i].v2 : rows[i].v1;
    }
    return NULL;
}

static int put_resource(struct cl_buf *buf, const struct cl_group *group,
                        const struct cl_spec_resources *resources,
                        const struct cl_spec_resource *item, struct cl_error *err)
{
    const enum cl_resource what = (enum cl_resource)item->what;
    const int is_v2 = group->place.layout == CL_CGROUP_V2;
    const char *name = name_of(what, is_v2);
    struct cl_group_setting setting;
    int r = 0;

    if (cl_group_is_unset(item))
        return 0;
    if (name != NULL) {
        r = cl_group_setting(group, resources, item, &setting, err);
        if (r <= 0)
            return r;
        r = put_number(buf, name, setting.text);
    } else if (is_v2 && what == CL_RESOURCE_CPUSET_CPUS) {
        r = put_list(buf, "AllowedCPUs", item->text);
    } else if (is_v2 && what == CL_RESOURCE_CPUSET_MEMS) {
        r = put_list(buf, "AllowedMemoryNodes", item->text);
    } else if (is_v2 && what == CL_RESOURCE_IO_WEIGHT) {
        r = put_u64(buf, "IOWeight", (uint64_t)cl_group_weight_of_io(item->value));
    } else if (is_v2 && what == CL_RESOURCE_UNIFIED) {
        r = put_unified(buf, item);
    }
    return r < 0 ? cl_fail(err, r, "write the properties of %s", group->place.unit) : 0;
}

static int put_resources(struct cl_buf *buf, const struct cl_group *group,
                         const struct cl_spec_resources *resources, struct cl_error *err)
{
    int r = put_quota(buf, resources);

    if (r < 0)
        return cl_fail(err, r, "write the properties of %s", group->place.unit);
    for (size_t i = 0; r == 0 && i < resources->count; i++)
        r = put_resource(buf, group, resources, &resources->items[i], err);
    return r;
}

/* Last, so that they count. */
static int put_annotations(struct cl_buf *buf, const struct cl_strlist *annotations)
{
    static const char prefix[] = "org.systemd.property.";
    int r = 0;

    for (size_t i = 0; r == 0 && i + 1 < annotations->count; i += 2) {
        const char *key = annotations->items[i];

        if (strncmp(key, prefix, strlen(prefix)) == 0)
            r = put(buf, key + strlen(prefix), annotations->items[i + 1]);
    }
    return r;
}

static int put_accounting(struct cl_buf *buf, int is_v2)
{
    const char *const names[] = {"MemoryAccounting", "CPUAccounting", "TasksAccounting",
                                 is_v2 ? "IOAccounting" : "BlockIOAccounting"};
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(names); i++)
        r = put(buf, names[i], "true");
    return r;
}

int cl_group_unit_input(const struct cl_group *group, const struct cl_spec *spec,
                        struct cl_buf *ret, struct cl_error *err)
{
    const struct cl_group_place *place = &group->place;
    int r = put_text(ret, place->unit);

    if (r == 0)
        r = put_text(ret, place->slice);
    if (r == 0)
        r = put_accounting(ret, place->layout == CL_CGROUP_V2);
    if (r == 0) {
        r = put_resources(ret, group, &spec->resources, err);
        if (r < 0)
            return r;
    }
    if (r == 0)
        r = put_annotations(ret, &spec->annotations);
    return r < 0 ? cl_fail(err, r, "write the properties of %s", place->unit) : 0;
}

/* --- where it is --------------------------------------------------------------------- */

/* Whether LINE is that of the hierarchy that systemd keeps its units in. */
static int is_systemds(enum cl_cgroup_layout layout, const struct cl_own_line *line)
{
    static const char name[] = "name=systemd";

    if (layout == CL_CGROUP_V2)
        return line->hierarchy == 0;
    return line->list_size == strlen(name) && memcmp(line->list, name, line->list_size) == 0;
}

/* Takes the path of the scope when it is that: the process could have been moved meanwhile. */
static int take_path(struct cl_group_place *place, const char *path, struct cl_error *err)
{
    const char *last = strrchr(path, '/');

    if (last == NULL || strcmp(last + 1, place->unit) != 0 || strlen(path) >= sizeof(place->path))
        return cl_refuse(err, EXDEV, "systemd put the container's scope %s to %.300s", place->unit,
                         path);
    memcpy(place->path, path, strlen(path) + 1);
    return 0;
}

__attribute__((noinline)) /* its lines must not lie in its caller's frame */
static int
find_path(struct cl_group *group, struct cl_error *err)
{
    struct cl_lines lines;
    const char *text;
    char file[32];
    int r;

    (void)snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)group->holder);
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, file, O_RDONLY, 0);
    if (fd < 0)
        return cl_fail(err, fd, "open %s", file);
    cl_lines_init(&lines, fd);
    while ((r = cl_lines_next(&lines, &text)) > 0) {
        struct cl_own_line line;

        r = cl_own_line_parse(text, &line, err);
        if (r < 0)
            return r;
        if (is_systemds(group->place.layout, &line))
            return take_path(&group->place, line.path, err);
    }
    if (r < 0)
        return cl_fail(err, r, "read %s", file);
    return cl_refuse(err, ENOTSUP, "no hierarchy of systemd's is mounted here");
}

int cl_group_start_unit(struct cl_group *group, const struct cl_spec *spec, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf input = CL_BUF_INIT(INPUT_MAX);
    const size_t size = strlen(group->place.unit);
    static const char end[] = ".scope";

    if (size < strlen(end) || strcmp(group->place.unit + size - strlen(end), end) != 0)
        return cl_refuse(
            err, ENOTSUP,
            "linux.cgroupsPath: %s is no scope, and a container can be in nothing else",
            group->place.unit);
    int r = cl_group_unit_input(group, spec, &input, err);
    if (r == 0)
        r = start_holder(group, err);
    if (r == 0)
        r = cl_unit_start(group->holder, &input, err);
    if (r == 0)
        r = find_path(group, err);
    if (r < 0)
        cl_group_let_go(group);
    return r;
}

int cl_group_set_unit(const struct cl_group *group, const struct cl_spec_resources *resources,
                      struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf input = CL_BUF_INIT(INPUT_MAX);
    int r = put_text(&input, group->place.unit);

    if (r < 0)
        return cl_fail_memory(err);
    const size_t empty = input.size;
    r = put_resources(&input, group, resources, err);
    if (r < 0 || input.size == empty)
        return r; /* nothing of systemd's */
    return cl_unit_set(&input, err);
}
