#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/cgroup.h"
#include "limits/lines.h"

/* Reading what a sandbox used. A file that this kernel lacks, or whose text is not what
 * the kernel's documents say (cgroup-v1/memory.rst, cgroup-v1/cpuacct.rst,
 * cgroup-v2.rst), leaves its value unknown; nothing here fails. */

enum { NS_PER_US = 1000 };

/* How a file says it. */
enum form {
    FORM_NUMBER, /* the file is the number */
    FORM_KEY,    /* a line "key number" */
    FORM_SUM,    /* key=number, summed over all lines (devices) */
};

struct source {
    enum cl_usage_field field;
    enum cl_controller controller; /* whose cgroup has the file */
    enum form form;
    unsigned int factor;
    const char *file;
    const char *key;
};

static const struct source v1_sources[] = {
    {CL_USAGE_CPU_USER, CL_CONTROLLER_CPUACCT, FORM_NUMBER, 1, "cpuacct.usage_user", NULL},
    {CL_USAGE_CPU_SYSTEM, CL_CONTROLLER_CPUACCT, FORM_NUMBER, 1, "cpuacct.usage_sys", NULL},
    {CL_USAGE_MEMORY_PEAK, CL_CONTROLLER_MEMORY, FORM_NUMBER, 1, "memory.max_usage_in_bytes", NULL},
    {CL_USAGE_OOM_KILLS, CL_CONTROLLER_MEMORY, FORM_KEY, 1, "memory.oom_control", "oom_kill"},
    {CL_USAGE_TASKS_PEAK, CL_CONTROLLER_PIDS, FORM_NUMBER, 1, "pids.peak", NULL},
    {CL_USAGE_TASKS_HIT, CL_CONTROLLER_PIDS, FORM_KEY, 1, "pids.events", "max"},
    {CL_USAGE_CPUS_HIT, CL_CONTROLLER_CPU, FORM_KEY, 1, "cpu.stat", "nr_throttled"},
};

static const struct source v2_sources[] = {
    {CL_USAGE_CPU_USER, CL_CONTROLLER_MEMORY, FORM_KEY, NS_PER_US, "cpu.stat", "user_usec"},
    {CL_USAGE_CPU_SYSTEM, CL_CONTROLLER_MEMORY, FORM_KEY, NS_PER_US, "cpu.stat", "system_usec"},
    {CL_USAGE_MEMORY_PEAK, CL_CONTROLLER_MEMORY, FORM_NUMBER, 1, "memory.peak", NULL},
    {CL_USAGE_OOM_KILLS, CL_CONTROLLER_MEMORY, FORM_KEY, 1, "memory.events", "oom_kill"},
    {CL_USAGE_TASKS_PEAK, CL_CONTROLLER_PIDS, FORM_NUMBER, 1, "pids.peak", NULL},
    {CL_USAGE_TASKS_HIT, CL_CONTROLLER_PIDS, FORM_KEY, 1, "pids.events", "max"},
    {CL_USAGE_CPUS_HIT, CL_CONTROLLER_CPU, FORM_KEY, 1, "cpu.stat", "nr_throttled"},
    {CL_USAGE_IO_READ, CL_CONTROLLER_MEMORY, FORM_SUM, 1, "io.stat", "rbytes"},
    {CL_USAGE_IO_WRITE, CL_CONTROLLER_MEMORY, FORM_SUM, 1, "io.stat", "wbytes"},
};

static uint64_t *member(struct cl_usage *usage, enum cl_usage_field field)
{
    uint64_t *const members[CL_USAGE_COUNT] = {
        [CL_USAGE_CPU_USER] = &usage->cpu_user_ns,
        [CL_USAGE_CPU_SYSTEM] = &usage->cpu_system_ns,
        [CL_USAGE_MEMORY_PEAK] = &usage->memory_peak_bytes,
        [CL_USAGE_TASKS_PEAK] = &usage->tasks_peak,
        [CL_USAGE_IO_READ] = &usage->io_read_bytes,
        [CL_USAGE_IO_WRITE] = &usage->io_write_bytes,
        [CL_USAGE_OOM_KILLS] = &usage->oom_kills,
        [CL_USAGE_TASKS_HIT] = &usage->tasks_hit,
        [CL_USAGE_CPUS_HIT] = &usage->cpus_hit,
    };

    return members[field];
}

