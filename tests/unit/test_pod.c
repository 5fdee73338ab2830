/* test_pod.c - what a pod's configuration means to containerd's shim, the files that it gets, and
 * the birth of the process that holds it, each of whose calls is failed. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/pod.h"
#include "check.h"

enum { ROOM = 1 << 20 };

/* --- the configuration ------------------------------------------------------------------------ */

static struct cl_msg_pod config_of(const struct cl_msg_pod_linux *part)
{
    return (struct cl_msg_pod){.hostname = "job", .linux_part = part};
}

#define LINUX_PART(name, ...)                                                                      \
    const struct cl_msg_pod_namespaces name##_namespaces = {__VA_ARGS__};                          \
    const struct cl_msg_pod_security name##_security = {&name##_namespaces};                       \
    struct cl_msg_pod_linux name = {.cgroup_parent = "", .security = &name##_security}

TEST(options_are_a_pods_or_none)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ROOM);
    static const char *const types[] = {CL_POD_CONFIG_TYPE,
                                        "type.googleapis.com/" CL_POD_CONFIG_TYPE};
    struct cl_msg_pod config;
    struct cl_error err = {0};

    CHECK(cl_pod_read(NULL, &arena, &config, &err) == 0);
    CHECK(config.hostname[0] == '\0' && config.linux_part == NULL && config.dns == NULL);
    for (size_t i = 0; i < CL_ARRAY_SIZE(types); i++) {
        char bytes[] = "\x12\x01h";
        const struct cl_msg_any any = {types[i], {bytes, sizeof(bytes) - 1}};

        config = (struct cl_msg_pod){0};
        CHECK(cl_pod_read(&any, &arena, &config, &err) == 0);
        memset(bytes, 0xff, sizeof(bytes)); /* what was read is the arena's */
        CHECK_TEXT(config.hostname, "h");
    }
    const struct cl_msg_any other = {"runtime.v1.PodSandbox", {"", 0}};
    CHECK(cl_pod_read(&other, &arena, &config, &err) == -EINVAL);
    CHECK_HAS(err.msg, "runtime.v1.PodSandbox");
    const struct cl_msg_any hostile = {CL_POD_CONFIG_TYPE, {"\x12\x7fh", 3}};
    config = (struct cl_msg_pod){0};
    CHECK(cl_pod_read(&hostile, &arena, &config, &err) == -EBADMSG);
}

TEST(modes_are_namespaces)
{
    static const struct {
        uint32_t network, pid, ipc;
        uint64_t expected;
    } rows[] = {
        {CL_POD_MODE_POD, CL_POD_MODE_POD, CL_POD_MODE_POD,
         CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWUTS},
        {CL_POD_MODE_POD, CL_POD_MODE_CONTAINER, CL_POD_MODE_NODE, CLONE_NEWPID | CLONE_NEWUTS},
        {CL_POD_MODE_POD, CL_POD_MODE_NODE, CL_POD_MODE_POD, CLONE_NEWIPC | CLONE_NEWUTS},
        {CL_POD_MODE_NODE, CL_POD_MODE_POD, CL_POD_MODE_POD, CLONE_NEWIPC | CLONE_NEWPID},
        {CL_POD_MODE_NODE, CL_POD_MODE_NODE, CL_POD_MODE_NODE, 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ROOM);
        CL_CLEANUP(cl_pod_done) struct cl_pod pod = CL_POD_INIT;
        LINUX_PART(part, rows[i].network, rows[i].pid, rows[i].ipc, NULL);
        const struct cl_msg_pod config = config_of(&part);
        const int is_nodes = rows[i].network == CL_POD_MODE_NODE;
        struct cl_error err = {0};

        CHECK(cl_pod_decide(&config, is_nodes ? "" : "/proc/self/ns/net", &arena, &pod, &err) == 0);
        CHECK(pod.namespaces == rows[i].expected && (pod.net < 0) == is_nodes && pod.users < 0);
        CHECK_TEXT(pod.hostname, is_nodes ? "" : "job");
        CHECK(pod.files.count == (is_nodes ? 0 : 4));
    }
}

