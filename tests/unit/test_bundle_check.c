/* test_bundle_check.c - what is refused of a bundle before anything of it is made. */
#include <errno.h>
#include <linux/sched.h>
#include <sys/prctl.h>

#include "base/fault.h"
#include "base/sys.h"
#include "walls/container/bundle.h"
#include "check.h"

enum { NET_RAW = 13, BEYOND = 63 };

static const struct cl_spec_namespace usual[] = {
    {CLONE_NEWNS, ""}, {CLONE_NEWNET, ""}, {CLONE_NEWIPC, "/proc/1/ns/ipc"}};

static struct cl_spec make_spec(void)
{
    return (struct cl_spec){.namespaces = {usual, CL_ARRAY_SIZE(usual)}, .hostname = ""};
}

static int try_sysctl(const char *key, struct cl_error *err)
{
    struct cl_spec spec = make_spec();
    const char *pair[] = {key, "1"};

    spec.sysctls = (struct cl_strlist){pair, 2};
    return cl_bundle_check(&spec, err);
}

TEST(a_setting_of_a_namespace_of_its_own_is_taken)
{
    static const char *const keys[] = {"net.ipv4.ip_forward", "net/ipv4/ip_forward",
                                       "kernel.shmmax", "fs.mqueue.msg_max", "net.a/b"};
    struct cl_error err = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(keys); i++)
        CHECK(try_sysctl(keys[i], &err) == 0);
}

