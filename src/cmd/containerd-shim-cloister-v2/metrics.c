/* What a task uses, as its cgroup says, in the form of containerd's cgroups package.
 * Source: github.com/containerd/cgroups, cgroup1/stats/metrics.proto and
 * cgroup2/stats/metrics.proto; the kernel's cgroup-v1/memory.rst, cgroup-v2.rst.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/containerd-shim-cloister-v2/calls.h"

/* --- the messages ------------------------------------------------------------------------------
 */

struct pids_stat {
    uint64_t current, limit;
};
struct cpu_usage {
    uint64_t total, kernel, user;
};
struct throttle {
    uint64_t periods, throttled, time;
};
struct cpu_v1 {
    const struct cpu_usage *usage;
    const struct throttle *throttling;
};
struct entry {
    uint64_t limit, usage, max, failcnt;
};
struct memory_v1 {
    uint64_t cache, rss, inactive_file, active_file, inactive_anon, active_anon, faults, major;
    uint64_t total_cache, total_rss, total_inactive_file;
    const struct entry *usage, *swap, *kernel;
};
struct transfer_v1 {
    const char *op;
    uint64_t major, minor, value;
};
struct blkio_v1 {
    struct cl_wire_list bytes, requests; /* of struct transfer_v1 */
};
struct metrics_v1 {
    const struct pids_stat *pids;
    const struct cpu_v1 *cpu;
    const struct memory_v1 *memory;
    const struct blkio_v1 *blkio;
};
struct cpu_v2 {
    uint64_t usage, user, system, periods, throttled, time; /* microseconds */
};
struct memory_v2 {
    uint64_t anon, file, inactive_anon, active_anon, inactive_file, active_file, faults, major;
    uint64_t usage, limit, swap, swap_limit;
};
struct transfer_v2 {
    uint64_t major, minor, read_bytes, written_bytes, reads, writes;
};
struct io_v2 {
    struct cl_wire_list usage; /* of struct transfer_v2 */
};
struct metrics_v2 {
    const struct pids_stat *pids;
    const struct cpu_v2 *cpu;
    const struct memory_v2 *memory;
    const struct io_v2 *io;
};

static const struct cl_wire_field pids_rows[] = {CL_WIRE_ROW(1, U64, pids_stat, current),
                                                 CL_WIRE_ROW(2, U64, pids_stat, limit)};
static const struct cl_wire_shape pids_shape = CL_WIRE_SHAPE("PidsStat", pids_stat, pids_rows);
static const struct cl_wire_field usage_rows[] = {CL_WIRE_ROW(1, U64, cpu_usage, total),
                                                  CL_WIRE_ROW(2, U64, cpu_usage, kernel),
                                                  CL_WIRE_ROW(3, U64, cpu_usage, user)};
static const struct cl_wire_shape usage_shape = CL_WIRE_SHAPE("CPUUsage", cpu_usage, usage_rows);
static const struct cl_wire_field throttle_rows[] = {CL_WIRE_ROW(1, U64, throttle, periods),
                                                     CL_WIRE_ROW(2, U64, throttle, throttled),
                                                     CL_WIRE_ROW(3, U64, throttle, time)};
static const struct cl_wire_shape throttle_shape =
    CL_WIRE_SHAPE("Throttle", throttle, throttle_rows);
static const struct cl_wire_field cpu_v1_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, cpu_v1, usage, &usage_shape),
    CL_WIRE_INNER(2, MESSAGE, cpu_v1, throttling, &throttle_shape)};
static const struct cl_wire_shape cpu_v1_shape = CL_WIRE_SHAPE("CPUStat", cpu_v1, cpu_v1_rows);
static const struct cl_wire_field entry_rows[] = {
    CL_WIRE_ROW(1, U64, entry, limit), CL_WIRE_ROW(2, U64, entry, usage),
    CL_WIRE_ROW(3, U64, entry, max), CL_WIRE_ROW(4, U64, entry, failcnt)};
