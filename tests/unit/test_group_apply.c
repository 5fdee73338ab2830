/* test_group_apply.c - what is written for the resources of an OCI container: each form on plain
 * files that pass for a cgroup, and what the kernel makes of it on this host's hierarchies. */
#include "group_scene.h"
#include "room.h"

/* --- on plain files --------------------------------------------------------------- */

/* One directory is all hierarchies of v1, or v2's. */
static void make_plain(enum cl_cgroup_layout layout, struct cl_group *ret)
{
    *ret = (struct cl_group){.count = 1, .place = {.layout = layout}};
    ret->dirs[0].parent = -1;
    ret->dirs[0].dir = cl_sys_openat(AT_FDCWD, "/mnt", O_PATH | O_DIRECTORY, 0);
    (void)snprintf(ret->dirs[0].name, sizeof(ret->dirs[0].name), "%s",
                   layout == CL_CGROUP_V2
                       ? "unified"
                       : "memory,cpu,cpuset,pids,blkio,hugetlb,net_cls,net_prio,rdma");
}

struct form_case {
    enum cl_resource what;
    int64_t value;
    const char *name;
    const char *text;
    const char *v1_file; /* NULL: nothing is written */
    const char *v1;
    const char *v2_file;
    const char *v2;
};

static const struct form_case cases[] = {
#define N "", ""
#define SAME(file, text) file, text, file, text
    {CL_RESOURCE_MEMORY_LIMIT, 1048576, N, "memory.limit_in_bytes", "1048576", "memory.max",
     "1048576"},
    {CL_RESOURCE_MEMORY_LIMIT, -1, N, "memory.limit_in_bytes", "-1", "memory.max", "max"},
    {CL_RESOURCE_MEMORY_LIMIT, 0, N, NULL, NULL, NULL, NULL},
    {CL_RESOURCE_MEMORY_RESERVATION, 4096, N, "memory.soft_limit_in_bytes", "4096", "memory.low",
     "4096"},
    {CL_RESOURCE_MEMORY_SWAP, -1, N, "memory.memsw.limit_in_bytes", "-1", "memory.swap.max", "max"},
    {CL_RESOURCE_MEMORY_SWAP, 0, N, NULL, NULL, NULL, NULL},
    {CL_RESOURCE_MEMORY_KERNEL, 4096, N, NULL, NULL, NULL, NULL},
    {CL_RESOURCE_MEMORY_KERNEL_TCP, 4096, N, "memory.kmem.tcp.limit_in_bytes", "4096", NULL, NULL},
    {CL_RESOURCE_MEMORY_NO_OOM, 0, N, "memory.oom_control", "0", NULL, NULL},
    {CL_RESOURCE_MEMORY_CHECK, 1, N, NULL, NULL, NULL, NULL},
    {CL_RESOURCE_CPU_SHARES, 1024, N, "cpu.shares", "1024", "cpu.weight", "39"},
    {CL_RESOURCE_CPU_SHARES, 2, N, "cpu.shares", "2", "cpu.weight", "1"},
    {CL_RESOURCE_CPU_SHARES, 1, N, "cpu.shares", "1", "cpu.weight", "1"},
    {CL_RESOURCE_CPU_SHARES, 262144, N, "cpu.shares", "262144", "cpu.weight", "10000"},
    {CL_RESOURCE_CPU_SHARES, INT64_MAX, N, "cpu.shares", "9223372036854775807", "cpu.weight",
     "10000"},
    {CL_RESOURCE_CPU_SHARES, 0, N, NULL, NULL, NULL, NULL},
    {CL_RESOURCE_CPU_QUOTA, 50000, N, "cpu.cfs_quota_us", "50000", "cpu.max", "50000"},
    {CL_RESOURCE_CPU_QUOTA, -1, N, "cpu.cfs_quota_us", "-1", "cpu.max", "max"},
    {CL_RESOURCE_CPU_QUOTA, 0, N, NULL, NULL, NULL, NULL},
    {CL_RESOURCE_CPU_BURST, 1000, N, "cpu.cfs_burst_us", "1000", "cpu.max.burst", "1000"},
    {CL_RESOURCE_CPU_IDLE, 1, N, SAME("cpu.idle", "1")},
    {CL_RESOURCE_CPU_RT_RUNTIME, 0, N, "cpu.rt_runtime_us", "0", NULL, NULL},
    {CL_RESOURCE_CPU_RT_PERIOD, 0, N, NULL, NULL, NULL, NULL},
    {CL_RESOURCE_CPUSET_CPUS, 0, "", "0-1,3", SAME("cpuset.cpus", "0-1,3")},
    {CL_RESOURCE_CPUSET_MEMS, 0, "", "0", SAME("cpuset.mems", "0")},
    {CL_RESOURCE_CPUSET_MEMS, 0, "", "", NULL, NULL, NULL, NULL},
    {CL_RESOURCE_PIDS_LIMIT, 17, N, SAME("pids.max", "17")},
    {CL_RESOURCE_PIDS_LIMIT, 0, N, SAME("pids.max", "max")},
    {CL_RESOURCE_PIDS_LIMIT, -1, N, SAME("pids.max", "max")},
    {CL_RESOURCE_IO_WEIGHT, 500, N, "blkio.bfq.weight", "500", "io.bfq.weight", "500"},
    {CL_RESOURCE_IO_WEIGHT, 0, N, NULL, NULL, NULL, NULL},
    {CL_RESOURCE_IO_DEVICE_WEIGHT, 300, N, "blkio.bfq.weight_device", "8:16 300", "io.bfq.weight",
     "8:16 300"},
    {CL_RESOURCE_IO_READ_BYTES, 1000, N, "blkio.throttle.read_bps_device", "8:16 1000", "io.max",
     "8:16 rbps=1000"},
    {CL_RESOURCE_IO_WRITE_BYTES, 0, N, "blkio.throttle.write_bps_device", "8:16 0", "io.max",
     "8:16 wbps=max"},
    {CL_RESOURCE_IO_READ_OPS, 7, N, "blkio.throttle.read_iops_device", "8:16 7", "io.max",
     "8:16 riops=7"},
    {CL_RESOURCE_IO_WRITE_OPS, 8, N, "blkio.throttle.write_iops_device", "8:16 8", "io.max",
     "8:16 wiops=8"},
    {CL_RESOURCE_HUGE_PAGES, 4 << 20, "2MB", "", "hugetlb.2MB.limit_in_bytes", "4194304",
     "hugetlb.2MB.max", "4194304"},
    {CL_RESOURCE_HUGE_PAGES, -1, "1GB", "", "hugetlb.1GB.limit_in_bytes", "-1", "hugetlb.1GB.max",
     "max"},
    {CL_RESOURCE_NET_CLASS, 0, N, "net_cls.classid", "0", NULL, NULL},
    {CL_RESOURCE_RDMA_HANDLES, 3, "mlx5_0", "", SAME("rdma.max", "mlx5_0 hca_handle=3")},
    {CL_RESOURCE_RDMA_OBJECTS, -1, "mlx5_0", "", SAME("rdma.max", "mlx5_0 hca_object=max")},
#undef N
#undef SAME
};

