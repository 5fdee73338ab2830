/* test_rpc_messages.c - each message of the task service, of the
 * sandbox services and of their events, with all that it has,
 * as bytes made by hand from its .proto; and which code an error is. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "rpc/call.h"
#include "rpc/event_messages.h"
#include "rpc/pod_messages.h"
#include "rpc/sandbox_messages.h"
#include "rpc/task_messages.h"
#include "check.h"

/* A record has BYTES, and they have the record. What the record's bytes are once it was read tells
 * of each member, as all of them differ. */
static void check_bytes(const struct cl_wire_shape *shape, const void *record,
                        const struct cl_bytes *bytes)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 16);
    CL_CLEANUP_BUF struct cl_buf first = CL_BUF_INIT(4096);
    CL_CLEANUP_BUF struct cl_buf again = CL_BUF_INIT(4096);
    void *back = cl_arena_alloc(&arena, shape->size);
    struct cl_error err = {0};

    CHECK(cl_wire_write(shape, record, &first) == 0);
    CHECK(first.size == bytes->size && memcmp(cl_buf_text(&first), bytes->data, bytes->size) == 0);
    CHECK(cl_wire_read(shape, bytes, &arena, back, &err) == 0);
    CHECK(cl_wire_write(shape, back, &again) == 0);
    CHECK(again.size == bytes->size && memcmp(cl_buf_text(&again), bytes->data, bytes->size) == 0);
    if (check_failures > 0)
        printf("# %s: %s\n", shape->name, err.msg);
    CHECK(shape->count <= CL_WIRE_FIELDS_MOST);
}
#define CHECK_BYTES(name, text, ...)                                                               \
    check_bytes(&name##_shape, &(const struct name){__VA_ARGS__},                                  \
                &(const struct cl_bytes){(text), sizeof(text) - 1})

static const struct cl_msg_any any = {"t/x", {"\0\xff", 2}};
#define ANY_BYTES "\x0a\x03t/x\x12\x02\0\xff" /* 9 of them */
static const struct cl_msg_time late = {1700000000, 999999999};
#define TIME_BYTES "\x08\x80\xe2\xcf\xaa\x06\x10\xff\x93\xeb\xdc\x03" /* 12 */

static const char *const options[] = {"ro", "mode=1"};
static const struct cl_msg_mount mounts[] = {
    {"overlay", "none", "", {options, 2}},
    {"tmpfs", "s", "/t", {NULL, 0}},
};
#define MOUNT_BYTES "\x0a\x07overlay\x12\x04none\x22\x02ro\x22\x06mode=1" /* 27 */
#define OTHER_MOUNT_BYTES "\x0a\x05tmpfs\x12\x01s\x1a\x02/t"              /* 14 */

