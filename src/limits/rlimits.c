#include "limits/rlimits.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/sys.h"
#include "limits/core.h"
#include "limits/limits.h"

enum unit { UNIT_COUNT, UNIT_BYTES };

struct row {
    uint32_t resource;
    enum unit unit;
};

/* In the order of their names. */
static const struct row rows[] = {
    {RLIMIT_AS, UNIT_BYTES},      {RLIMIT_CORE, UNIT_BYTES},     {RLIMIT_CPU, UNIT_COUNT},
    {RLIMIT_DATA, UNIT_BYTES},    {RLIMIT_FSIZE, UNIT_BYTES},    {RLIMIT_LOCKS, UNIT_COUNT},
    {RLIMIT_MEMLOCK, UNIT_BYTES}, {RLIMIT_MSGQUEUE, UNIT_BYTES}, {RLIMIT_NICE, UNIT_COUNT},
    {RLIMIT_NOFILE, UNIT_COUNT},  {RLIMIT_NPROC, UNIT_COUNT},    {RLIMIT_RSS, UNIT_BYTES},
    {RLIMIT_RTPRIO, UNIT_COUNT},  {RLIMIT_RTTIME, UNIT_COUNT},   {RLIMIT_SIGPENDING, UNIT_COUNT},
    {RLIMIT_STACK, UNIT_BYTES},
};
enum { RESOURCES = CL_PLAN_RLIMITS };
_Static_assert(CL_ARRAY_SIZE(rows) == CL_PLAN_RLIMITS, "a row for each");

/* Limits that every sandbox has, unless --ulimit says otherwise. */
static const struct {
    int resource;
    const char *name;
    uint64_t value;
} always[] = {
    /* Queued signals and timers are a pool of the user (some 100,000 as a rule), whom a
     * rootless sandbox shares with its caller. */
    {RLIMIT_SIGPENDING, "sigpending", 4096},
    /* The same of locked memory (8 MiB as a rule); keys in memory need some kilobytes. */
    {RLIMIT_MEMLOCK, "memlock", 1 << 20},
    /* A caller who may raise its priority (audio groups do) doesn't mean its sandboxes: a
     * real-time task passes by --cpus and stands before all others of the host. */
    {RLIMIT_NICE, "nice", 0},
    {RLIMIT_RTPRIO, "rtprio", 0},
};

const char *cl_rlimit_name(uint32_t resource)
{
    return resource < RESOURCES ? cl_field_words(CL_FIELD_RLIMITS)[resource] : NULL;
}

static const char *name_of(const struct row *row)
{
    return cl_field_words(CL_FIELD_RLIMITS)[row->resource];
}

static const struct row *find_row(const char *name, size_t size)
{
    for (size_t i = 0; i < RESOURCES; i++) {
        if (strlen(name_of(&rows[i])) == size && memcmp(name_of(&rows[i]), name, size) == 0)
            return &rows[i];
    }
    return NULL;
}

static int refuse_name(const char *text, struct cl_error *err)
{
    char names[160];
    size_t used = 0;

    for (size_t i = 0; i < RESOURCES; i++) {
        int size = snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? ", " : "",
                            name_of(&rows[i]));
        CL_ASSERT(size > 0 && (size_t)size < sizeof(names) - used);
        used += (size_t)size;
    }
    return cl_refuse(err, EINVAL, "\"%.100s\": expected NAME=SOFT[:HARD], where NAME is one of %s",
                     text, names);
}

/* The SIZE bytes at TEXT. */
static int parse_value(const struct row *row, const char *text, size_t size, uint64_t *ret,
                       struct cl_error *err)
{
    char value[32];
    int r = -EINVAL;

    if (size > 0 && size < sizeof(value)) {
        memcpy(value, text, size);
        value[size] = '\0';
        if (strcmp(value, "unlimited") == 0 || strcmp(value, "-1") == 0) {
            *ret = CL_RLIM_INFINITY;
            return 0;
        }
        r = row->unit == UNIT_BYTES ? cl_parse_size(value, ret) : cl_parse_u64(value, ret);
    }
    if (r < 0)
        return cl_refuse(err, EINVAL, "%s: \"%.*s\": expected %s or \"unlimited\"", name_of(row),
                         (int)cl_min_u64(size, 60), text,
                         row->unit == UNIT_BYTES ? "a size" : "a number");
    return 0;
}

int cl_rlimit_parse(const char *text, struct cl_plan_rlimit *ret, struct cl_error *err)
{
    struct cl_plan_rlimit limit = {0};
    const char *equals = strchr(text, '=');
    const struct row *row = equals != NULL ? find_row(text, (size_t)(equals - text)) : NULL;
    const char *soft;
    size_t size;
    int r;

    if (row == NULL)
        return refuse_name(text, err);
    limit.resource = row->resource;
    soft = equals + 1;
    size = strcspn(soft, ":");
    r = parse_value(row, soft, size, &limit.soft, err);
    if (r < 0)
        return r;
    limit.hard = limit.soft;
    if (soft[size] == ':')
        r = parse_value(row, soft + size + 1, strlen(soft + size + 1), &limit.hard, err);
    if (r < 0)
        return r;
    if (limit.soft > limit.hard)
        return cl_refuse(err, EINVAL, "%s: the soft limit is above the hard limit", name_of(row));
    if (row->resource == RLIMIT_CORE && limit.hard > CL_CORE_OFF)
        return cl_refuse(err, EINVAL, "core: core dumps are off in a sandbox");
    *ret = limit;
    return 0;
}