static void fill_item(const struct form_case *row, struct cl_spec_resource *item)
{
    *item = (struct cl_spec_resource){
        .what = row->what,
        .value = row->value,
        .name = row->name,
        .text = row->text,
        .major = 8,
        .minor = 16,
    };
}

/* Nothing is in /mnt but what was written. */
static void apply_one(const struct form_case *row, enum cl_cgroup_layout layout)
{
    const char *file = layout == CL_CGROUP_V2 ? row->v2_file : row->v1_file;
    const char *expected = layout == CL_CGROUP_V2 ? row->v2 : row->v1;
    struct cl_spec_resource item;
    const struct cl_spec_resources resources = {.items = &item, .count = 1};
    CL_CLEANUP(cl_group_close) struct cl_group group = {0};
    struct cl_error err = {0};
    char path[128];
    char text[128];

    make_plain(layout, &group);
    fill_item(row, &item);
    if (file == NULL) {
        CHECK(cl_group_apply(&group, &resources, &err) == 0);
        return;
    }
    (void)snprintf(path, sizeof(path), "/mnt/%s", file);
    CHECK(room_write(path, "") == 0);
    CHECK(cl_group_apply(&group, &resources, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(room_read(AT_FDCWD, path, text, sizeof(text)) == 0);
    CHECK_TEXT(text, expected);
    CHECK(unlink(path) == 0);
}

static void apply_each(void)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(cases); i++) {
        apply_one(&cases[i], CL_CGROUP_V1);
        apply_one(&cases[i], CL_CGROUP_V2);
        CHECK(check_count_entries("/mnt") == 0);
    }
}