/* Of the part alone: 0, or the error whose text is in ERR. */
static int decide(const struct cl_msg_pod_linux *part, const char *netns, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ROOM);
    CL_CLEANUP(cl_pod_done) struct cl_pod pod = CL_POD_INIT;
    const struct cl_msg_pod config = config_of(part);

    *err = (struct cl_error){0};
    return cl_pod_decide(&config, netns, &arena, &pod, err);
}

TEST(settings_are_the_pods_own)
{
    static const struct {
        const char *key;
        int expected;
        const char *word;
    } rows[] = {
        {"net.ipv4.ip_forward", 0, ""},
        {"net/ipv4/conf/eth0.1/rp_filter", 0, ""},
        {"kernel.shmmax", 0, ""},
        {"fs.mqueue.msg_max", 0, ""},
        {"kernel.hostname", 0, ""},
        {"kernel.panic", -EINVAL, "it is the host's"},
        {"kernel.shmmax2", -EINVAL, "it is the host's"},
        {"kernel.sem.x", -EINVAL, "it is the host's"},
        {"fs.file-max", -EINVAL, "it is the host's"},
        {"user.max_user_namespaces", -EINVAL, "from the host"},
        {"net/../kernel/panic", -EINVAL, "no setting"},
        {"fs.mqueue.//kernel.panic", -EINVAL, "no setting"},
        {"", -EINVAL, "it is the host's"},
        {"net", -EINVAL, "it is the host's"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const struct cl_msg_pair pair = {rows[i].key, "1"};
        struct cl_error err;
        LINUX_PART(part, CL_POD_MODE_POD, CL_POD_MODE_POD, CL_POD_MODE_POD, NULL);

        part.sysctls = (struct cl_wire_list){&pair, 1};
        CHECK(decide(&part, "/proc/self/ns/net", &err) == rows[i].expected);
        CHECK_HAS(err.msg, rows[i].word);
    }
}

TEST(paths_are_those_of_sysctl)
{
    static const struct cl_msg_pair pairs[] = {
        {"net.ipv4.conf.eth0/1.rp_filter", "2"},
        {"net/ipv4/conf/eth0.1/rp_filter", "3"},
        {"net.ipv4.ping_group_range", "1 0"},
    };
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ROOM);
    CL_CLEANUP(cl_pod_done) struct cl_pod pod = CL_POD_INIT;
    struct cl_error err = {0};
    LINUX_PART(part, CL_POD_MODE_POD, CL_POD_MODE_POD, CL_POD_MODE_POD, NULL);

    part.sysctls = (struct cl_wire_list){pairs, CL_ARRAY_SIZE(pairs)};
    const struct cl_msg_pod config = config_of(&part);
    CHECK(cl_pod_decide(&config, "/proc/self/ns/net", &arena, &pod, &err) == 0);
    CHECK(pod.files.count == 8);
    CHECK_TEXT(pod.files.items[0], "net/ipv4/ip_unprivileged_port_start");
    CHECK_TEXT(pod.files.items[2], "net/ipv4/conf/eth0.1/rp_filter");
    CHECK_TEXT(pod.files.items[4], "net/ipv4/conf/eth0.1/rp_filter");
    CHECK_TEXT(pod.files.items[6], "net/ipv4/ping_group_range");
    CHECK_TEXT(pod.files.items[7], "1 0");
}

TEST(what_no_pod_can_have_is_refused)
{
    static const struct cl_msg_pod_users each = {.mode = CL_POD_MODE_CONTAINER};
    static const struct cl_msg_pod_users all = {.mode = CL_POD_MODE_POD}; /* without a map */
    static const struct {
        struct cl_msg_pod_namespaces modes;
        const char *netns;
        const char *word;
    } rows[] = {
        {{.network = CL_POD_MODE_TARGET}, "/proc/self/ns/net", "namespace_options.network"},
        {{.pid = 77}, "/proc/self/ns/net", "namespace_options.pid"},
        {{.ipc = UINT32_MAX}, "/proc/self/ns/net", "namespace_options.ipc"},
        {{.network = CL_POD_MODE_POD}, "", "none is named"},
        {{.network = CL_POD_MODE_NODE}, "/proc/self/ns/net", "one is named"},
        {{.network = CL_POD_MODE_POD}, "proc/self/ns/net", "no absolute path"},
        {{.network = CL_POD_MODE_POD}, "/proc/self/ns/uts", "no network namespace"},
        {{.network = CL_POD_MODE_POD}, "/dev/null", "no network namespace"},
        {{.network = CL_POD_MODE_POD}, "/proc/self/ns/none", "open /proc/self/ns/none"},
        {{.network = CL_POD_MODE_NODE, .users = &each}, "", "userns_options.mode"},
        {{.network = CL_POD_MODE_NODE, .users = &all}, "", "1 to"},
    };
    const int before = check_count_fds();

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const struct cl_msg_pod_security security = {&rows[i].modes};
        const struct cl_msg_pod_linux part = {.cgroup_parent = "", .security = &security};
        struct cl_error err;

        CHECK(decide(&part, rows[i].netns, &err) < 0);
        CHECK_HAS(err.msg, rows[i].word);
    }
    CHECK(check_count_fds() == before);
}