static int read_form(int fd, const struct source *source, uint64_t *ret)
{
    struct cl_keyed key = {.key = source->key};
    int r;

    switch (source->form) {
    case FORM_NUMBER:
        return cl_lines_number(fd, ret);
    case FORM_KEY:
        r = cl_lines_find(fd, &key, 1);
        *ret = key.value;
        return r == 0 ? -ENODATA : r;
    case FORM_SUM:
        *ret = 0;
        r = cl_lines_sum(fd, source->key, ret);
        return r == -ENODATA ? 0 : r; /* no line: no device was used */
    }
    return -ENODATA;
}

static const struct cl_cgroup *find_cgroup(const struct cl_limits *limits,
                                           enum cl_controller controller)
{
    for (size_t i = 0; i < limits->count; i++) {
        if (limits->cgroups[i].controllers & CL_CONTROLLER_BIT(controller))
            return &limits->cgroups[i];
    }
    return NULL;
}

static void read_source(const struct cl_limits *limits, const struct source *source,
                        struct cl_usage *usage)
{
    const struct cl_cgroup *cgroup = find_cgroup(limits, source->controller);
    CL_CLEANUP_FD int fd = -1;
    uint64_t value;

    if (cgroup == NULL)
        return;
    fd = cl_cgroup_open_file(cgroup->parent, limits->name, source->file, O_RDONLY);
    if (fd < 0 || read_form(fd, source, &value) < 0 ||
        __builtin_mul_overflow(value, source->factor, &value))
        return;
    if (source->field == CL_USAGE_TASKS_PEAK)
        value -= cl_min_u64(value, CL_LIMITS_OWN_TASKS);
    *member(usage, source->field) = value;
    usage->known |= CL_USAGE_BIT(source->field);
}

/* v1's two kinds of processor time are counted in ticks (4 ms as a rule), their sum in
 * nanoseconds: the ticks say how it is divided, as they do in the kernel (cputime_adjust). */
static void refine_v1_cpu(const struct cl_limits *limits, struct cl_usage *usage)
{
    const struct cl_cgroup *cgroup = find_cgroup(limits, CL_CONTROLLER_CPUACCT);
    const unsigned int both = CL_USAGE_BIT(CL_USAGE_CPU_USER) | CL_USAGE_BIT(CL_USAGE_CPU_SYSTEM);
    CL_CLEANUP_FD int fd = -1;
    uint64_t total;

    if (cgroup == NULL || (usage->known & both) != both)
        return;
    fd = cl_cgroup_open_file(cgroup->parent, limits->name, "cpuacct.usage", O_RDONLY);
    if (fd < 0 || cl_lines_number(fd, &total) < 0)
        return; /* the ticks are better than nothing */
    const unsigned __int128 user = usage->cpu_user_ns;
    const unsigned __int128 ticks = user + usage->cpu_system_ns;
    usage->cpu_user_ns = ticks == 0 ? total : (uint64_t)(user * total / ticks);
    usage->cpu_system_ns = total - usage->cpu_user_ns;
}

void cl_limits_usage(const struct cl_limits *limits, struct cl_usage *ret)
{
    int v2 = limits->layout == CL_CGROUP_V2;
    const struct source *sources = v2 ? v2_sources : v1_sources;
    size_t count = v2 ? CL_ARRAY_SIZE(v2_sources) : CL_ARRAY_SIZE(v1_sources);

    *ret = (struct cl_usage){0};
    for (size_t i = 0; i < count; i++) {
        if ((limits->wanted & CL_USAGE_BIT(sources[i].field)) != 0)
            read_source(limits, &sources[i], ret);
    }
    if (!v2)
        refine_v1_cpu(limits, ret);
}

int cl_limits_cpu_ns(const struct cl_limits *limits, uint64_t *ret)
{
    static const char key[] = "usage_usec "; /* cpu.stat's first line */
    char text[64];
    ssize_t got;
    uint64_t usec = 0;
    size_t i = sizeof(key) - 1;

    if (limits->cpu_usage < 0)
        return -ENODATA;
    if (limits->layout != CL_CGROUP_V2)
        return cl_lines_number(limits->cpu_usage, ret);
    do
        got = cl_sys_pread(limits->cpu_usage, text, sizeof(text) - 1, 0);
    while (got == -EINTR);
    if (got < 0)
        return (int)got;
    text[got] = '\0';
    if (strncmp(text, key, i) != 0 || text[i] < '0' || text[i] > '9')
        return -EBADMSG;
    for (; text[i] >= '0' && text[i] <= '9'; i++) {
        if (__builtin_mul_overflow(usec, 10U, &usec) ||
            __builtin_add_overflow(usec, (uint64_t)(text[i] - '0'), &usec))
            return -ERANGE;
    }
    if (text[i] != '\n')
        return -EBADMSG;
    return __builtin_mul_overflow(usec, NS_PER_US, ret) ? -ERANGE : 0;
}