TEST(each_resource_goes_to_its_file)
{
    room_run(apply_each);
}

/* Applies the FIRST and the SECOND of what SPEC has to a plain v2. */
static int apply_v2(const struct group_spec *spec, struct cl_error *err)
{
    CL_CLEANUP(cl_group_close) struct cl_group group = {0};

    make_plain(CL_CGROUP_V2, &group);
    *err = (struct cl_error){0};
    return cl_group_apply(&group, &spec->spec.resources, err);
}

static void check_plain(const char *file, const char *expected)
{
    char path[64];
    char text[64];

    (void)snprintf(path, sizeof(path), "/mnt/%s", file);
    CHECK(room_read(AT_FDCWD, path, text, sizeof(text)) == 0);
    CHECK_TEXT(text, expected);
}

static void apply_swap(void)
{
    struct group_spec spec;
    struct cl_error err;

    CHECK(room_write("/mnt/memory.max", "") == 0 && room_write("/mnt/memory.swap.max", "") == 0);
    group_spec_init(&spec, "");
    group_add(&spec, CL_RESOURCE_MEMORY_LIMIT, 1000);
    group_add(&spec, CL_RESOURCE_MEMORY_SWAP, 1500);
    CHECK(apply_v2(&spec, &err) == 0);
    check_plain("memory.swap.max", "500");
    spec.items[1].value = 999;
    CHECK(apply_v2(&spec, &err) == -EINVAL);
    CHECK_HAS(err.msg, "linux.resources.memory.swap (999) counts memory too");
    spec.items[0].value = -1;
    CHECK(apply_v2(&spec, &err) == -EINVAL);
    CHECK_HAS(err.msg, "needs memory.limit");
    /* without a word of memory what is there counts */
    spec.items[0] = spec.items[1];
    spec.spec.resources.count = 1;
    CHECK(room_write("/mnt/memory.max", "600\n") == 0 &&
          room_write("/mnt/memory.swap.max", "") == 0);
    CHECK(apply_v2(&spec, &err) == 0);
    check_plain("memory.swap.max", "399");
    CHECK(room_write("/mnt/memory.max", "max\n") == 0);
    CHECK(apply_v2(&spec, &err) == -EINVAL);
}

TEST(swap_is_what_is_left_of_both)
{
    room_run(apply_swap);
}

static void apply_period(void)
{
    struct group_spec spec;
    struct cl_error err;

    CHECK(room_write("/mnt/cpu.max", "") == 0);
    group_spec_init(&spec, "");
    group_add(&spec, CL_RESOURCE_CPU_PERIOD, 20000);
    group_add(&spec, CL_RESOURCE_CPU_QUOTA, 5000);
    CHECK(apply_v2(&spec, &err) == 0);
    check_plain("cpu.max", "5000 20000");
    spec.items[1].value = -1;
    CHECK(room_write("/mnt/cpu.max", "") == 0);
    CHECK(apply_v2(&spec, &err) == 0);
    check_plain("cpu.max", "max 20000");
    spec.spec.resources.count = 1;
    CHECK(room_write("/mnt/cpu.max", "7000 100000\n") == 0);
    CHECK(apply_v2(&spec, &err) == 0);
    check_plain("cpu.max", "7000 200000\n"); /* a plain file keeps what is not written over */
}

TEST(a_quota_and_its_period_are_one)
{
    room_run(apply_period);
}

