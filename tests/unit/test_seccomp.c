/* test_seccomp.c - which filter the command gets, and a user's profile over the floor. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "policy/seccomp_tables.h"
#include "room.h"

static struct room room;

static const struct sock_filter profile[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 39, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

static void set_up(enum cl_profile kind)
{
    room_set_up(&room);
    cl_fd_close(&room.container.channel[0]);
    cl_fd_close(&room.container.channel[1]);
    room.plan.profile = kind;
}

static void choose(const struct cl_seccomp_program *expected)
{
    CHECK(cl_seccomp_choose(&room.container, &room.err) == 0);
    CHECK(room.container.filter.instructions == expected->insns);
    CHECK(room.container.filter.count == expected->count);
    cl_seccomp_forget(&room.container);
    CHECK(room.container.filter.count == 0);
}

TEST(a_profile_has_its_filter)
{
    static const struct cl_plan_file shared = {
        .kind = CL_FILE_BIND, .mode = CL_FILE_RW, .source = "/s", .target = "/t"};

    set_up(CL_PROFILE_STRICT);
    choose(&cl_seccomp_strict);
    set_up(CL_PROFILE_BUILD);
    choose(&cl_seccomp_build);
    room.plan.files = (struct cl_files){&shared, 1}; /* whose files the host's users see */
    choose(&cl_seccomp_strict);
}

/* Where the floor would allow, the profile is asked: at its first instruction. */
static void check_joined(const struct cl_seccomp_program *floor)
{
    room.plan.seccomp = (struct cl_bytes){profile, sizeof(profile)};
    cl_plan_mark(&room.plan, CL_FIELD_SECCOMP);
    CHECK(cl_seccomp_choose(&room.container, &room.err) == 0);
    const struct sock_filter *joined = room.container.filter.instructions;
    size_t jumps = 0;

    CHECK(room.container.filter.count == floor->count + CL_ARRAY_SIZE(profile));
    for (size_t i = 0; i < floor->count; i++) {
        if (floor->insns[i].code == (BPF_RET | BPF_K) && floor->insns[i].k == SECCOMP_RET_ALLOW) {
            CHECK(joined[i].code == (BPF_JMP | BPF_JA) && i + 1 + joined[i].k == floor->count);
            jumps++;
        } else {
            CHECK(memcmp(&joined[i], &floor->insns[i], sizeof(joined[i])) == 0);
        }
    }
    CHECK(jumps > 0);
    CHECK(memcmp(joined + floor->count, profile, sizeof(profile)) == 0);
    cl_seccomp_forget(&room.container);
}

TEST(a_users_profile_stands_on_the_floor)
{
    set_up(CL_PROFILE_STRICT);
    check_joined(&cl_seccomp_floor);
    set_up(CL_PROFILE_BUILD);
    check_joined(&cl_seccomp_floor_build);
}

/* Init's: where its own list would pass a call on, the command's filter is asked. Shown by what
 * the kernel says, in a child that has it. */
static int install_and_ask(CL_UNUSED void *unused)
{
    struct cl_error err = {0};

    (void)cl_sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (cl_seccomp_bind_init(&room.container, &err) < 0)
        return 10;
    if (syscall(SYS_getpid) != 1234) /* in no list of ours */
        return errno == EXDEV ? 0 : 11;
    return 12;
}

TEST(inits_filter_asks_the_commands)
{
    static const struct sock_filter refuses[] = {
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
    };
    int status = 0;

    set_up(CL_PROFILE_STRICT);
    room.plan.seccomp = (struct cl_bytes){refuses, sizeof(refuses)};
    cl_plan_mark(&room.plan, CL_FIELD_SECCOMP);
    CHECK(cl_seccomp_choose(&room.container, &room.err) == 0);
    pid_t child = fork();
    if (child == 0)
        (void)syscall(SYS_exit_group, install_and_ask(NULL)); /* which is in the list */
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cl_seccomp_forget(&room.container);
}

/* Where the filter is ours nothing more is put on init: it shares the command's. */
TEST(a_shared_filter_is_installed_once)
{
    int status = 0;

    set_up(CL_PROFILE_STRICT);
    CHECK(cl_seccomp_choose(&room.container, &room.err) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct cl_error err = {0};
        int before = cl_sys_prctl(PR_GET_SECCOMP, 0, 0, 0, 0);

        (void)cl_sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        int r = cl_seccomp_bind_init(&room.container, &err);
        if (before != 0 || r != 0 || cl_sys_prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0)
            _exit(1);
        r = cl_seccomp_share(&room.container, &err);
        _exit(r == 0 && cl_sys_prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2 ? 0 : 2);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* As long as the plan's reader lets it be. */
TEST(the_longest_profile_can_be_loaded)
{
    static struct sock_filter longest[CL_MAX_FILTER_INSNS];

    for (size_t i = 0; i < CL_ARRAY_SIZE(longest); i++)
        longest[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    set_up(CL_PROFILE_STRICT);
    room.plan.seccomp = (struct cl_bytes){longest, sizeof(longest)};
    CHECK(room.plan.seccomp.size == CL_MAX_FILTER_BYTES);
    cl_plan_mark(&room.plan, CL_FIELD_SECCOMP);
    CHECK(cl_seccomp_choose(&room.container, &room.err) == 0);
    CHECK(room.container.filter.count <= BPF_MAXINSNS);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        const struct cl_container_filter *filter = &room.container.filter;

        _exit(cl_sys_prctl(38 /* PR_SET_NO_NEW_PRIVS */, 1, 0, 0, 0) < 0 ||
              cl_seccomp_install(filter->instructions, filter->count, &room.err) < 0);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    cl_seccomp_forget(&room.container);
}

TEST(without_memory_there_is_no_start)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    set_up(CL_PROFILE_STRICT);
    room.plan.seccomp = (struct cl_bytes){profile, sizeof(profile)};
    cl_plan_mark(&room.plan, CL_FIELD_SECCOMP);
    cl_fault_set("alloc:1");
    CHECK(cl_seccomp_choose(&room.container, &room.err) == -ENOMEM);
    cl_fault_set(NULL);
    CHECK(room.container.filter.owned == NULL);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_profile_has_its_filter),          ROW(a_users_profile_stands_on_the_floor),
        ROW(inits_filter_asks_the_commands),    ROW(a_shared_filter_is_installed_once),
        ROW(the_longest_profile_can_be_loaded), ROW(without_memory_there_is_no_start),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