static const struct cl_wire_shape entry_shape = CL_WIRE_SHAPE("MemoryEntry", entry, entry_rows);
static const struct cl_wire_field memory_v1_rows[] = {
    CL_WIRE_ROW(1, U64, memory_v1, cache),
    CL_WIRE_ROW(2, U64, memory_v1, rss),
    CL_WIRE_ROW(9, U64, memory_v1, faults),
    CL_WIRE_ROW(10, U64, memory_v1, major),
    CL_WIRE_ROW(11, U64, memory_v1, inactive_anon),
    CL_WIRE_ROW(12, U64, memory_v1, active_anon),
    CL_WIRE_ROW(13, U64, memory_v1, inactive_file),
    CL_WIRE_ROW(14, U64, memory_v1, active_file),
    CL_WIRE_ROW(18, U64, memory_v1, total_cache),
    CL_WIRE_ROW(19, U64, memory_v1, total_rss),
    CL_WIRE_ROW(30, U64, memory_v1, total_inactive_file),
    CL_WIRE_INNER(33, MESSAGE, memory_v1, usage, &entry_shape),
    CL_WIRE_INNER(34, MESSAGE, memory_v1, swap, &entry_shape),
    CL_WIRE_INNER(35, MESSAGE, memory_v1, kernel, &entry_shape),
};
static const struct cl_wire_shape memory_v1_shape =
    CL_WIRE_SHAPE("MemoryStat", memory_v1, memory_v1_rows);
static const struct cl_wire_field transfer_v1_rows[] = {
    CL_WIRE_ROW(1, TEXT, transfer_v1, op), CL_WIRE_ROW(3, U64, transfer_v1, major),
    CL_WIRE_ROW(4, U64, transfer_v1, minor), CL_WIRE_ROW(5, U64, transfer_v1, value)};
static const struct cl_wire_shape transfer_v1_shape =
    CL_WIRE_SHAPE("BlkIOEntry", transfer_v1, transfer_v1_rows);
static const struct cl_wire_field blkio_v1_rows[] = {
    CL_WIRE_INNER(1, MESSAGES, blkio_v1, bytes, &transfer_v1_shape),
    CL_WIRE_INNER(2, MESSAGES, blkio_v1, requests, &transfer_v1_shape)};
static const struct cl_wire_shape blkio_v1_shape =
    CL_WIRE_SHAPE("BlkIOStat", blkio_v1, blkio_v1_rows);
static const struct cl_wire_field metrics_v1_rows[] = {
    CL_WIRE_INNER(2, MESSAGE, metrics_v1, pids, &pids_shape),
    CL_WIRE_INNER(3, MESSAGE, metrics_v1, cpu, &cpu_v1_shape),
    CL_WIRE_INNER(4, MESSAGE, metrics_v1, memory, &memory_v1_shape),
    CL_WIRE_INNER(5, MESSAGE, metrics_v1, blkio, &blkio_v1_shape),
};
static const struct cl_wire_shape metrics_v1_shape =
    CL_WIRE_SHAPE("Metrics", metrics_v1, metrics_v1_rows);
static const struct cl_wire_field cpu_v2_rows[] = {
    CL_WIRE_ROW(1, U64, cpu_v2, usage),     CL_WIRE_ROW(2, U64, cpu_v2, user),
    CL_WIRE_ROW(3, U64, cpu_v2, system),    CL_WIRE_ROW(4, U64, cpu_v2, periods),
    CL_WIRE_ROW(5, U64, cpu_v2, throttled), CL_WIRE_ROW(6, U64, cpu_v2, time)};
static const struct cl_wire_shape cpu_v2_shape = CL_WIRE_SHAPE("CPUStat", cpu_v2, cpu_v2_rows);
static const struct cl_wire_field memory_v2_rows[] = {
    CL_WIRE_ROW(1, U64, memory_v2, anon),           CL_WIRE_ROW(2, U64, memory_v2, file),
    CL_WIRE_ROW(11, U64, memory_v2, inactive_anon), CL_WIRE_ROW(12, U64, memory_v2, active_anon),
    CL_WIRE_ROW(13, U64, memory_v2, inactive_file), CL_WIRE_ROW(14, U64, memory_v2, active_file),
    CL_WIRE_ROW(18, U64, memory_v2, faults),        CL_WIRE_ROW(19, U64, memory_v2, major),
    CL_WIRE_ROW(32, U64, memory_v2, usage),         CL_WIRE_ROW(33, U64, memory_v2, limit),
    CL_WIRE_ROW(34, U64, memory_v2, swap),          CL_WIRE_ROW(35, U64, memory_v2, swap_limit),
};
static const struct cl_wire_shape memory_v2_shape =
    CL_WIRE_SHAPE("MemoryStat", memory_v2, memory_v2_rows);
