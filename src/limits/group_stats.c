/* What a container uses, as JSON: names and units are those of runc's `events`, whose readers there
 * are; times are nanoseconds, sizes bytes. A file that this host lacks, or whose text is not what
 * the kernel's documents say, leaves its member out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "limits/group_parts.h"
#include "limits/lines.h"

enum { NS_PER_US = 1000, LIST_MAX = 1 << 20 };

struct stats {
    const struct cl_group *group;
    struct cl_json *json;
    int is_v2;
};

/* --- reading -------------------------------------------------------------------- */

/* FILE in the hierarchy of CONTROLLER, or -errno. */
static int open_file(const struct cl_group *group, const char *controller, const char *file)
{
    const struct cl_group_dir *dir = cl_group_find(group, controller);

    return dir == NULL ? -ENOENT : cl_sys_openat(dir->dir, file, O_RDONLY, 0);
}

int cl_group_number(const struct cl_group *group, const char *controller, const char *file,
                    uint64_t *ret)
{
    CL_CLEANUP_FD int fd = open_file(group, controller, file);
    uint64_t value = UINT64_MAX;
    const int r = fd < 0 ? fd : cl_lines_number(fd, &value);

    if (r < 0 && r != -ENODATA)
        return 0;
    *ret = value;
    return 1;
}

int cl_group_lines(const struct cl_group *group, const char *controller, const char *file,
                   struct cl_keyed *keys, size_t count)
{
    CL_CLEANUP_FD int fd = open_file(group, controller, file);

    return fd < 0 ? fd : cl_lines_find(fd, keys, count);
}

static void put_number(const struct stats *stats, const char *key, const char *controller,
                       const char *file)
{
    uint64_t value;

    if (cl_group_number(stats->group, controller, file, &value))
        cl_json_u64(stats->json, key, value);
}

/* Of a file of "key number" lines. */
struct member {
    const char *key;  /* in the file */
    const char *name; /* in the object */
};

enum { MEMBERS_MOST = 3 };

static void put_keyed(const struct stats *stats, int fd, const struct member *members, size_t count,
                      uint64_t factor)
{
    struct cl_keyed keys[MEMBERS_MOST];

    CL_ASSERT(count <= MEMBERS_MOST);
    for (size_t i = 0; i < count; i++)
        keys[i] = (struct cl_keyed){.key = members[i].key};
    if (fd < 0 || cl_lines_rewind(fd) < 0 || cl_lines_find(fd, keys, count) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        uint64_t value;

        if (keys[i].found && !__builtin_mul_overflow(keys[i].value, factor, &value))
            cl_json_u64(stats->json, members[i].name, value);
    }
}

/* --- cpu ------------------------------------------------------------------------ */

/* A line with a number for each processor. */
static void put_list(const struct stats *stats, const char *key, const char *file)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(LIST_MAX);
    struct cl_error unused = {0};
    CL_CLEANUP_FD int fd = open_file(stats->group, "cpuacct", file);

    if (fd < 0 || cl_read_all(fd, file, &text, &unused) < 0)
        return;
    cl_json_array(stats->json, key);
    for (char *word = text.data; word != NULL && *word != '\0';) {
        const size_t size = strcspn(word, " \n");
        const char end = word[size];
        uint64_t value;

        word[size] = '\0';
        if (cl_parse_u64(word, &value) == 0)
            cl_json_u64(stats->json, NULL, value);
        word += size + (end != '\0');
    }
    cl_json_close(stats->json, ']');
}

static void put_cpu_usage(const struct stats *stats)
{
    static const struct member v2[] = {
        {"usage_usec", "total"}, {"system_usec", "kernel"}, {"user_usec", "user"}};

    cl_json_object(stats->json, "usage");
    if (stats->is_v2) {
        CL_CLEANUP_FD int fd = open_file(stats->group, "cpu", "cpu.stat");
        put_keyed(stats, fd, v2, CL_ARRAY_SIZE(v2), NS_PER_US);
    } else {
        put_number(stats, "total", "cpuacct", "cpuacct.usage");
        put_list(stats, "percpu", "cpuacct.usage_percpu");
        put_list(stats, "percpu_kernel", "cpuacct.usage_percpu_sys");
        put_list(stats, "percpu_user", "cpuacct.usage_percpu_user");
        put_number(stats, "kernel", "cpuacct", "cpuacct.usage_sys");
        put_number(stats, "user", "cpuacct", "cpuacct.usage_user");
    }
    cl_json_close(stats->json, '}');
}