/* --- its birth -------------------------------------------------------------------------------- */

static char *const words[] = {(char[]){"program"}, (char[]){"--secret"}, NULL};

static struct cl_pod small_pod(void)
{
    static const char *const files[] = {"kernel/shm_rmid_forced", "1"};
    struct cl_pod pod = CL_POD_INIT;

    pod.hostname = "job";
    pod.namespaces = CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID;
    pod.files = (struct cl_strlist){files, 2};
    pod.words = words;
    return pod;
}

/* None is left but those that PID names (0: none), which is ended. */
static void end_all(pid_t pid)
{
    int status;

    if (pid != 0)
        CHECK(kill(pid, SIGKILL) == 0);
    while (waitpid(-1, &status, 0) > 0)
        ;
    CHECK(errno == ECHILD);
}

TEST(it_holds_what_it_was_asked_for)
{
    char link[64];
    char here[64];
    char there[64];

    if (geteuid() != 0)
        SKIP_TEST("makes namespaces, and is root's");
    const struct cl_pod pod = small_pod();
    struct cl_error err = {0};
    pid_t pid = 0;
    const int before = check_count_fds();
    CHECK(cl_pod_start(&pod, &pid, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(check_count_fds() == before && pid > 0);
    (void)snprintf(link, sizeof(link), "/proc/%d/ns/ipc", pid);
    const ssize_t size = readlink(link, there, sizeof(there));
    CHECK(size > 0 && readlink("/proc/self/ns/ipc", here, sizeof(here)) == size);
    CHECK(size > 0 && memcmp(here, there, (size_t)size) != 0);
    CHECK_TEXT(words[1], "--secret"); /* it has written over its own alone */
    end_all(pid);
}

/* Walks N until nothing fails: the Nth call of each of the three. (A process that has its filter
 * can't ask who it is.) */
static void fail_each(void)
{
    enum { MOST = 400, WELL = 40 };
    const struct cl_pod pod = small_pod();
    int failed = 0;
    int went_well = 0; /* in a row: some failures change nothing */

    for (int n = 1; n < MOST && went_well < WELL; n++) {
        struct cl_error err = {0};
        pid_t pid = 0;
        char text[64];
        const int before = check_count_fds();

        (void)snprintf(text, sizeof(text), "syscall:%d", n);
        cl_fault_set(text);
        const int r = cl_pod_start(&pod, &pid, &err);
        cl_fault_set(NULL);
        CHECK(check_count_fds() == before);
        CHECK((r == 0) == (pid > 0) && (r == 0) == (err.msg[0] == '\0'));
        failed += r < 0;
        went_well = r < 0 ? 0 : went_well + 1;
        end_all(r == 0 ? pid : 0);
    }
    CHECK(failed > 30 && went_well == WELL);
}

TEST(each_call_is_failed_and_told_and_nobody_is_left)
{
    if (geteuid() != 0)
        SKIP_TEST("makes namespaces, and is root's");
#ifndef CL_FAULTS
    SKIP_TEST("this build can't fail calls");
#else
    fail_each();
#endif
}

/* Whichever of them dies, and whenever: the others follow. */
TEST(who_dies_leaves_nobody)
{
    enum { MOST = 100 };

    if (geteuid() != 0)
        SKIP_TEST("makes namespaces, and is root's");
#ifndef CL_FAULTS
    SKIP_TEST("this build can't fail calls");
#else
    const struct cl_pod pod = small_pod();

    CHECK(cl_sys_prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    for (int n = 1; n < MOST; n++) {
        const pid_t shim = fork();

        if (shim == 0) {
            struct cl_error err = {0};
            pid_t pid;
            char text[64];

            (void)snprintf(text, sizeof(text), "dies:%d", n);
            cl_fault_set(text);
            _exit(cl_pod_start(&pod, &pid, &err) < 0);
        }
        end_all(0); /* or the alarm rings */
    }
#endif
}

/* --- its files -------------------------------------------------------------------------------- */

static void read_file(const char *dir, const char *name, char ret[4096])
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/pod/%s", dir, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd < 0 ? 0 : read(fd, ret, 4095);
    CHECK(fd >= 0 && size >= 0);
    ret[size < 0 ? 0 : size] = '\0';
    (void)close(fd);
}

static struct cl_msg_pod_dns dns_of(const char *const *server, const char *const *search)
{
    return (struct cl_msg_pod_dns){.servers = {server, server[0] != NULL},
                                   .searches = {search, search[0] != NULL}};
}

TEST(files_are_what_the_pod_says)
{
    char dir[] = "/tmp/cloister-pod-XXXXXX";
    char text[4096];
    static const char *const server[] = {"10.0.0.1"};
    static const char *const search[] = {"a.example"};
    static const char *const bad[] = {"10.0.0.1\noptions x", "10.0.0.1 x", "", "#", "a;b"};
    struct cl_pod pod = CL_POD_INIT; /* the host's IPC: no file system is mounted */
    struct cl_msg_pod_dns dns = dns_of(server, search);
    const struct cl_msg_pod config = {.hostname = "job", .dns = &dns};
    struct cl_error err = {0};

    CHECK(mkdtemp(dir) != NULL);
    pod.hostname = "job";
    const int before = check_count_fds();
    CHECK(cl_pod_make_files(dir, &config, &pod, &err) == 0);
    read_file(dir, "hostname", text);
    CHECK_TEXT(text, "job\n");
    read_file(dir, "resolv.conf", text);
    CHECK_TEXT(text, "search a.example\nnameserver 10.0.0.1\n");
    CHECK(cl_pod_make_files(dir, &config, &pod, &err) == 0); /* over those of a dead shim's */
    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        dns = dns_of(&bad[i], search);
        CHECK(cl_pod_make_files(dir, &config, &pod, &err) == -EINVAL);
        CHECK_HAS(err.msg, "dns_config");
        dns = dns_of(server, &bad[i]);
        CHECK(cl_pod_make_files(dir, &config, &pod, &err) == -EINVAL);
    }
    CHECK(check_count_fds() == before);
    cl_pod_remove_files(dir);
    CHECK(rmdir(dir) == 0); /* nothing is left */
}

TEST(each_call_for_files_is_failed_and_nothing_is_left)
{
#ifndef CL_FAULTS
    SKIP_TEST("this build can't fail calls");
#else
    char dir[] = "/tmp/cloister-pod-XXXXXX";
    const struct cl_pod pod = CL_POD_INIT;
    const struct cl_msg_pod config = {.hostname = ""};
    int has_struck = 1;

    CHECK(mkdtemp(dir) != NULL);
    for (int n = 1; has_struck && n < 200; n++) {
        struct cl_error err = {0};
        char text[64];

        (void)snprintf(text, sizeof(text), "syscall:%d", n);
        cl_fault_set(text);
        const int r = cl_pod_make_files(dir, &config, &pod, &err);
        has_struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK((r < 0) == (err.msg[0] != '\0'));
        cl_pod_remove_files(dir); /* where that was what failed */
        CHECK(has_struck || r == 0);
    }
    CHECK(!has_struck && rmdir(dir) == 0);
#endif
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(options_are_a_pods_or_none),
        ROW(modes_are_namespaces),
        ROW(settings_are_the_pods_own),
        ROW(paths_are_those_of_sysctl),
        ROW(what_no_pod_can_have_is_refused),
        ROW(it_holds_what_it_was_asked_for),
        ROW(each_call_is_failed_and_told_and_nobody_is_left),
        ROW(who_dies_leaves_nobody),
        ROW(files_are_what_the_pod_says),
        ROW(each_call_for_files_is_failed_and_nothing_is_left),
    };

    (void)alarm(100);
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