static const struct cl_wire_field transfer_v2_rows[] = {
    CL_WIRE_ROW(1, U64, transfer_v2, major),      CL_WIRE_ROW(2, U64, transfer_v2, minor),
    CL_WIRE_ROW(3, U64, transfer_v2, read_bytes), CL_WIRE_ROW(4, U64, transfer_v2, written_bytes),
    CL_WIRE_ROW(5, U64, transfer_v2, reads),      CL_WIRE_ROW(6, U64, transfer_v2, writes)};
static const struct cl_wire_shape transfer_v2_shape =
    CL_WIRE_SHAPE("IOEntry", transfer_v2, transfer_v2_rows);
static const struct cl_wire_field io_v2_rows[] = {
    CL_WIRE_INNER(1, MESSAGES, io_v2, usage, &transfer_v2_shape)};
static const struct cl_wire_shape io_v2_shape = CL_WIRE_SHAPE("IOStat", io_v2, io_v2_rows);
static const struct cl_wire_field metrics_v2_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, metrics_v2, pids, &pids_shape),
    CL_WIRE_INNER(2, MESSAGE, metrics_v2, cpu, &cpu_v2_shape),
    CL_WIRE_INNER(4, MESSAGE, metrics_v2, memory, &memory_v2_shape),
    CL_WIRE_INNER(6, MESSAGE, metrics_v2, io, &io_v2_shape),
};
static const struct cl_wire_shape metrics_v2_shape =
    CL_WIRE_SHAPE("Metrics", metrics_v2, metrics_v2_rows);

/* --- where each number is ----------------------------------------------------------------------
 */

struct source {
    size_t offset; /* of a uint64_t in the record */
    const char *controller;
    const char *file;
    const char *key; /* NULL: the file is the number */
};

static const struct source pids_sources[] = {
    {offsetof(struct pids_stat, current), "pids", "pids.current", NULL},
    {offsetof(struct pids_stat, limit), "pids", "pids.max", NULL},
};
static const struct source usage_sources[] = {
    {offsetof(struct cpu_usage, total), "cpuacct", "cpuacct.usage", NULL},
    {offsetof(struct cpu_usage, kernel), "cpuacct", "cpuacct.usage_sys", NULL},
    {offsetof(struct cpu_usage, user), "cpuacct", "cpuacct.usage_user", NULL},
};
static const struct source throttle_sources[] = {
    {offsetof(struct throttle, periods), "cpu", "cpu.stat", "nr_periods"},
    {offsetof(struct throttle, throttled), "cpu", "cpu.stat", "nr_throttled"},
    {offsetof(struct throttle, time), "cpu", "cpu.stat", "throttled_time"},
};
#define MEMORY_STAT(record, member, key)                                                           \
    {                                                                                              \
        offsetof(struct record, member), "memory", "memory.stat", key                              \
    }
static const struct source memory_v1_sources[] = {
    MEMORY_STAT(memory_v1, cache, "cache"),
    MEMORY_STAT(memory_v1, rss, "rss"),
    MEMORY_STAT(memory_v1, faults, "pgfault"),
    MEMORY_STAT(memory_v1, major, "pgmajfault"),
    MEMORY_STAT(memory_v1, inactive_anon, "inactive_anon"),
    MEMORY_STAT(memory_v1, active_anon, "active_anon"),
    MEMORY_STAT(memory_v1, inactive_file, "inactive_file"),
    MEMORY_STAT(memory_v1, active_file, "active_file"),
    MEMORY_STAT(memory_v1, total_cache, "total_cache"),
    MEMORY_STAT(memory_v1, total_rss, "total_rss"),
    MEMORY_STAT(memory_v1, total_inactive_file, "total_inactive_file"),
};
#define ENTRY(prefix)                                                                              \
    {                                                                                              \
        {offsetof(struct entry, limit), "memory", prefix ".limit_in_bytes", NULL},                 \
            {offsetof(struct entry, usage), "memory", prefix ".usage_in_bytes", NULL},             \
            {offsetof(struct entry, max), "memory", prefix ".max_usage_in_bytes", NULL},           \
            {offsetof(struct entry, failcnt), "memory", prefix ".failcnt", NULL},                  \
    }