static void put_cpu(const struct stats *stats)
{
    static const struct member counts[] = {{"nr_periods", "periods"},
                                           {"nr_throttled", "throttledPeriods"}};
    static const struct member v1_time[] = {{"throttled_time", "throttledTime"}};
    static const struct member v2_time[] = {{"throttled_usec", "throttledTime"}};
    CL_CLEANUP_FD int fd = open_file(stats->group, "cpu", "cpu.stat");

    cl_json_object(stats->json, "cpu");
    put_cpu_usage(stats);
    cl_json_object(stats->json, "throttling");
    put_keyed(stats, fd, counts, CL_ARRAY_SIZE(counts), 1);
    put_keyed(stats, fd, stats->is_v2 ? v2_time : v1_time, 1, stats->is_v2 ? NS_PER_US : 1);
    cl_json_close(stats->json, '}');
    cl_json_close(stats->json, '}');
}

/* --- memory ---------------------------------------------------------------------- */

/* v1: of memory, of memory and swap, ... */
static void put_entry_v1(const struct stats *stats, const char *key, const char *prefix)
{
    static const struct member members[] = {{"limit_in_bytes", "limit"},
                                            {"usage_in_bytes", "usage"},
                                            {"max_usage_in_bytes", "max"},
                                            {"failcnt", "failcnt"}};
    char file[64];

    cl_json_object(stats->json, key);
    for (size_t i = 0; i < CL_ARRAY_SIZE(members); i++) {
        (void)snprintf(file, sizeof(file), "%s.%s", prefix, members[i].key); /* short */
        put_number(stats, members[i].name, "memory", file);
    }
    cl_json_close(stats->json, '}');
}