/* One resource as it shall be. */
struct wish {
    uint64_t soft;
    uint64_t hard;
    const char *what; /* the plan's word for it; NULL: nothing is asked */
    int at_most;      /* a lower hard limit is as good */
};

static void wish_for(struct wish *wish, const char *what, uint64_t value, int at_most)
{
    *wish = (struct wish){.soft = value, .hard = value, .what = what, .at_most = at_most};
}

/* What stands in for the cgroup. Soft is hard: the CPU limit's end is the kill, which
 * can't be caught. A worker for guests who take turns has address space for all of them from its
 * start, which the kernel counts as data: there each guest's own limit is all there is. */
static void wish_fallbacks(struct wish wishes[RESOURCES], const struct cl_plan *plan)
{
    const struct cl_plan_limits *limits = &plan->limits;
    const int has_pool =
        plan->image_kind == CL_IMAGE_MODULES && plan->wasm_model == CL_WASM_COROUTINE;

    if (cl_plan_has(plan, CL_FIELD_TASKS))
        wish_for(&wishes[RLIMIT_NPROC], "limits.tasks", limits->tasks + CL_LIMITS_OWN_TASKS, 1);
    if (cl_plan_has(plan, CL_FIELD_MEMORY) && !has_pool)
        wish_for(&wishes[RLIMIT_DATA], "limits.memory", limits->memory_bytes, 1);
    if (cl_plan_has(plan, CL_FIELD_CPU_TIME))
        wish_for(&wishes[RLIMIT_CPU], "limits.cpu_time",
                 limits->cpu_time_ns / CL_NS_PER_S + (limits->cpu_time_ns % CL_NS_PER_S != 0), 1);
}

static void wish_explicit(struct wish *wish, const struct cl_plan_rlimit *limit)
{
    uint64_t ceiling = wish->at_most ? wish->hard : CL_RLIM_INFINITY;

    wish->soft = cl_min_u64(limit->soft, ceiling);
    wish->hard = cl_min_u64(limit->hard, ceiling);
    wish->what = "--ulimit";
    wish->at_most = 0;
}

static int apply(int resource, const struct wish *wish, struct cl_error *err)
{
    struct cl_rlimit64 limit = {.cur = wish->soft, .max = wish->hard};
    struct cl_rlimit64 old;
    int r = cl_sys_prlimit(0, resource, &limit, NULL);

    if (r == 0)
        return 0;
    if (r != -EPERM)
        return cl_fail(err, r, "setrlimit %s", cl_rlimit_name((uint32_t)resource));
    r = cl_sys_prlimit(0, resource, NULL, &old);
    if (r < 0)
        return cl_fail(err, r, "getrlimit %s", cl_rlimit_name((uint32_t)resource));
    if (wish->at_most) {
        limit.max = old.max;
        limit.cur = cl_min_u64(limit.cur, old.max);
        r = cl_sys_prlimit(0, resource, &limit, NULL);
        return r < 0 ? cl_fail(err, r, "setrlimit %s", cl_rlimit_name((uint32_t)resource)) : 0;
    }
    char asked[24] = "unlimited";
    if (wish->hard != CL_RLIM_INFINITY)
        (void)snprintf(asked, sizeof(asked), "%llu", (unsigned long long)wish->hard);
    return cl_refuse(err, EPERM,
                     "%s: %s=%s is above this process's hard limit, %llu, which can't be raised; "
                     "ask for less or start cloister with a higher one",
                     wish->what, cl_rlimit_name((uint32_t)resource), asked,
                     (unsigned long long)old.max);
}

int cl_rlimits_apply(const struct cl_plan *plan, int without_cgroup, struct cl_error *err)
{
    struct wish wishes[RESOURCES] = {0};

    if (without_cgroup)
        wish_fallbacks(wishes, plan);
    if (cl_plan_has(plan, CL_FIELD_OPEN_FILES))
        wish_for(&wishes[RLIMIT_NOFILE], "limits.open_files", plan->limits.open_files, 0);
    if (cl_plan_has(plan, CL_FIELD_FILE_SIZE))
        wish_for(&wishes[RLIMIT_FSIZE], "limits.file_size", plan->limits.file_size_bytes, 0);
    for (size_t i = 0; i < plan->rlimits.count; i++) {
        const struct cl_plan_rlimit *limit = &plan->rlimits.items[i];

        if (limit->resource >= RESOURCES || limit->soft > limit->hard)
            return cl_refuse(err, EINVAL, "limits.ulimits[%zu] is no resource limit", i);
        wish_explicit(&wishes[limit->resource], limit);
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(always); i++) {
        struct wish *wish = &wishes[always[i].resource];

        if (wish->what == NULL)
            wish_for(wish, always[i].name, always[i].value, 1);
    }
    wish_for(&wishes[RLIMIT_CORE], "core", CL_CORE_OFF, 1);
    for (int resource = 0; resource < RESOURCES; resource++) {
        int r = wishes[resource].what != NULL ? apply(resource, &wishes[resource], err) : 0;

        if (r < 0)
            return r;
    }
    return 0;
}