static const struct source memory_entry_sources[] = ENTRY("memory");
static const struct source swap_entry_sources[] = ENTRY("memory.memsw");
static const struct source kernel_entry_sources[] = ENTRY("memory.kmem");
static const struct source cpu_v2_sources[] = {
    {offsetof(struct cpu_v2, usage), "cpu", "cpu.stat", "usage_usec"},
    {offsetof(struct cpu_v2, user), "cpu", "cpu.stat", "user_usec"},
    {offsetof(struct cpu_v2, system), "cpu", "cpu.stat", "system_usec"},
    {offsetof(struct cpu_v2, periods), "cpu", "cpu.stat", "nr_periods"},
    {offsetof(struct cpu_v2, throttled), "cpu", "cpu.stat", "nr_throttled"},
    {offsetof(struct cpu_v2, time), "cpu", "cpu.stat", "throttled_usec"},
};
static const struct source memory_v2_sources[] = {
    MEMORY_STAT(memory_v2, anon, "anon"),
    MEMORY_STAT(memory_v2, file, "file"),
    MEMORY_STAT(memory_v2, inactive_anon, "inactive_anon"),
    MEMORY_STAT(memory_v2, active_anon, "active_anon"),
    MEMORY_STAT(memory_v2, inactive_file, "inactive_file"),
    MEMORY_STAT(memory_v2, active_file, "active_file"),
    MEMORY_STAT(memory_v2, faults, "pgfault"),
    MEMORY_STAT(memory_v2, major, "pgmajfault"),
    {offsetof(struct memory_v2, usage), "memory", "memory.current", NULL},
    {offsetof(struct memory_v2, limit), "memory", "memory.max", NULL},
    {offsetof(struct memory_v2, swap), "memory", "memory.swap.current", NULL},
    {offsetof(struct memory_v2, swap_limit), "memory", "memory.swap.max", NULL},
};

enum { KEYS_MOST = 16 };

/* Those of SOURCES that are lines of the first's file, which stand together: how many. */
static size_t fill_lines(const struct cl_group *group, const struct source *sources, size_t count,
                         void *record)
{
    struct cl_keyed keys[KEYS_MOST];
    size_t size = 0;

    while (size < count && size < KEYS_MOST && sources[size].key != NULL &&
           strcmp(sources[size].file, sources[0].file) == 0) {
        keys[size] = (struct cl_keyed){.key = sources[size].key};
        size++;
    }
    if (cl_group_lines(group, sources[0].controller, sources[0].file, keys, size) <= 0)
        return size;
    for (size_t i = 0; i < size; i++) {
        if (keys[i].found)
            *(uint64_t *)(void *)((char *)record + sources[i].offset) = keys[i].value;
    }
    return size;
}

/* What the host doesn't tell stays 0. */
static void fill(const struct cl_group *group, const struct source *sources, size_t count,
                 void *record)
{
    for (size_t i = 0; i < count;) {
        void *member = (char *)record + sources[i].offset;

        if (sources[i].key != NULL) {
            i += fill_lines(group, &sources[i], count - i, record);
            continue;
        }
        (void)cl_group_number(group, sources[i].controller, sources[i].file, member);
        i++;
    }
}
#define FILL(group, sources, record) fill(group, sources, CL_ARRAY_SIZE(sources), record)

/* --- block devices ------------------------------------------------------------------------------
 */

enum { TRANSFERS_MOST = 256 };

struct transfers_v1 {
    struct transfer_v1 items[TRANSFERS_MOST];
    char ops[TRANSFERS_MOST][16];
    size_t count;
};

static void add_v1(void *context, const struct cl_group_transfer *transfer)
{
    struct transfers_v1 *all = context;
    char *op = all->ops[all->count];

    if (all->count == TRANSFERS_MOST)
        return;
    (void)snprintf(op, sizeof(all->ops[0]), "%s", transfer->op);
    all->items[all->count++] =
        (struct transfer_v1){op, transfer->major, transfer->minor, transfer->value};
}

struct transfers_v2 {
    struct transfer_v2 items[TRANSFERS_MOST];
    size_t count;
    int of_requests; /* what is being told */
};