static uint64_t add_up(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* v2 counts swap apart; readers know it with memory. */
static void put_sum(const struct stats *stats, const char *key, const char *memory,
                    const char *swap)
{
    uint64_t first;
    uint64_t second;

    if (cl_group_number(stats->group, "memory", memory, &first) &&
        cl_group_number(stats->group, "memory", swap, &second))
        cl_json_u64(stats->json, key, add_up(first, second));
}

static void put_entries_v2(const struct stats *stats)
{
    static const struct member hits[] = {{"max", "failcnt"}};
    CL_CLEANUP_FD int events = open_file(stats->group, "memory", "memory.events");
    CL_CLEANUP_FD int swap_events = open_file(stats->group, "memory", "memory.swap.events");

    cl_json_object(stats->json, "usage");
    put_number(stats, "limit", "memory", "memory.max");
    put_number(stats, "usage", "memory", "memory.current");
    put_number(stats, "max", "memory", "memory.peak");
    put_keyed(stats, events, hits, 1, 1);
    cl_json_close(stats->json, '}');
    cl_json_object(stats->json, "swap");
    put_sum(stats, "limit", "memory.max", "memory.swap.max");
    put_sum(stats, "usage", "memory.current", "memory.swap.current");
    put_keyed(stats, swap_events, hits, 1, 1);
    cl_json_close(stats->json, '}');
}

/* All lines of memory.stat. */
static void put_raw(const struct stats *stats, int fd)
{
    struct cl_lines lines;
    const char *line;

    cl_json_object(stats->json, "raw");
    cl_lines_init(&lines, fd);
    while (fd >= 0 && cl_lines_next(&lines, &line) > 0) {
        char key[64];
        const size_t size = strcspn(line, " ");
        uint64_t value;

        if (line[size] != ' ' || size >= sizeof(key) || cl_parse_u64(line + size + 1, &value) < 0)
            continue;
        memcpy(key, line, size);
        key[size] = '\0';
        cl_json_u64(stats->json, key, value);
    }
    cl_json_close(stats->json, '}');
}

static void put_memory(const struct stats *stats)
{
    static const struct member v1_cache[] = {{"cache", "cache"}};
    static const struct member v2_cache[] = {{"file", "cache"}};
    CL_CLEANUP_FD int fd = open_file(stats->group, "memory", "memory.stat");

    cl_json_object(stats->json, "memory");
    put_keyed(stats, fd, stats->is_v2 ? v2_cache : v1_cache, 1, 1);
    if (stats->is_v2) {
        put_entries_v2(stats);
    } else {
        put_entry_v1(stats, "usage", "memory");
        put_entry_v1(stats, "swap", "memory.memsw");
        put_entry_v1(stats, "kernel", "memory.kmem");
        put_entry_v1(stats, "kernelTCP", "memory.kmem.tcp");
    }
    if (fd >= 0 && cl_lines_rewind(fd) == 0)
        put_raw(stats, fd);
    cl_json_close(stats->json, '}');
}

/* --- tasks and devices --------------------------------------------------------------- */

/* No limit is 0 there. */
static void put_pids(const struct stats *stats)
{
    uint64_t limit;

    cl_json_object(stats->json, "pids");
    put_number(stats, "current", "pids", "pids.current");
    if (cl_group_number(stats->group, "pids", "pids.max", &limit))
        cl_json_u64(stats->json, "limit", limit == UINT64_MAX ? 0 : limit);
    cl_json_close(stats->json, '}');
}

/* "8:16" at the beginning of LINE: what follows it, or NULL. */
static const char *take_device(const char *line, uint64_t *major, uint64_t *minor)
{
    char text[24];
    const size_t size = strcspn(line, " ");
    char *colon;

    if (line[size] != ' ' || size >= sizeof(text))
        return NULL;
    memcpy(text, line, size);
    text[size] = '\0';
    colon = strchr(text, ':');
    if (colon == NULL)
        return NULL; /* v1's sum of all */
    *colon = '\0';
    return cl_parse_u64(text, major) < 0 || cl_parse_u64(colon + 1, minor) < 0 ? NULL
                                                                               : line + size + 1;
}

/* Whom the transfers of a file's lines are told to. */
struct walk {
    void (*each)(void *context, const struct cl_group_transfer *transfer);
    void *context;
};

static void tell(const struct walk *walk, const char *line, const char *op, const char *number)
{
    struct cl_group_transfer transfer = {.op = op};

    if (take_device(line, &transfer.major, &transfer.minor) != NULL &&
        cl_parse_u64(number, &transfer.value) == 0)
        walk->each(walk->context, &transfer);
}

/* The value behind KEY= in the words WORDS, ended by NUL in RET: 1, or 0. */
static int find_word(const char *words, const char *key, char ret[24])
{
    const size_t size = strlen(key);

    for (const char *word = words; *word != '\0'; word += strspn(word, " ")) {
        const size_t whole = strcspn(word, " ");

        if (whole > size + 1 && whole - size <= 24 && memcmp(word, key, size) == 0 &&
            word[size] == '=') {
            memcpy(ret, word + size + 1, whole - size - 1);
            ret[whole - size - 1] = '\0';
            return 1;
        }
        word += whole;
    }
    return 0;
}

/* "8:0 rbytes=1 wbytes=2 ..." */
static void walk_line_v2(const struct walk *walk, const char *line, const struct member *members)
{
    char number[24];

    for (size_t i = 0; i < 3; i++) {
        if (find_word(line, members[i].key, number))
            tell(walk, line, members[i].name, number);
    }
}

/* "8:0 Read 1" */
static void walk_line_v1(const struct walk *walk, const char *line)
{
    uint64_t major;
    uint64_t minor;
    const char *op = take_device(line, &major, &minor);
    char name[16];
    const size_t size = op == NULL ? 0 : strcspn(op, " ");

    if (size == 0 || size >= sizeof(name) || op[size] != ' ')
        return;
    memcpy(name, op, size);
    name[size] = '\0';
    tell(walk, line, name, op + size + 1);
}

static int open_transfers(const struct cl_group *group, int of_requests)
{
    if (group->place.layout == CL_CGROUP_V2)
        return open_file(group, "io", "io.stat");
    return open_file(group, "blkio",
                     of_requests ? "blkio.throttle.io_serviced_recursive"
                                 : "blkio.throttle.io_service_bytes_recursive");
}

static void walk_file(const struct walk *walk, int fd, int is_v2, int of_requests)
{
    static const struct member bytes[3] = {
        {"rbytes", "Read"}, {"wbytes", "Write"}, {"dbytes", "Discard"}};
    static const struct member requests[3] = {
        {"rios", "Read"}, {"wios", "Write"}, {"dios", "Discard"}};
    struct cl_lines lines;
    const char *line;

    cl_lines_init(&lines, fd);
    while (cl_lines_next(&lines, &line) > 0) {
        if (is_v2)
            walk_line_v2(walk, line, of_requests ? requests : bytes);
        else
            walk_line_v1(walk, line);
    }
}

void cl_group_transfers(const struct cl_group *group, int of_requests,
                        void (*each)(void *context, const struct cl_group_transfer *transfer),
                        void *context)
{
    CL_CLEANUP_FD int fd = open_transfers(group, of_requests);
    const struct walk walk = {each, context};

    if (fd >= 0)
        walk_file(&walk, fd, group->place.layout == CL_CGROUP_V2, of_requests);
}

static void put_transfer(void *context, const struct cl_group_transfer *transfer)
{
    struct cl_json *json = context;

    cl_json_object(json, NULL);
    cl_json_u64(json, "major", transfer->major);
    cl_json_u64(json, "minor", transfer->minor);
    cl_json_string(json, "op", transfer->op);
    cl_json_u64(json, "value", transfer->value);
    cl_json_close(json, '}');
}

/* Where there is no such file there is no such member. */
static void put_transfers(const struct stats *stats, const char *key, int of_requests)
{
    CL_CLEANUP_FD int fd = open_transfers(stats->group, of_requests);
    const struct walk walk = {put_transfer, stats->json};

    if (fd < 0)
        return;
    cl_json_array(stats->json, key);
    walk_file(&walk, fd, stats->is_v2, of_requests);
    cl_json_close(stats->json, ']');
}

static void put_blkio(const struct stats *stats)
{
    cl_json_object(stats->json, "blkio");
    put_transfers(stats, "ioServiceBytesRecursive", 0);
    put_transfers(stats, "ioServicedRecursive", 1);
    cl_json_close(stats->json, '}');
}

/* --- huge pages ----------------------------------------------------------------------- */

/* Of pages of SIZE. */
static void put_pages(const struct stats *stats, const char *size)
{
    static const struct member hits[] = {{"max", "failcnt"}};
    static const struct member v1[] = {
        {"usage_in_bytes", "usage"}, {"max_usage_in_bytes", "max"}, {"failcnt", "failcnt"}};
    char file[64];

    cl_json_object(stats->json, size);
    if (stats->is_v2) {
        (void)snprintf(file, sizeof(file), "hugetlb.%s.current", size); /* bounded by the caller */
        put_number(stats, "usage", "hugetlb", file);
        (void)snprintf(file, sizeof(file), "hugetlb.%s.events", size);
        CL_CLEANUP_FD int fd = open_file(stats->group, "hugetlb", file);
        put_keyed(stats, fd, hits, 1, 1);
    }
    for (size_t i = 0; !stats->is_v2 && i < CL_ARRAY_SIZE(v1); i++) {
        (void)snprintf(file, sizeof(file), "hugetlb.%s.%s", size, v1[i].key);
        put_number(stats, v1[i].name, "hugetlb", file);
    }
    cl_json_close(stats->json, '}');
}

/* For "hugetlb.2MB.current" its middle: 1, or 0 for another file. */
static int take_size(const char *name, const char *end, char ret[16])
{
    static const char start[] = "hugetlb.";
    const size_t before = strlen(start);
    const size_t whole = strlen(name);

    if (whole <= before + strlen(end) || strncmp(name, start, before) != 0 ||
        strcmp(name + whole - strlen(end), end) != 0)
        return 0;
    const size_t size = whole - before - strlen(end);
    if (size >= 16 || memchr(name + before, '.', size) != NULL)
        return 0;
    memcpy(ret, name + before, size);
    ret[size] = '\0';
    return 1;
}

/* Which sizes there are say the directory's files. */
static void put_hugetlb(const struct stats *stats)
{
    CL_CLEANUP_FD int fd = open_file(stats->group, "hugetlb", ".");
    struct cl_dir entries;
    const char *name;
    char size[16];

    cl_json_object(stats->json, "hugetlb");
    cl_dir_start(&entries, fd);
    while (fd >= 0 && cl_dir_next(&entries, &name, NULL) > 0) {
        if (take_size(name, stats->is_v2 ? ".current" : ".usage_in_bytes", size))
            put_pages(stats, size);
    }
    cl_json_close(stats->json, '}');
}

void cl_group_stats(const struct cl_group *group, struct cl_json *json, const char *key)
{
    const struct stats stats = {
        .group = group, .json = json, .is_v2 = group->place.layout == CL_CGROUP_V2};

    cl_json_object(json, key);
    put_cpu(&stats);
    put_memory(&stats);
    put_pids(&stats);
    put_blkio(&stats);
    put_hugetlb(&stats);
    cl_json_close(json, '}');
}