TEST(what_others_consist_of)
{
    CHECK_BYTES(cl_msg_any, ANY_BYTES, any.type_url, any.value);
    CHECK_BYTES(cl_msg_time, TIME_BYTES, late.seconds, late.nanos);
    CHECK_BYTES(cl_msg_time, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", UINT64_MAX, 0);
    CHECK_BYTES(cl_msg_empty, "", .nothing = 0);
    CHECK_BYTES(cl_msg_pair, "\x0a\x01k\x12\x02vv", "k", "vv");
    CHECK_BYTES(cl_msg_status, "\x08\x05\x12\x04none", CL_RPC_NOT_FOUND, "none");
    CHECK_BYTES(cl_msg_mount, MOUNT_BYTES, .type = "overlay", .source = "none",
                .options = {options, 2});
    CHECK_BYTES(cl_msg_mount, OTHER_MOUNT_BYTES, .type = "tmpfs", .source = "s", .target = "/t");
}

TEST(a_time_is_seconds_and_what_is_left)
{
    const struct cl_msg_time got = cl_msg_time_of(1700000000999999999);

    CHECK(got.seconds == 1700000000 && got.nanos == 999999999);
    CHECK(cl_msg_time_of(0).seconds == 0 && cl_msg_time_of(CL_NS_PER_S).nanos == 0);
}

TEST(what_creates_a_task)
{
    CHECK_BYTES(cl_msg_create,
                "\x0a\x02id\x12\x02/p\x1a\x1b" MOUNT_BYTES "\x1a\x0e" OTHER_MOUNT_BYTES
                "\x20\x01\x2a\x01i\x32\x01o\x3a\x01r\x42\x02kp\x4a\x02pp\x52\x09" ANY_BYTES,
                .id = "id", .bundle = "/p", .rootfs = {mounts, 2}, .terminal = 1, .in = "i",
                .out = "o", .error = "r", .checkpoint = "kp", .parent_checkpoint = "pp",
                .options = &any);
    CHECK_BYTES(cl_msg_exec,
                "\x0a\x02id\x12\x02xx\x18\x01\x22\x01i\x2a\x01o\x32\x01r\x3a\x09" ANY_BYTES,
                .id = "id", .exec_id = "xx", .terminal = 1, .in = "i", .out = "o", .error = "r",
                .spec = &any);
}

TEST(what_asks_for_a_process)
{
    CHECK_BYTES(cl_msg_name, "\x0a\x02id\x12\x02xx", .id = "id", .exec_id = "xx");
    CHECK_BYTES(cl_msg_resize, "\x0a\x02id\x12\x02xx\x18\x50\x20\x18", .id = "id", .exec_id = "xx",
                .width = 80, .height = 24);
    CHECK_BYTES(cl_msg_kill, "\x0a\x02id\x12\x02xx\x18\x09\x20\x01", .id = "id", .exec_id = "xx",
                .signal = 9, .all = 1);
    CHECK_BYTES(cl_msg_close_io, "\x0a\x02id\x12\x02xx\x18\x01", .id = "id", .exec_id = "xx",
                .in = 1);
    CHECK_BYTES(cl_msg_shutdown, "\x0a\x02id\x10\x01", .id = "id", .now = 1);
    static const struct cl_msg_pair pairs[] = {{"k", "v"}, {"l", "w"}};
    CHECK_BYTES(cl_msg_update,
                "\x0a\x02id\x12\x09" ANY_BYTES
                "\x1a\x06\x0a\x01k\x12\x01v\x1a\x06\x0a\x01l\x12\x01w",
                .id = "id", .resources = &any, .annotations = {pairs, 2});
}

TEST(what_answers)
{
    CHECK_BYTES(cl_msg_pid, "\x08\xac\x02", .pid = 300);
    CHECK_BYTES(cl_msg_deleted, "\x08\xac\x02\x10\x89\x01\x1a\x0c" TIME_BYTES, .pid = 300,
                .exit_status = 137, .exited_at = &late);
    CHECK_BYTES(cl_msg_state,
                "\x0a\x02id\x12\x02/p\x18\xac\x02\x20\x03\x2a\x01i\x32\x01o\x3a\x01r\x40\x01\x48"
                "\x89\x01\x52\x0c" TIME_BYTES "\x5a\x02xx",
                .id = "id", .bundle = "/p", .pid = 300, .status = CL_TASK_STOPPED, .in = "i",
                .out = "o", .error = "r", .terminal = 1, .exit_status = 137, .exited_at = &late,
                .exec_id = "xx");
    static const struct cl_msg_process processes[] = {{300, NULL}, {2, &any}};
    CHECK_BYTES(cl_msg_process, "\x08\x02\x12\x09" ANY_BYTES, .pid = 2, .info = &any);
    CHECK_BYTES(cl_msg_pids, "\x0a\x03\x08\xac\x02\x0a\x0d\x08\x02\x12\x09" ANY_BYTES,
                .processes = {processes, 2});
    CHECK_BYTES(cl_msg_process_details, "\x0a\x02xx", .exec_id = "xx");
    CHECK_BYTES(cl_msg_waited, "\x08\x89\x01\x12\x0c" TIME_BYTES, .exit_status = 137,
                .exited_at = &late);
    CHECK_BYTES(cl_msg_stats, "\x0a\x09" ANY_BYTES, .stats = &any);
    CHECK_BYTES(cl_msg_connected, "\x08\x07\x10\xac\x02\x1a\x02v2", .shim_pid = 7, .task_pid = 300,
                .version = "v2");
}

TEST(what_is_asked_of_a_sandbox)
{
    static const struct cl_msg_pair pairs[] = {{"k", "v"}};
    static const struct cl_msg_sandbox_runtime runtime = {"rt", &any};
    static const struct cl_msg_sandbox sandbox = {"id", &runtime};

    CHECK_BYTES(cl_msg_sandbox_name, "\x0a\x02id", .id = "id");
    CHECK_BYTES(cl_msg_sandbox_create,
                "\x0a\x02id\x12\x02/p\x1a\x1b" MOUNT_BYTES "\x1a\x0e" OTHER_MOUNT_BYTES
                "\x22\x09" ANY_BYTES "\x2a\x02/n\x32\x06\x0a\x01k\x12\x01v",
                .id = "id", .bundle = "/p", .rootfs = {mounts, 2}, .options = &any, .netns = "/n",
                .annotations = {pairs, 1});
    CHECK_BYTES(cl_msg_sandbox_runtime, "\x0a\x02rt\x12\x09" ANY_BYTES, "rt", &any);
    CHECK_BYTES(cl_msg_sandbox, "\x0a\x02id\x12\x0f\x0a\x02rt\x12\x09" ANY_BYTES, "id", &runtime);
    CHECK_BYTES(cl_msg_controller_create,
                "\x0a\x02id\x12\x1b" MOUNT_BYTES "\x1a\x09" ANY_BYTES
                "\x22\x02/n\x2a\x06\x0a\x01k\x12\x01v\x32\x15"
                "\x0a\x02id\x12\x0f\x0a\x02rt\x12\x09" ANY_BYTES,
                .id = "id", .rootfs = {mounts, 1}, .options = &any, .netns = "/n",
                .annotations = {pairs, 1}, .sandbox = &sandbox);
    CHECK_BYTES(cl_msg_sandbox_stop, "\x0a\x02id\x10\x1e", .id = "id", .timeout_s = 30);
    CHECK_BYTES(cl_msg_sandbox_ask, "\x0a\x02id\x10\x01", .id = "id", .verbose = 1);
}

TEST(what_is_told_of_a_sandbox)
{
    static const struct cl_msg_pair pairs[] = {{"k", "v"}};
    static const struct cl_msg_platform platform = {"linux", "arm64", "v8"};
    static const struct cl_msg_metric metric = {&late, "id", &any};

    CHECK_BYTES(cl_msg_sandbox_started, "\x08\xac\x02\x12\x0c" TIME_BYTES, 300, &late);
    CHECK_BYTES(cl_msg_controller_started,
                "\x0a\x02id\x10\xac\x02\x1a\x0c" TIME_BYTES "\x22\x06\x0a\x01k\x12\x01v\x2a\x01"
                "a\x30\x03",
                .id = "id", .pid = 300, .created_at = &late, .labels = {pairs, 1}, .address = "a",
                .version = 3);
    CHECK_BYTES(cl_msg_platform,
                "\x0a\x05linux\x12\x05"
                "arm64\x1a\x02v8",
                "linux", "arm64", "v8");
    CHECK_BYTES(cl_msg_platform_told,
                "\x0a\x12\x0a\x05linux\x12\x05"
                "arm64\x1a\x02v8",
                &platform);
    CHECK_BYTES(cl_msg_sandbox_status,
                "\x0a\x02id\x10\xac\x02\x1a\x0d" CL_SANDBOX_READY "\x22\x06\x0a\x01k\x12\x01v"
                "\x2a\x0c" TIME_BYTES "\x32\x0c" TIME_BYTES "\x3a\x09" ANY_BYTES "\x42\x01"
                "a\x48\x03",
                .id = "id", .pid = 300, .state = CL_SANDBOX_READY, .info = {pairs, 1},
                .created_at = &late, .exited_at = &late, .extra = &any, .address = "a",
                .version = 3);
    CHECK_BYTES(cl_msg_metric, "\x0a\x0c" TIME_BYTES "\x12\x02id\x1a\x09" ANY_BYTES, &late, "id",
                &any);
    CHECK_BYTES(cl_msg_metrics, "\x0a\x1d\x0a\x0c" TIME_BYTES "\x12\x02id\x1a\x09" ANY_BYTES,
                &metric);
}

static const struct cl_msg_pod_map map[] = {{100000, 0, 65536}};
#define MAP_BYTES "\x08\xa0\x8d\x06\x18\x80\x80\x04" /* 8; the second is 0 */
static const struct cl_msg_pod_users users = {CL_POD_MODE_NODE, {map, 1}, {map, 1}};
#define USERS_BYTES "\x08\x02\x12\x08" MAP_BYTES "\x1a\x08" MAP_BYTES /* 22 */
static const struct cl_msg_pod_namespaces namespaces = {CL_POD_MODE_NODE, CL_POD_MODE_CONTAINER,
                                                        CL_POD_MODE_TARGET, &users};
#define NAMESPACES_BYTES "\x08\x02\x10\x01\x18\x03\x2a\x16" USERS_BYTES /* 30 */

TEST(what_the_cri_says_of_a_pod)
{
    static const char *const servers[] = {"1.2.3.4", "::1"};
    static const struct cl_msg_pod_dns dns = {{servers, 2}, {servers, 1}, {options, 1}};
    static const struct cl_msg_pod_metadata metadata = {"n", "u", "s", 2};
    static const struct cl_msg_pod_security security = {&namespaces};
    static const struct cl_msg_pair sysctls[] = {{"net.x", "1"}};
    static const struct cl_msg_pod_linux linux_part = {"/g", &security, {sysctls, 1}};

    CHECK_BYTES(cl_msg_pod_metadata, "\x0a\x01n\x12\x01u\x1a\x01s\x20\x02", "n", "u", "s", 2);
    CHECK_BYTES(cl_msg_pod_dns,
                "\x0a\x07"
                "1.2.3.4\x0a\x03::1\x12\x07"
                "1.2.3.4\x1a\x02ro",
                dns.servers, dns.searches, dns.options);
    CHECK_BYTES(cl_msg_pod_map, MAP_BYTES, 100000, 0, 65536);
    CHECK_BYTES(cl_msg_pod_users, USERS_BYTES, users.mode, users.uids, users.gids);
    CHECK_BYTES(cl_msg_pod_namespaces, NAMESPACES_BYTES, namespaces.network, namespaces.pid,
                namespaces.ipc, &users);
    CHECK_BYTES(cl_msg_pod_security, "\x0a\x1e" NAMESPACES_BYTES, &namespaces);
    CHECK_BYTES(cl_msg_pod_linux,
                "\x0a\x02/g\x12\x20\x0a\x1e" NAMESPACES_BYTES "\x1a\x0a\x0a\x05net.x\x12\x01"
                "1",
                "/g", &security, {sysctls, 1});
    CHECK_BYTES(cl_msg_pod,
                "\x0a\x0b\x0a\x01n\x12\x01u\x1a\x01s\x20\x02\x12\x01h\x22\x1b\x0a\x07"
                "1.2.3.4"
                "\x0a\x03::1\x12\x07"
                "1.2.3.4\x1a\x02ro\x3a\x0a\x0a\x05net.x\x12\x01"
                "1\x42\x32\x0a\x02/g\x12\x20\x0a\x1e" NAMESPACES_BYTES
                "\x1a\x0a\x0a\x05net.x\x12\x01"
                "1",
                &metadata, "h", &dns, {sysctls, 1}, &linux_part);
    CHECK(CL_POD_MODE_POD == 0 && CL_POD_MODE_CONTAINER == 1 && CL_POD_MODE_NODE == 2);
}

TEST(a_pod_that_is_none_is_refused)
{
    static const struct cl_bytes hostile[] = {
        {"\x12\x05h", 3},                        /* a hostname that is longer than all */
        {"\x12\x02h\0", 4},                      /* with a NUL */
        {"\x12\x02\xc3\x28", 4},                 /* no UTF-8 */
        {"\x42\x04\x12\x02\x0a\x7f", 6},         /* a context that ends too late */
        {"\x42\x03\x1a\x01\x0a", 5},             /* half a setting */
        {"\x42\x06\x12\x04\x0a\x02\x08\xff", 8}, /* a mode that doesn't end */
        {"\x13\x14", 2},                         /* a group */
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(hostile); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 16);
        struct cl_msg_pod pod = {0};
        struct cl_error err = {0};

        CHECK(cl_wire_read(&cl_msg_pod_shape, &hostile[i], &arena, &pod, &err) == -EBADMSG);
        CHECK(strlen(err.msg) > 0);
    }
}

