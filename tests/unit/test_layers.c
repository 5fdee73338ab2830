/* test_layers.c - capabilities, securebits and system call filters, each on a process of
 * the room, which has all capabilities there. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "room.h"

enum { CAP_CHOWN = 0, CAP_KILL = 5, CAP_SETUID = 7, CAP_SYS_ADMIN = 21, CAP_LAST = 40 };

static int is_bounded(int cap)
{
    return prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 0;
}

static void bound(void)
{
    const uint64_t mask = 1ULL << CAP_CHOWN;
    struct cl_error err = {0};

    CHECK(!is_bounded(CAP_CHOWN) && !is_bounded(CAP_SYS_ADMIN));
    CHECK(cl_capabilities_bound(mask, &err) == 0);
    CHECK(!is_bounded(CAP_CHOWN));
    for (int cap = CAP_CHOWN + 1; cap <= CAP_LAST; cap++)
        CHECK(is_bounded(cap));
    CHECK(cl_capabilities_set(0, &err) == 0);
    CHECK(cl_capabilities_bound(mask, &err) == -EPERM); /* too late */
    CHECK_HAS(err.msg, "capability 1 ");
}

TEST(the_bounding_set_is_the_mask)
{
    room_run(bound);
}

/* The effective and permitted set, from /proc. */
static uint64_t read_set(const char *name)
{
    char text[4096];

    CHECK(room_read(AT_FDCWD, "/proc/self/status", text, sizeof(text)) == 0);
    const char *line = strstr(text, name);
    CHECK(line != NULL);
    return line == NULL ? 0 : strtoull(line + strlen(name), NULL, 16);
}

static void set(void)
{
    const uint64_t high = 1ULL << CAP_LAST | 1ULL << CAP_CHOWN;
    struct cl_error err = {0};

    CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
    CHECK((read_set("CapEff:") & 1ULL << CAP_SYS_ADMIN) != 0);
    CHECK(cl_capabilities_set(high, &err) == 0);
    CHECK(read_set("CapEff:") == high && read_set("CapPrm:") == high && read_set("CapInh:") == 0);
    CHECK(cl_capabilities_set(high | 1ULL << CAP_SETUID, &err) == -EPERM); /* never more */
    CHECK(cl_capabilities_set(0, &err) == 0 && read_set("CapPrm:") == 0);
    CHECK(cl_sys_mount("x", "/mnt", "tmpfs", 0, NULL) == -EPERM);
}

TEST(capabilities_only_go)
{
    room_run(set);
}

static void lock_bits(void)
{
    struct cl_plan plan = {0};
    struct cl_error err = {0};

    CHECK(cl_securebits_lock(&plan, &err) == 0);
    int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
    CHECK((bits & (int)SECBIT_NOROOT) != 0 && (bits & (int)SECBIT_NOROOT_LOCKED) != 0);
    CHECK((bits & (int)SECBIT_NO_CAP_AMBIENT_RAISE) != 0);
    CHECK(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) < 0);
    CHECK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0);
    plan.capabilities = 1;
    CHECK(cl_securebits_lock(&plan, &err) == -EPERM);
    CHECK_HAS(err.msg, "securebits");
}

static void lock_bits_of_build(void)
{
    struct cl_plan plan = {.profile = CL_PROFILE_BUILD, .capabilities = 1};
    struct cl_error err = {0};

    CHECK(cl_securebits_lock(&plan, &err) == 0);
    int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
    CHECK((bits & (int)SECBIT_NOROOT) == 0 && (bits & (int)SECBIT_NOROOT_LOCKED) != 0);
    CHECK((bits & (int)SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED) != 0);
    CHECK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) < 0);
}

TEST(securebits_are_locked)
{
    room_run(lock_bits);
}

TEST(root_of_build_has_its_capabilities_by_the_ordinary_rule)
{
    room_run(lock_bits_of_build);
}

/* A worker's, which is no root and is executed. */
static void last(void)
{
    const uint64_t two = 1ULL << CAP_KILL | 1ULL << CAP_SETUID;
    struct cl_plan plan = {.capabilities = two};
    struct cl_error err = {0};

    CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
    CHECK(cl_capabilities_lasting(&plan) == two);
    CHECK(cl_securebits_lock(&plan, &err) == 0);
    int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
    CHECK((bits & (int)SECBIT_NOROOT) != 0 && (bits & (int)SECBIT_NO_CAP_AMBIENT_RAISE) == 0);
    CHECK((bits & (int)SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED) != 0);
    CHECK(cl_capabilities_last(two, &err) == 0);
    CHECK(read_set("CapAmb:") == two && read_set("CapPrm:") == two && read_set("CapEff:") == two);
    CHECK(cl_capabilities_set(0, &err) == 0 && read_set("CapAmb:") == 0);
    CHECK(cl_capabilities_last(two, &err) == -EPERM);
    plan.profile = CL_PROFILE_BUILD;
    CHECK(cl_capabilities_lasting(&plan) == 0);
}

static void last_of_strict(void)
{
    const uint64_t two = 1ULL << CAP_KILL | 1ULL << CAP_SETUID;
    const struct cl_plan plan = {0};
    struct cl_error err = {0};

    CHECK(cl_securebits_lock(&plan, &err) == 0);
    CHECK(cl_capabilities_last(two, &err) == -EPERM);
    CHECK_HAS(err.msg, "keep capability 5 over the exec");
}

TEST(capabilities_last_over_an_exec_where_they_may)
{
    room_run(last);
    room_run(last_of_strict);
}

static void filter(void)
{
    struct sock_filter refuse[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* seccomp_data.nr */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct cl_error err = {0};

    CHECK(syscall(SYS_getppid) >= 0);
    CHECK(cl_seccomp_install(refuse, CL_ARRAY_SIZE(refuse), &err) == 0);
    CHECK(syscall(SYS_getppid) < 0 && errno == EXDEV);
    CHECK(cl_seccomp_install(refuse, CL_ARRAY_SIZE(refuse) - 2, &err) == -EINVAL); /* no end */
    CHECK_HAS(err.msg, "system call filter");
}

TEST(a_filter_is_installed)
{
    room_run(filter);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_bounding_set_is_the_mask),
        ROW(capabilities_only_go),
        ROW(securebits_are_locked),
        ROW(capabilities_last_over_an_exec_where_they_may),
        ROW(root_of_build_has_its_capabilities_by_the_ordinary_rule),
        ROW(a_filter_is_installed),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
