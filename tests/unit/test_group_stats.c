/* test_group_stats.c - what an OCI container uses, as JSON: each member of plain files that pass
 * for a cgroup's, and what a real one tells. */
#include "group_scene.h"
#include "room.h"

struct plain_file {
    const char *name;
    const char *text;
};

static const struct plain_file v1_files[] = {
    {"cpuacct.usage", "123456789\n"},
    {"cpuacct.usage_percpu", "100 23 \n"},
    {"cpuacct.usage_percpu_sys", "1 2 \n"},
    {"cpuacct.usage_percpu_user", "\n"},
    {"cpuacct.usage_sys", "3\n"},
    {"cpuacct.usage_user", "4\n"},
    {"cpu.stat", "nr_periods 5\nnr_throttled 2\nthrottled_time 700\nwait_sum 1\n"},
    {"memory.stat", "cache 11\nrss 12\nbad x\nworse\n"},
    {"memory.limit_in_bytes", "9223372036854771712\n"},
    {"memory.usage_in_bytes", "13\n"},
    {"memory.max_usage_in_bytes", "14\n"},
    {"memory.failcnt", "0\n"},
    {"memory.memsw.usage_in_bytes", "15\n"},
    {"memory.kmem.tcp.failcnt", "1\n"},
    {"pids.current", "3\n"},
    {"pids.max", "max\n"},
    {"blkio.throttle.io_service_bytes_recursive",
     "8:0 Read 4096\n8:0 Write 0\n8:0 Total 4096\n253:1 Read 7\nTotal 4103\n8: 1\n8:0 Read x\n"},
    {"blkio.throttle.io_serviced_recursive", "Total 0\n"},
    {"hugetlb.2MB.usage_in_bytes", "2097152\n"},
    {"hugetlb.2MB.max_usage_in_bytes", "4194304\n"},
    {"hugetlb.2MB.failcnt", "6\n"},
    {"hugetlb.2MB.rsvd.usage_in_bytes", "8\n"},
};

static const char v1_text[] =
    "{\"cpu\":{\"usage\":{\"total\":123456789,\"percpu\":[100,23],\"percpu_kernel\":[1,2],"
    "\"percpu_user\":[],\"kernel\":3,\"user\":4},"
    "\"throttling\":{\"periods\":5,\"throttledPeriods\":2,\"throttledTime\":700}},"
    "\"memory\":{\"cache\":11,"
    "\"usage\":{\"limit\":9223372036854771712,\"usage\":13,\"max\":14,\"failcnt\":0},"
    "\"swap\":{\"usage\":15},\"kernel\":{},\"kernelTCP\":{\"failcnt\":1},"
    "\"raw\":{\"cache\":11,\"rss\":12}},"
    "\"pids\":{\"current\":3,\"limit\":0},"
    "\"blkio\":{\"ioServiceBytesRecursive\":["
    "{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":4096},"
    "{\"major\":8,\"minor\":0,\"op\":\"Write\",\"value\":0},"
    "{\"major\":8,\"minor\":0,\"op\":\"Total\",\"value\":4096},"
    "{\"major\":253,\"minor\":1,\"op\":\"Read\",\"value\":7}],"
    "\"ioServicedRecursive\":[]},"
    "\"hugetlb\":{\"2MB\":{\"usage\":2097152,\"max\":4194304,\"failcnt\":6}}}\n";

static const struct plain_file v2_files[] = {
    {"cpu.stat", "usage_usec 1000\nuser_usec 600\nsystem_usec 400\nnr_periods 5\nnr_throttled 2\n"
                 "throttled_usec 7\n"},
    {"memory.stat", "anon 1\nfile 2\n"},
    {"memory.max", "100\n"},
    {"memory.current", "50\n"},
    {"memory.peak", "70\n"},
    {"memory.events", "low 0\nhigh 0\nmax 9\noom 0\noom_kill 0\n"},
    {"memory.swap.max", "max\n"},
    {"memory.swap.current", "5\n"},
    {"memory.swap.events", "high 0\nmax 1\nfail 0\n"},
    {"pids.current", "3\n"},
    {"pids.max", "17\n"},
    {"io.stat", "8:0 rbytes=4096 wbytes=1 rios=2 wios=3 dbytes=0 dios=0\n253:0 rbytes=x wios=8\n"},
    {"hugetlb.1GB.current", "0\n"},
    {"hugetlb.1GB.events", "max 4\n"},
};

static const char v2_text[] =
    "{\"cpu\":{\"usage\":{\"total\":1000000,\"kernel\":400000,\"user\":600000},"
    "\"throttling\":{\"periods\":5,\"throttledPeriods\":2,\"throttledTime\":7000}},"
    "\"memory\":{\"cache\":2,"
    "\"usage\":{\"limit\":100,\"usage\":50,\"max\":70,\"failcnt\":9},"
    "\"swap\":{\"limit\":18446744073709551615,\"usage\":55,\"failcnt\":1},"
    "\"raw\":{\"anon\":1,\"file\":2}},"
    "\"pids\":{\"current\":3,\"limit\":17},"
    "\"blkio\":{\"ioServiceBytesRecursive\":["
    "{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":4096},"
    "{\"major\":8,\"minor\":0,\"op\":\"Write\",\"value\":1},"
    "{\"major\":8,\"minor\":0,\"op\":\"Discard\",\"value\":0}],"
    "\"ioServicedRecursive\":["
    "{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":2},"
    "{\"major\":8,\"minor\":0,\"op\":\"Write\",\"value\":3},"
    "{\"major\":8,\"minor\":0,\"op\":\"Discard\",\"value\":0},"
    "{\"major\":253,\"minor\":0,\"op\":\"Write\",\"value\":8}]},"
    "\"hugetlb\":{\"1GB\":{\"usage\":0,\"failcnt\":4}}}\n";