TEST(a_setting_of_the_hosts_is_refused)
{
    static const struct {
        const char *key;
        const char *why;
    } rows[] = {
        {"kernel.hostname", "has not"}, /* no uts namespace */
        {"user.max_user_namespaces", "has not"},
        {"kernel.shmmaxx", "the host's"}, /* no whole name */
        {"kernel.core_pattern", "the host's"},
        {"vm.swappiness", "the host's"},
        {"netx", "the host's"},
        {"net", "the host's"},
        {"", "the host's"},
        {"fs.mqueue", "the host's"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_error err = {0};

        CHECK(try_sysctl(rows[i].key, &err) == -EINVAL);
        CHECK_HAS(err.msg, "linux.sysctl.");
        CHECK_HAS(err.msg, rows[i].why);
    }
}

TEST(a_container_has_a_mount_namespace)
{
    static const struct cl_spec_namespace none[] = {{CLONE_NEWNET, ""}};
    struct cl_spec spec = make_spec();
    struct cl_error err = {0};

    CHECK(cl_bundle_check(&spec, &err) == 0);
    spec.namespaces = (struct cl_spec_namespaces){none, 1};
    CHECK(cl_bundle_check(&spec, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "linux.namespaces");
}

TEST(a_hostname_takes_a_namespace)
{
    struct cl_spec spec = make_spec();
    struct cl_error err = {0};

    cl_spec_mark(&spec, CL_SPEC_HOSTNAME);
    CHECK(cl_bundle_check(&spec, &err) == 0); /* an empty one is none */
    spec.hostname = "box";
    CHECK(cl_bundle_check(&spec, &err) == -EINVAL);
    CHECK_HAS(err.msg, "hostname: ");
}

TEST(a_process_has_arguments)
{
    struct cl_spec spec = make_spec();
    struct cl_error err = {0};

    cl_spec_mark(&spec, CL_SPEC_CWD);
    CHECK(cl_bundle_check(&spec, &err) == -EINVAL);
    CHECK_HAS(err.msg, "process.args: ");
}

/* --- annotations ------------------------------------------------------------------------------ */

static int read_raise(const char *key, const char *value, struct cl_bundle_raise *ret,
                      struct cl_error *err)
{
    const char *items[] = {"org.example.landlock", "whatever", key, value};
    struct cl_spec spec = make_spec();

    spec.annotations = (struct cl_strlist){items, CL_ARRAY_SIZE(items)};
    return cl_bundle_read_raise(&spec, ret, err);
}

static int check_raise(const char *key, const char *value, struct cl_error *err)
{
    const char *items[] = {"org.example.landlock", "whatever", key, value};
    struct cl_spec spec = make_spec();

    spec.annotations = (struct cl_strlist){items, CL_ARRAY_SIZE(items)};
    return cl_bundle_check_raise(&spec, err);
}

TEST(annotations_of_ours_raise_the_wall)
{
    struct cl_bundle_raise raise = {0};
    struct cl_error err = {0};

    CHECK(read_raise("run.cloister.landlock", "on", &raise, &err) == 0);
    CHECK(raise.landlock == 1 && raise.seccomp == NULL && raise.time_ns == 0);
    CHECK(read_raise("run.cloister.seccomp", "build", &raise, &err) == 0);
    CHECK(raise.landlock == 0);
    CHECK_TEXT(raise.seccomp, "build");
    CHECK(read_raise("run.cloister.time-limit", "90s", &raise, &err) == 0);
    CHECK(raise.time_ns == 90000000000ULL);
    CHECK(read_raise("run.cloisters.landlock", "off", &raise, &err) == 0); /* somebody else's */
    CHECK(raise.landlock == 0 && raise.time_ns == 0);
}

TEST(annotations_that_would_do_nothing_are_refused)
{
    static const struct {
        const char *key;
        const char *value;
    } rows[] = {
        {"run.cloister.landlock", "off"},    {"run.cloister.landlock", ""},
        {"run.cloister.seccomp", "none"},    {"run.cloister.time-limit", "0s"},
        {"run.cloister.time-limit", "soon"}, {"run.cloister.time-limit", "-1s"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_bundle_raise raise = {.landlock = 7};
        struct cl_error err = {0};

        CHECK(read_raise(rows[i].key, rows[i].value, &raise, &err) == -EINVAL);
        CHECK_HAS(err.msg, "annotations.run.cloister.");
        CHECK(raise.landlock == 7); /* untouched */
        CHECK(check_raise(rows[i].key, rows[i].value, &err) == -EINVAL);
    }
}

/* What was made had been checked, and may be beside modules, whose annotations it has as well. */
TEST(annotations_of_no_meaning_stop_what_is_to_be_made)
{
    static const struct {
        const char *key;
        const char *value;
        int r;
    } rows[] = {
        {"run.cloister.Landlock", "on", -EINVAL},
        {"run.cloister.", "on", -EINVAL},
        {"run.cloister.wasm-model", "process", -EINVAL},
        {"run.cloister.wall", "wasm", -ENOTSUP},
        {"run.cloister.wall", "container", 0},
        {"run.cloisters.landlock", "off", 0},
        {"run.cloister.landlock", "on", 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_bundle_raise raise = {0};
        struct cl_error err = {0};

        CHECK(check_raise(rows[i].key, rows[i].value, &err) == rows[i].r);
        CHECK(read_raise(rows[i].key, rows[i].value, &raise, &err) == 0);
    }
}

/* --- capabilities ----------------------------------------------------------------------------- */

static void lose_net_raw(void)
{
    struct cl_spec spec = make_spec();
    struct cl_error err = {0};
    uint64_t lacking = 0;

    spec.bounding = 1ULL << NET_RAW;
    spec.permitted = 1;
    CHECK(cl_bundle_lacking(&spec, &spec, &lacking, &err) == 0 && lacking == 0);
    CHECK(cl_sys_prctl(PR_CAPBSET_DROP, NET_RAW, 0, 0, 0) == 0);
    CHECK(cl_bundle_lacking(&spec, &spec, &lacking, &err) == 0 && lacking == 1ULL << NET_RAW);
    spec.bounding = 1;
    CHECK(cl_bundle_lacking(&spec, &spec, &lacking, &err) == 0 && lacking == 0);
}

TEST(what_the_runtime_lost_it_cant_give)
{
    if (cl_sys_prctl(PR_CAPBSET_READ, NET_RAW, 0, 0, 0) != 1 || geteuid() != 0)
        SKIP_TEST("this process can drop no capability (CAP_SETPCAP)");
    check_apart(lose_net_raw);
}

TEST(an_unknown_capability_is_lacking_and_a_failure_is_none)
{
    static const struct cl_spec_namespace user[] = {{CLONE_NEWNS, ""}, {CLONE_NEWUSER, ""}};
    struct cl_spec spec = make_spec();
    struct cl_error err = {0};
    uint64_t lacking = 7;

    spec.ambient = 1ULL << BEYOND;
    cl_fault_set("syscall:1:5");
    CHECK(cl_bundle_lacking(&spec, &spec, &lacking, &err) == -EIO && lacking == 7);
    CHECK_HAS(err.msg, "process.capabilities: ");
    cl_fault_set(NULL);
    CHECK(cl_bundle_lacking(&spec, &spec, &lacking, &err) == 0 && lacking == 1ULL << BEYOND);
    spec.namespaces = (struct cl_spec_namespaces){user, 2}; /* where there are all */
    CHECK(cl_bundle_lacking(&spec, &spec, &lacking, &err) == 0 && lacking == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_setting_of_a_namespace_of_its_own_is_taken),
        ROW(a_setting_of_the_hosts_is_refused),
        ROW(a_container_has_a_mount_namespace),
        ROW(a_hostname_takes_a_namespace),
        ROW(a_process_has_arguments),
        ROW(annotations_of_ours_raise_the_wall),
        ROW(annotations_that_would_do_nothing_are_refused),
        ROW(annotations_of_no_meaning_stop_what_is_to_be_made),
        ROW(what_the_runtime_lost_it_cant_give),
        ROW(an_unknown_capability_is_lacking_and_a_failure_is_none),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
