/* test_group_unit.c - what systemd is asked for when an OCI container's cgroup is to be its scope.
 * The asking itself is seen where a systemd runs (integration/test_oci_systemd.py). */
#include "group_scene.h"

/* Texts ended by NUL, as lines. */
static const char *show(const struct cl_buf *buf)
{
    static char text[4096];

    for (size_t i = 0; i < buf->size && i < sizeof(text) - 1; i++)
        text[i] = buf->data[i];
    for (size_t i = 0; i < buf->size && i < sizeof(text) - 1; i++) {
        if (text[i] == '\0')
            text[i] = '\n';
    }
    text[cl_min_u64(buf->size, sizeof(text) - 1)] = '\0';
    return text;
}

#define BEGIN_V2                                                                                   \
    "a-b.scope\na.slice\nMemoryAccounting\ntrue\nCPUAccounting\ntrue\nTasksAccounting\ntrue\n"     \
    "IOAccounting\ntrue\n"
#define BEGIN_V1                                                                                   \
    "a-b.scope\na.slice\nMemoryAccounting\ntrue\nCPUAccounting\ntrue\nTasksAccounting\ntrue\n"     \
    "BlockIOAccounting\ntrue\n"

static void make_group(enum cl_cgroup_layout layout, struct cl_group *ret)
{
    *ret = (struct cl_group){.place = {.manager = CL_GROUP_SYSTEMD,
                                       .layout = layout,
                                       .slice = "a.slice",
                                       .unit = "a-b.scope",
                                       .path = "/a.slice/a-b.scope"}};
}