TEST(a_task_has_the_states_of_containerd)
{
    CHECK(CL_TASK_UNKNOWN == 0 && CL_TASK_CREATED == 1 && CL_TASK_RUNNING == 2);
    CHECK(CL_TASK_STOPPED == 3 && CL_TASK_PAUSED == 4 && CL_TASK_PAUSING == 5);
}

TEST(what_tells_of_a_task)
{
    static const struct cl_msg_task_io io = {"i", "o", "r", 1};
    static const struct cl_msg_envelope envelope = {&late, "k8s.io", "/tasks/oom", &any};

    CHECK_BYTES(cl_msg_task_io, "\x0a\x01i\x12\x01o\x1a\x01r\x20\x01", .in = "i", .out = "o",
                .error = "r", .terminal = 1);
    CHECK_BYTES(cl_msg_task_create,
                "\x0a\x02id\x12\x02/p\x1a\x1b" MOUNT_BYTES "\x1a\x0e" OTHER_MOUNT_BYTES
                "\x22\x0b\x0a\x01i\x12\x01o\x1a\x01r\x20\x01\x2a\x02kp\x30\xac\x02",
                .container_id = "id", .bundle = "/p", .rootfs = {mounts, 2}, .io = &io,
                .checkpoint = "kp", .pid = 300);
    CHECK_BYTES(cl_msg_task_start, "\x0a\x02id\x10\xac\x02", .container_id = "id", .pid = 300);
    CHECK_BYTES(cl_msg_task_exit, "\x0a\x02id\x12\x02xx\x18\xac\x02\x20\x89\x01\x2a\x0c" TIME_BYTES,
                .container_id = "id", .id = "xx", .pid = 300, .exit_status = 137,
                .exited_at = &late);
    CHECK_BYTES(
        cl_msg_task_delete, "\x0a\x02id\x10\xac\x02\x18\x89\x01\x22\x0c" TIME_BYTES "\x2a\x02xx",
        .container_id = "id", .pid = 300, .exit_status = 137, .exited_at = &late, .id = "xx");
    CHECK_BYTES(cl_msg_task_changed, "\x0a\x02id", .container_id = "id");
    CHECK_BYTES(cl_msg_task_changed, "\x0a\x02id\x12\x02xx\x18\xac\x02", .container_id = "id",
                .exec_id = "xx", .pid = 300);
    CHECK_BYTES(cl_msg_envelope,
                "\x0a\x0c" TIME_BYTES "\x12\x06k8s.io\x1a\x0a/tasks/oom\x22\x09" ANY_BYTES,
                .at = &late, .space = "k8s.io", .topic = "/tasks/oom", .event = &any);
    CHECK_BYTES(cl_msg_forward,
                "\x0a\x2d\x0a\x0c" TIME_BYTES "\x12\x06k8s.io\x1a\x0a/tasks/oom\x22\x09" ANY_BYTES,
                .envelope = &envelope);
}