static void make_plain(enum cl_cgroup_layout layout, struct cl_group *ret)
{
    *ret = (struct cl_group){.count = 1, .place = {.layout = layout}};
    ret->dirs[0].parent = -1;
    ret->dirs[0].dir = cl_sys_openat(AT_FDCWD, "/mnt", O_PATH | O_DIRECTORY, 0);
    (void)snprintf(ret->dirs[0].name, sizeof(ret->dirs[0].name), "%s",
                   layout == CL_CGROUP_V2 ? "unified" : "cpu,cpuacct,memory,pids,blkio,hugetlb");
}

static int write_stats(const struct cl_group *group, struct cl_buf *buf)
{
    struct cl_json json;

    cl_json_begin(&json, buf, 0);
    cl_group_stats(group, &json, NULL);
    return cl_json_end(&json);
}

static void write_files(const struct plain_file *files, size_t count)
{
    char path[128];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(path, sizeof(path), "/mnt/%s", files[i].name);
        CHECK(room_write(path, files[i].text) == 0);
    }
}

static void tell(enum cl_cgroup_layout layout, const char *expected)
{
    CL_CLEANUP(cl_group_close) struct cl_group group = {0};
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(65536);
    CL_CLEANUP_BUF struct cl_buf small = CL_BUF_INIT(100);
    const int before = check_count_fds();

    make_plain(layout, &group);
    CHECK(write_stats(&group, &buf) == 0);
    CHECK_TEXT(cl_buf_text(&buf), expected);
    CHECK(write_stats(&group, &small) == -EFBIG);
    CHECK(check_count_fds() == before + 1);
}

static void tell_v1(void)
{
    write_files(v1_files, CL_ARRAY_SIZE(v1_files));
    tell(CL_CGROUP_V1, v1_text);
}

static void tell_v2(void)
{
    write_files(v2_files, CL_ARRAY_SIZE(v2_files));
    tell(CL_CGROUP_V2, v2_text);
}

static const char nothing[] = "{\"cpu\":{\"usage\":{},\"throttling\":{}},"
                              "\"memory\":{\"usage\":{},\"swap\":{},\"kernel\":{},"
                              "\"kernelTCP\":{}},\"pids\":{},\"blkio\":{},\"hugetlb\":{}}\n";

static void tell_nothing(void)
{
    const struct cl_group none = {.place = {.manager = CL_GROUP_NONE}};
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(65536);

    tell(CL_CGROUP_V1, nothing);
    CHECK(write_stats(&none, &buf) == 0);
    CHECK_TEXT(cl_buf_text(&buf), nothing);
}

TEST(each_number_has_its_name)
{
    room_run(tell_v1);
    room_run(tell_v2);
}

TEST(what_is_not_told_is_left_out)
{
    room_run(tell_nothing);
}

/* Whatever fails, what is told is whole. */
static void tell_failing(void)
{
    CL_CLEANUP(cl_group_close) struct cl_group group = {0};
    int struck = 1;

    write_files(v1_files, CL_ARRAY_SIZE(v1_files));
    make_plain(CL_CGROUP_V1, &group);
    for (int n = 1; struck && n < 1000; n++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(65536);
        char fault[32];
        const int before = check_count_fds();

        (void)snprintf(fault, sizeof(fault), "syscall:%d", n);
        cl_fault_set(fault);
        const int r = write_stats(&group, &buf);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK(r == 0 && check_count_fds() == before);
        CHECK(struck || strcmp(cl_buf_text(&buf), v1_text) == 0);
        CHECK_HAS(cl_buf_text(&buf), "\"hugetlb\":{");
    }
    CHECK(!struck);
}

TEST(what_fails_is_left_out)
{
    room_run(tell_failing);
}

static void use_some(void)
{
    const uint64_t until = 30;
    struct timespec now = {0};

    while ((uint64_t)now.tv_nsec < until * 1000000 && now.tv_sec == 0) {
        if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) < 0)
            _exit(1);
    }
}

static void tell_real(void)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    struct group_spec spec;
    struct cl_group group = {0};

    group_spec_init(&spec, "");
    group_make(&spec, &group);
    CHECK(group_wait(group_start(&group, use_some)) == 0);
    CHECK(write_stats(&group, &buf) == 0);
    CHECK_HAS(cl_buf_text(&buf), "{\"cpu\":{\"usage\":{\"total\":");
    CHECK(strstr(cl_buf_text(&buf), "\"total\":0,") == NULL);
    CHECK_HAS(cl_buf_text(&buf), "\"kernel\":");
    if (cl_group_find(&group, "memory") != NULL && group.place.layout != CL_CGROUP_V2) {
        CHECK_HAS(cl_buf_text(&buf), "\"swap\":{\"limit\":");
        CHECK_HAS(cl_buf_text(&buf), "\"raw\":{\"cache\":");
        CHECK_HAS(cl_buf_text(&buf), "\"pids\":{\"current\":0,\"limit\":0}");
        CHECK_HAS(cl_buf_text(&buf), "\"ioServiceBytesRecursive\":[");
        CHECK_HAS(cl_buf_text(&buf), "\"percpu\":[");
    }
    group_remove(&group);
}

TEST(a_real_one_tells_what_it_used)
{
    group_in_view(VIEW_HOST, tell_real);
    group_in_view(VIEW_V2, tell_real);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_number_has_its_name),
        ROW(what_is_not_told_is_left_out),
        ROW(what_fails_is_left_out),
        ROW(a_real_one_tells_what_it_used),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