static void apply_weight(void)
{
    static const struct {
        int64_t weight;
        const char *text;
    } rows[] = {{10, "1"}, {100, "910"}, {1000, "10000"}};
    struct group_spec spec;
    struct cl_error err;

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(room_write("/mnt/io.weight", "") == 0);
        group_spec_init(&spec, "");
        group_add(&spec, CL_RESOURCE_IO_WEIGHT, rows[i].weight);
        CHECK(apply_v2(&spec, &err) == 0);
        check_plain("io.weight", rows[i].text);
    }
    CHECK(room_write("/mnt/io.weight", "") == 0);
    spec.items[0] = (struct cl_spec_resource){
        .what = CL_RESOURCE_IO_DEVICE_WEIGHT, .major = 8, .minor = 1, .value = 1000};
    CHECK(apply_v2(&spec, &err) == 0);
    check_plain("io.weight", "8:1 10000");
    CHECK(unlink("/mnt/io.weight") == 0);
    CHECK(apply_v2(&spec, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "linux.resources.blockIO.weightDevice");
    CHECK_HAS(err.msg, "bfq");
}

TEST(without_bfq_weights_are_ios)
{
    room_run(apply_weight);
}

/* What has no file is refused where it asks for something. */
static void refuse_each(void)
{
    static const struct {
        enum cl_resource what;
        int64_t value;
        const char *name;
    } rows[] = {
        {CL_RESOURCE_MEMORY_LIMIT, 4096, ""},    {CL_RESOURCE_MEMORY_SWAPPINESS, 0, ""},
        {CL_RESOURCE_MEMORY_NO_OOM, 1, ""},      {CL_RESOURCE_CPU_SHARES, 2, ""},
        {CL_RESOURCE_CPU_QUOTA, 1, ""},          {CL_RESOURCE_CPU_RT_RUNTIME, 1, ""},
        {CL_RESOURCE_CPU_RT_PERIOD, 1, ""},      {CL_RESOURCE_PIDS_LIMIT, 1, ""},
        {CL_RESOURCE_IO_WEIGHT, 10, ""},         {CL_RESOURCE_IO_LEAF_WEIGHT, 10, ""},
        {CL_RESOURCE_IO_READ_BYTES, 1, ""},      {CL_RESOURCE_HUGE_PAGES, 0, "2MB"},
        {CL_RESOURCE_NET_CLASS, 1, ""},          {CL_RESOURCE_NET_PRIORITY, 1, "eth0"},
        {CL_RESOURCE_RDMA_HANDLES, 1, "x"},      {CL_RESOURCE_CPU_IDLE, 1, ""},
        {CL_RESOURCE_UNIFIED, 0, "memory.high"},
    };
    struct group_spec spec;
    struct cl_error err;

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        group_spec_init(&spec, "");
        group_add(&spec, rows[i].what, rows[i].value)->name = rows[i].name;
        const int r = apply_v2(&spec, &err);

        if (r != -ENOTSUP)
            printf("# %s\n", cl_resource_path(rows[i].what));
        CHECK(r == -ENOTSUP);
        CHECK_HAS(err.msg, cl_resource_path(rows[i].what));
    }
}

TEST(what_the_kernel_lacks_is_refused)
{
    room_run(refuse_each);
}

static void pass_each(void)
{
    static const struct {
        enum cl_resource what;
        int64_t value;
        const char *name;
    } rows[] = {
        {CL_RESOURCE_MEMORY_LIMIT, -1, ""},      {CL_RESOURCE_MEMORY_SWAP, -1, ""},
        {CL_RESOURCE_MEMORY_SWAPPINESS, -1, ""}, {CL_RESOURCE_MEMORY_NO_OOM, 0, ""},
        {CL_RESOURCE_MEMORY_HIERARCHY, 1, ""},   {CL_RESOURCE_CPU_QUOTA, -1, ""},
        {CL_RESOURCE_CPU_RT_RUNTIME, 0, ""},     {CL_RESOURCE_PIDS_LIMIT, 0, ""},
        {CL_RESOURCE_IO_READ_BYTES, 0, ""},      {CL_RESOURCE_HUGE_PAGES, -1, "2MB"},
        {CL_RESOURCE_NET_CLASS, 0, ""},          {CL_RESOURCE_NET_PRIORITY, 0, "eth0"},
        {CL_RESOURCE_RDMA_HANDLES, -1, "x"},     {CL_RESOURCE_CPU_BURST, 0, ""},
    };
    struct group_spec spec;
    struct cl_error err;

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        group_spec_init(&spec, "");
        group_add(&spec, rows[i].what, rows[i].value)->name = rows[i].name;
        const int r = apply_v2(&spec, &err);

        if (r != 0)
            printf("# %s: %s\n", cl_resource_path(rows[i].what), err.msg);
        CHECK(r == 0);
    }
}