static struct transfer_v2 *find_device(struct transfers_v2 *all,
                                       const struct cl_group_transfer *transfer)
{
    size_t i = 0;

    while (i < all->count &&
           (all->items[i].major != transfer->major || all->items[i].minor != transfer->minor))
        i++;
    if (i == TRANSFERS_MOST)
        return NULL;
    if (i == all->count)
        all->items[all->count++] =
            (struct transfer_v2){.major = transfer->major, .minor = transfer->minor};
    return &all->items[i];
}

static void add_v2(void *context, const struct cl_group_transfer *transfer)
{
    struct transfers_v2 *all = context;
    struct transfer_v2 *device = find_device(all, transfer);

    if (device == NULL)
        return;
    if (strcmp(transfer->op, "Read") == 0)
        *(all->of_requests ? &device->reads : &device->read_bytes) = transfer->value;
    if (strcmp(transfer->op, "Write") == 0)
        *(all->of_requests ? &device->writes : &device->written_bytes) = transfer->value;
}

/* --- all of it -------------------------------------------------------------------------------- */

/* Of v1's tasks no limit is 0 there. */
static int write_v1(const struct cl_group *group, struct cl_buf *buf)
{
    struct pids_stat pids = {0};
    struct cpu_usage usage = {0};
    struct throttle throttling = {0};
    struct entry entries[3] = {{0}};
    struct memory_v1 memory = {.usage = &entries[0], .swap = &entries[1], .kernel = &entries[2]};
    const struct cpu_v1 cpu = {&usage, &throttling};
    static struct transfers_v1 transfers[2]; /* large */

    transfers[0].count = 0;
    transfers[1].count = 0;
    cl_group_transfers(group, 0, add_v1, &transfers[0]);
    cl_group_transfers(group, 1, add_v1, &transfers[1]);
    const struct blkio_v1 blkio = {{transfers[0].items, transfers[0].count},
                                   {transfers[1].items, transfers[1].count}};

    FILL(group, pids_sources, &pids);
    if (pids.limit == UINT64_MAX)
        pids.limit = 0;
    FILL(group, usage_sources, &usage);
    FILL(group, throttle_sources, &throttling);
    FILL(group, memory_v1_sources, &memory);
    FILL(group, memory_entry_sources, &entries[0]);
    FILL(group, swap_entry_sources, &entries[1]);
    FILL(group, kernel_entry_sources, &entries[2]);
    return cl_wire_write(&metrics_v1_shape, &(struct metrics_v1){&pids, &cpu, &memory, &blkio},
                         buf);
}

static int write_v2(const struct cl_group *group, struct cl_buf *buf)
{
    struct pids_stat pids = {0};
    struct cpu_v2 cpu = {0};
    struct memory_v2 memory = {0};
    static struct transfers_v2 transfers; /* large */

    transfers.count = 0;
    for (transfers.of_requests = 0; transfers.of_requests <= 1; transfers.of_requests++)
        cl_group_transfers(group, transfers.of_requests, add_v2, &transfers);
    const struct io_v2 io = {{transfers.items, transfers.count}};

    FILL(group, pids_sources, &pids);
    FILL(group, cpu_v2_sources, &cpu);
    FILL(group, memory_v2_sources, &memory);
    return cl_wire_write(&metrics_v2_shape, &(struct metrics_v2){&pids, &cpu, &memory, &io}, buf);
}

int cl_shim_write_metrics(const struct cl_group *group, struct cl_buf *buf, struct cl_msg_any *ret,
                          struct cl_error *err)
{
    const int is_v2 = group->place.layout == CL_CGROUP_V2;
    int r = is_v2 ? write_v2(group, buf) : write_v1(group, buf);

    if (r < 0)
        return cl_fail(err, r, "write the numbers");
    *ret = (struct cl_msg_any){is_v2 ? "io.containerd.cgroups.v2.Metrics"
                                     : "io.containerd.cgroups.v1.Metrics",
                               {cl_buf_text(buf), buf->size}};
    return 0;
}

int cl_shim_serve_stats(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_name *request = call->request;
    const struct cl_shim_process *process =
        cl_shim_need_process(call->context, request->id, "", err);
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_SHIM_METRICS_MOST);
    struct cl_msg_any any;

    if (process == NULL)
        return -ENOENT;
    int r = cl_shim_open_group(process->task, &group, err);
    if (r == 0)
        r = cl_shim_write_metrics(&group, &buf, &any, err);
    if (r == 0)
        cl_rpc_answer(call, &(struct cl_msg_stats){&any});
    return r;
}