static void check_input(const struct group_spec *spec, enum cl_cgroup_layout layout,
                        const char *expected)
{
    CL_CLEANUP_BUF struct cl_buf input = CL_BUF_INIT(65536);
    struct cl_group group = {0};
    struct cl_error err = {0};

    make_group(layout, &group);
    CHECK(cl_group_unit_input(&group, &spec->spec, &input, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK_TEXT(show(&input), expected);
}

TEST(limits_are_properties)
{
    struct group_spec spec;

    group_spec_init(&spec, "");
    check_input(&spec, CL_CGROUP_V2, BEGIN_V2);
    check_input(&spec, CL_CGROUP_HYBRID, BEGIN_V1);
    group_add(&spec, CL_RESOURCE_MEMORY_LIMIT, 1000);
    group_add(&spec, CL_RESOURCE_MEMORY_RESERVATION, 500);
    group_add(&spec, CL_RESOURCE_MEMORY_SWAP, 1500);
    group_add(&spec, CL_RESOURCE_MEMORY_KERNEL, 5);
    group_add(&spec, CL_RESOURCE_CPU_SHARES, 1024);
    group_add(&spec, CL_RESOURCE_CPU_QUOTA, 150000);
    group_add(&spec, CL_RESOURCE_CPU_PERIOD, 50000);
    group_add(&spec, CL_RESOURCE_CPUSET_CPUS, 0)->text = "0-2,9";
    group_add(&spec, CL_RESOURCE_CPUSET_MEMS, 0)->text = "0";
    group_add(&spec, CL_RESOURCE_PIDS_LIMIT, 0);
    group_add(&spec, CL_RESOURCE_IO_WEIGHT, 1000);
    check_input(&spec, CL_CGROUP_V2,
                BEGIN_V2
                "CPUQuotaPeriodUSec\nuint64 50000\nCPUQuotaPerSecUSec\nuint64 3000000\n"
                "MemoryMax\nuint64 1000\nMemoryLow\nuint64 500\nMemorySwapMax\nuint64 500\n"
                "CPUWeight\nuint64 39\nAllowedCPUs\n[byte 7, 2]\n"
                "AllowedMemoryNodes\n[byte 1]\n"
                "TasksMax\nuint64 18446744073709551615\nIOWeight\nuint64 10000\n");
    check_input(&spec, CL_CGROUP_V1,
                BEGIN_V1 "CPUQuotaPeriodUSec\nuint64 50000\nCPUQuotaPerSecUSec\nuint64 3000000\n"
                         "MemoryLimit\nuint64 1000\nCPUShares\nuint64 1024\n"
                         "TasksMax\nuint64 18446744073709551615\nBlockIOWeight\nuint64 1000\n");
}

TEST(quotas_are_of_a_second_and_rounded_up)
{
    static const struct {
        int64_t quota;
        int64_t period;
        const char *text;
    } rows[] = {
        {50000, 0, "CPUQuotaPerSecUSec\nuint64 500000\n"},
        {-1, 0, "CPUQuotaPerSecUSec\nuint64 18446744073709551615\n"},
        {0, 0, ""},
        {1001, 0, "CPUQuotaPerSecUSec\nuint64 20000\n"},
        {INT64_MAX, 1000,
         "CPUQuotaPeriodUSec\nuint64 1000\nCPUQuotaPerSecUSec\nuint64 18446744073709551615\n"},
    };
    char expected[512];

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct group_spec spec;

        group_spec_init(&spec, "");
        group_add(&spec, CL_RESOURCE_CPU_QUOTA, rows[i].quota);
        group_add(&spec, CL_RESOURCE_CPU_PERIOD, rows[i].period);
        (void)snprintf(expected, sizeof(expected), BEGIN_V2 "%s", rows[i].text);
        check_input(&spec, CL_CGROUP_V2, expected);
    }
}

TEST(files_of_v2_and_annotations_are_properties)
{
    static const struct {
        const char *file;
        const char *text;
    } files[] = {{"memory.high", "4096"},   {"memory.max", "max"},    {"pids.max", "9"},
                 {"cpuset.cpus", "1\n"},    {"cpuset.mems", "x"},     {"io.max", "8:0 rbps=1"},
                 {"cpu.weight", "default"}, {"memory.swap.max", "0"}, {"cpuset.cpus", ""}};
    static const char *const words[] = {
        "org.systemd.property.TimeoutStopUSec", "uint64 5",     "org.example.other", "x",
        "org.systemd.property.After",           "['a.service']"};
    struct group_spec spec;

    group_spec_init(&spec, "");
    for (size_t i = 0; i < CL_ARRAY_SIZE(files); i++) {
        struct cl_spec_resource *item = group_add(&spec, CL_RESOURCE_UNIFIED, 0);

        item->name = files[i].file;
        item->text = files[i].text;
    }
    spec.spec.annotations = (struct cl_strlist){cl_unconst(words), CL_ARRAY_SIZE(words)};
    check_input(&spec, CL_CGROUP_V2,
                BEGIN_V2 "MemoryHigh\nuint64 4096\nMemoryMax\nuint64 18446744073709551615\n"
                         "TasksMax\nuint64 9\nAllowedCPUs\n[byte 2]\nMemorySwapMax\nuint64 0\n"
                         "AllowedCPUs\n@ay []\nTimeoutStopUSec\nuint64 5\nAfter\n['a.service']\n");
}

TEST(what_is_wrong_is_said_before_systemd_is_asked)
{
    CL_CLEANUP_BUF struct cl_buf input = CL_BUF_INIT(65536);
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_error err = {0};

    make_group(CL_CGROUP_V2, &group);
    group_spec_init(&spec, "");
    group_add(&spec, CL_RESOURCE_MEMORY_SWAP, 1500);
    CHECK(cl_group_unit_input(&group, &spec.spec, &input, &err) == -EINVAL);
    CHECK_HAS(err.msg, "linux.resources.memory.swap");
    spec.spec.resources.count = 0;
    (void)snprintf(group.place.unit, sizeof(group.place.unit), "a.slice");
    CHECK(cl_group_start_unit(&group, &spec.spec, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "a.slice is no scope");
    CHECK(group.holder == 0);
}

/* There is no systemd, or it takes no unit of that name. */
TEST(without_a_scope_no_holder_stays)
{
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_error err = {0};

    make_group(CL_CGROUP_V2, &group);
    (void)snprintf(group.place.unit, sizeof(group.place.unit), "a/b.scope");
    group_spec_init(&spec, "");
    CHECK(cl_group_start_unit(&group, &spec.spec, &err) < 0);
    CHECK_HAS(err.msg, "systemd");
    CHECK(group.holder == 0);
    CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
    const struct cl_group_place place = group.place;
    CHECK(cl_group_make(&place, &spec.spec, &group, &err) < 0);
    CHECK(group.count == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(limits_are_properties),
        ROW(quotas_are_of_a_second_and_rounded_up),
        ROW(files_of_v2_and_annotations_are_properties),
        ROW(what_is_wrong_is_said_before_systemd_is_asked),
        ROW(without_a_scope_no_holder_stays),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