TEST(no_limit_is_passed_over_where_there_is_none)
{
    room_run(pass_each);
}

static void refuse_names(void)
{
    static const struct {
        enum cl_resource what;
        const char *name;
    } rows[] = {
        {CL_RESOURCE_UNIFIED, "a/memory.max"},
        {CL_RESOURCE_UNIFIED, "../memory.max"},
        {CL_RESOURCE_UNIFIED, ".."},
        {CL_RESOURCE_UNIFIED, "memory"},
        {CL_RESOURCE_UNIFIED, ""},
        {CL_RESOURCE_HUGE_PAGES, "../../2MB"},
        {CL_RESOURCE_HUGE_PAGES, ""},
        {CL_RESOURCE_HUGE_PAGES, "2MB."},
        {CL_RESOURCE_RDMA_HANDLES, ""},
        {CL_RESOURCE_RDMA_HANDLES, "a b"},
        {CL_RESOURCE_RDMA_HANDLES, "a\nb"},
    };
    struct group_spec spec;
    struct cl_error err;

    CHECK(room_write("/mnt/rdma.max", "") == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        group_spec_init(&spec, "");
        group_add(&spec, rows[i].what, 1)->name = rows[i].name;
        CHECK(apply_v2(&spec, &err) == -EINVAL);
        CHECK_HAS(err.msg, cl_resource_path(rows[i].what));
    }
    check_plain("rdma.max", "");
}

TEST(names_that_lead_elsewhere_are_refused)
{
    room_run(refuse_names);
}

/* --- on this host's hierarchies ---------------------------------------------------- */

#define NEED_V1()                                                                                  \
    do {                                                                                           \
        struct cl_error need_err;                                                                  \
        struct cl_own_cgroups need_own;                                                            \
        if (geteuid() != 0 || cl_own_cgroups_read(&need_own, &need_err) < 0 ||                     \
            need_own.v1[CL_CONTROLLER_MEMORY].path == NULL ||                                      \
            need_own.v1[CL_CONTROLLER_CPU].path == NULL)                                           \
            SKIP_TEST("needs root, and the memory and cpu controllers of cgroup v1");              \
    } while (0)

static int apply(const struct cl_group *group, const struct group_spec *spec)
{
    struct cl_error err = {0};
    const int r = cl_group_apply(group, &spec->spec.resources, &err);

    if (r < 0)
        printf("# %s\n", err.msg);
    return r;
}

#define MIB(count) ((int64_t)(count) << 20)

/* Each step is one that the kernel refuses in one of the two orders. */
TEST(memory_and_swap_are_raised_and_lowered)
{
    NEED_V1();
    static const struct {
        int64_t memory;
        int64_t swap;
        const char *memory_text;
        const char *swap_text;
    } rows[] = {
        {MIB(64), MIB(128), "67108864", "134217728"},
        {MIB(256), MIB(512), "268435456", "536870912"},
        {MIB(32), MIB(32), "33554432", "33554432"},
        {-1, -1, "9223372036854771712", "9223372036854771712"},
        {MIB(32), MIB(64), "33554432", "67108864"},
    };
    struct group_spec spec;
    struct cl_group group = {0};

    group_spec_init(&spec, "");
    group_make(&spec, &group);
    group_add(&spec, CL_RESOURCE_MEMORY_LIMIT, 0);
    group_add(&spec, CL_RESOURCE_MEMORY_SWAP, 0);
    for (size_t i = 0; i < 2 * CL_ARRAY_SIZE(rows); i++) {
        const size_t at = i % CL_ARRAY_SIZE(rows);

        spec.items[0].value = rows[at].memory;
        spec.items[1].value = rows[at].swap;
        CHECK(apply(&group, &spec) == 0);
        CHECK_TEXT(group_read(&group, "memory", "memory.limit_in_bytes"), rows[at].memory_text);
        CHECK_TEXT(group_read(&group, "memory", "memory.memsw.limit_in_bytes"), rows[at].swap_text);
    }
    spec.spec.resources.count = 1; /* memory alone, which has no limit: nor has swap */
    spec.items[0].value = -1;
    CHECK(apply(&group, &spec) == 0);
    CHECK_TEXT(group_read(&group, "memory", "memory.limit_in_bytes"), "9223372036854771712");
    spec.items[0].value = MIB(64);
    CHECK(apply(&group, &spec) == 0);
    spec.items[0].what = CL_RESOURCE_MEMORY_SWAP; /* below memory: in no order */
    spec.items[0].value = MIB(32);
    struct cl_error err = {0};
    CHECK(cl_group_apply(&group, &spec.spec.resources, &err) == -EINVAL);
    CHECK_HAS(err.msg, "linux.resources.memory.swap: write \"33554432\"");
    group_remove(&group);
}