/* --- calls --------------------------------------------------------------------------------- */

/* google/rpc/code.proto's numbers. */
TEST(each_error_has_a_code)
{
    static const struct {
        int errnum;
        int code;
    } expected[] = {
        {EINVAL, 3},  {EBADMSG, 3},  {ETIMEDOUT, 4}, {ENOENT, 5}, {ESRCH, 5},  {EEXIST, 6},
        {EPERM, 7},   {EACCES, 7},   {E2BIG, 8},     {EFBIG, 8},  {ENOMEM, 8}, {EBUSY, 9},
        {ENOSYS, 12}, {ENOTSUP, 12}, {EAGAIN, 14},   {EIO, 2},    {EPROTO, 2},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(expected); i++) {
        const struct cl_error err = {.code = expected[i].errnum};

        CHECK((int)cl_rpc_code_of(&err) == expected[i].code);
    }
    CHECK(CL_RPC_CANCELLED == 1 && CL_RPC_INTERNAL == 13);
}

TEST(a_method_is_found_by_both_names)
{
    static const struct cl_rpc_method methods[] = {
        {.service = "a.B", .name = "One"},
        {.service = "a.B", .name = "Two"},
        {.service = "a.C", .name = "One"},
    };
    const struct cl_rpc_service service = {.methods = methods, .count = CL_ARRAY_SIZE(methods)};

    CHECK(cl_rpc_find(&service, "a.B", "One") == &methods[0]);
    CHECK(cl_rpc_find(&service, "a.B", "Two") == &methods[1]);
    CHECK(cl_rpc_find(&service, "a.C", "One") == &methods[2]);
    CHECK(cl_rpc_find(&service, "a.C", "Two") == NULL);
    CHECK(cl_rpc_find(&service, "a.b", "One") == NULL);
    CHECK(cl_rpc_find(&service, "", "") == NULL);
    CHECK(cl_rpc_find(&service, "a.B", "On") == NULL);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_others_consist_of),
        ROW(a_time_is_seconds_and_what_is_left),
        ROW(what_creates_a_task),
        ROW(what_asks_for_a_process),
        ROW(what_answers),
        ROW(what_is_asked_of_a_sandbox),
        ROW(what_is_told_of_a_sandbox),
        ROW(what_the_cri_says_of_a_pod),
        ROW(a_pod_that_is_none_is_refused),
        ROW(a_task_has_the_states_of_containerd),
        ROW(what_tells_of_a_task),
        ROW(each_error_has_a_code),
        ROW(a_method_is_found_by_both_names),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