TEST(quota_period_and_burst_are_changed_together)
{
    NEED_V1();
    static const int64_t rows[][3] = {
        {50000, 100000, 20000}, {1000, 1000, 500}, {800000, 1000000, 700000}, {2000, 4000, 0}};
    struct group_spec spec;
    struct cl_group group = {0};
    char text[24];

    group_spec_init(&spec, "");
    group_make(&spec, &group);
    group_add(&spec, CL_RESOURCE_CPU_BURST, 0);
    group_add(&spec, CL_RESOURCE_CPU_QUOTA, 0);
    group_add(&spec, CL_RESOURCE_CPU_PERIOD, 0);
    for (size_t i = 0; i < 3 * CL_ARRAY_SIZE(rows); i++) {
        const int64_t *row = rows[i % CL_ARRAY_SIZE(rows)];

        spec.items[0].value = row[2];
        spec.items[1].value = row[0];
        spec.items[2].value = row[1];
        CHECK(apply(&group, &spec) == 0);
        (void)snprintf(text, sizeof(text), "%lld", (long long)row[0]);
        CHECK_TEXT(group_read(&group, "cpu", "cpu.cfs_quota_us"), text);
        (void)snprintf(text, sizeof(text), "%lld", (long long)row[1]);
        CHECK_TEXT(group_read(&group, "cpu", "cpu.cfs_period_us"), text);
        (void)snprintf(text, sizeof(text), "%lld", (long long)row[2]);
        CHECK_TEXT(group_read(&group, "cpu", "cpu.cfs_burst_us"), text);
    }
    group_remove(&group);
}

TEST(what_an_engine_sets_is_set)
{
    NEED_V1();
    struct group_spec spec;
    struct cl_group group = {0};

    group_spec_init(&spec, "");
    group_add(&spec, CL_RESOURCE_MEMORY_LIMIT, MIB(64));
    group_add(&spec, CL_RESOURCE_MEMORY_SWAP, MIB(128));
    group_add(&spec, CL_RESOURCE_MEMORY_RESERVATION, MIB(32));
    group_add(&spec, CL_RESOURCE_MEMORY_NO_OOM, 1);
    group_add(&spec, CL_RESOURCE_MEMORY_HIERARCHY, 1);
    group_add(&spec, CL_RESOURCE_MEMORY_KERNEL, MIB(8));
    group_add(&spec, CL_RESOURCE_MEMORY_SWAPPINESS, 30);
    group_add(&spec, CL_RESOURCE_CPU_SHARES, 512);
    group_add(&spec, CL_RESOURCE_CPUSET_CPUS, 0)->text = "0";
    group_add(&spec, CL_RESOURCE_PIDS_LIMIT, 100);
    group_add(&spec, CL_RESOURCE_IO_WEIGHT, 0);
    group_make(&spec, &group);
    CHECK_TEXT(group_read(&group, "memory", "memory.memsw.limit_in_bytes"), "134217728");
    CHECK_TEXT(group_read(&group, "memory", "memory.soft_limit_in_bytes"), "33554432");
    CHECK_HAS(group_read(&group, "memory", "memory.oom_control"), "oom_kill_disable 1");
    CHECK_TEXT(group_read(&group, "memory", "memory.swappiness"), "30");
    CHECK_TEXT(group_read(&group, "cpu", "cpu.shares"), "512");
    CHECK_TEXT(group_read(&group, "cpuset", "cpuset.cpus"), "0");
    CHECK(strcmp(group_read(&group, "cpuset", "cpuset.mems"), "") != 0);
    CHECK_TEXT(group_read(&group, "pids", "pids.max"), "100");
    spec.spec.resources.count = 1;
    spec.items[0] = (struct cl_spec_resource){.what = CL_RESOURCE_PIDS_LIMIT, .value = -1};
    CHECK(apply(&group, &spec) == 0);
    CHECK_TEXT(group_read(&group, "pids", "pids.max"), "max");
    group_remove(&group);
}

TEST(a_limit_below_what_is_used_is_refused_when_asked)
{
    NEED_V1();
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_error err = {0};

    group_spec_init(&spec, "");
    group_make(&spec, &group);
    const pid_t pid = group_start(&group, group_pause);
    while (strcmp(group_read(&group, "memory", "memory.usage_in_bytes"), "0") == 0)
        (void)cl_sys_poll(NULL, 0, 1); /* until it has come in and uses some */
    group_add(&spec, CL_RESOURCE_MEMORY_LIMIT, 1);
    group_add(&spec, CL_RESOURCE_MEMORY_CHECK, 1);
    CHECK(cl_group_apply(&group, &spec.spec.resources, &err) == -EBUSY);
    CHECK_HAS(err.msg, "bytes are less than the");
    spec.items[0].value = MIB(64);
    CHECK(apply(&group, &spec) == 0);
    CHECK(kill(pid, SIGKILL) == 0 && group_wait(pid) == SIGKILL);
    group_remove(&group);
}

static void use_v2(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_error err = {0};

    group_spec_init(&spec, "/x");
    struct cl_spec_resource *item = group_add(&spec, CL_RESOURCE_UNIFIED, 0);
    item->name = "hugetlb.2MB.max";
    item->text = "6291456";
    group_make(&spec, &group);
    CHECK_TEXT(group_read(&group, "", "hugetlb.2MB.max"), "6291456");
    item->name = "hugetlb.3MB.max";
    CHECK(cl_group_apply(&group, &spec.spec.resources, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "linux.resources.unified: this host's cgroup v2 has no hugetlb.3MB.max");
    group_remove(&group);
    item->name = "memory.high";
    CHECK(group_try(&spec, &group, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "linux.resources.unified: cgroup v2 of this host lacks the controllers "
                       "memory");
    *item = (struct cl_spec_resource){.what = CL_RESOURCE_PIDS_LIMIT, .value = 5};
    CHECK(group_try(&spec, &group, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "linux.resources.pids.limit");
    CHECK(group_left() == 0);
}

TEST(v2_has_what_the_host_gives)
{
    struct cl_error err;

    if (cl_cgroup_layout(0, &err) != CL_CGROUP_V1)
        SKIP_TEST("needs cgroup v1, which leaves v2 few controllers");
    group_in_view(VIEW_V2, use_v2);
}

static void refuse_unified(void)
{
    struct group_spec spec;
    struct cl_group group = {0};
    struct cl_error err = {0};

    group_spec_init(&spec, "");
    group_add(&spec, CL_RESOURCE_UNIFIED, 0)->name = "memory.high";
    CHECK(group_try(&spec, &group, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "linux.resources.unified: \"memory.high\" is cgroup v2's");
    group_spec_init(&spec, "");
    group_add(&spec, CL_RESOURCE_NET_PRIORITY, 1)->name = "lo";
    if (cl_group_find(&group, "net_prio") == NULL) {
        CHECK(group_try(&spec, &group, &err) == -ENOTSUP);
        CHECK_HAS(err.msg, "linux.resources.network.priorities");
    }
}

TEST(v1_has_no_files_of_v2)
{
    NEED_V1();
    group_in_view(VIEW_HOST, refuse_unified);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_resource_goes_to_its_file),
        ROW(swap_is_what_is_left_of_both),
        ROW(a_quota_and_its_period_are_one),
        ROW(without_bfq_weights_are_ios),
        ROW(what_the_kernel_lacks_is_refused),
        ROW(no_limit_is_passed_over_where_there_is_none),
        ROW(names_that_lead_elsewhere_are_refused),
        ROW(memory_and_swap_are_raised_and_lowered),
        ROW(quota_period_and_burst_are_changed_together),
        ROW(what_an_engine_sets_is_set),
        ROW(a_limit_below_what_is_used_is_refused_when_asked),
        ROW(v2_has_what_the_host_gives),
        ROW(v1_has_no_files_of_v2),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
