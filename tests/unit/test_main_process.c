/* test_main_process.c - the process that becomes the command: its last steps, and how the
 * command is found. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/resource.h>

#include "wall_scene.h"

TEST(a_step_that_fails_is_named)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const struct wall_fault rows[] = {
        {SYS_rt_sigprocmask, 0, EINVAL, "signals: unblock signals: Invalid argument"},
        {SYS_setsid, 0, EPERM, "session: setsid: Operation not permitted"},
        {SYS_dup3, 4, EBUSY, "standard descriptors: set descriptor 1: Device or resource busy"},
        {SYS_fcntl, 1, EMFILE, "standard descriptors: set descriptor 0: Too many open files"},
        {SYS_chdir, 2, EACCES, "working directory: change to /tmp: Permission denied"},
        {SYS_clone, 0, EAGAIN, "clone the main process: Resource temporarily unavailable"},
        {SYS_sched_setaffinity, 2, EPERM, "use all processors again: Operation not permitted"},
        {SYS_sched_setaffinity, 3, EPERM, "use all processors again: Operation not permitted"},
    };

    wall_set_up("exit 0");
    wall.start.stdio[1] = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        check_children_fail(&rows[i]);
    cl_fd_close(&wall.start.stdio[1]);
}

/* What is checked at the end of a step's message only. */
static void check_fails_in(long nr, const char *step)
{
    const struct wall_fault fault = {nr, 0, EPERM, ""};

    wall_run(fault_text("children", &fault));
    CHECK(wall.report.stage == CL_REPORT_FAILED && wall.report.error.code == EPERM);
    CHECK(strncmp(wall.report.error.msg, step, strlen(step)) == 0);
    CHECK_HAS(wall.report.error.msg, ": Operation not permitted");
}

TEST(no_command_runs_without_its_last_layers)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    wall_set_up("exit 0");
    check_fails_in(SYS_capset, "capabilities and system calls: ");
    check_fails_in(SYS_seccomp, "system calls: "); /* in init, of which the command has it */
    check_fails_in(SYS_prlimit64, "resource limits: ");
}

/* Born on init's processor, and free to leave it; so is init. Where it can't be held there,
 * nothing is lost. */
TEST(the_command_may_use_the_callers_processors)
{
    static const struct wall_fault faults[] = {
        {SYS_sched_getaffinity, 1, EINVAL, ""}, /* a host of more than CPU_SETSIZE */
        {SYS_sched_setaffinity, 1, EPERM, ""},
    };
    char status[4096];
    char script[256];

    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/proc/self/status", O_RDONLY, 0);
    ssize_t got = cl_sys_read(fd, status, sizeof(status) - 1);
    CHECK(got > 0);
    status[got < 0 ? 0 : got] = '\0';
    const char *list = strstr(status, "Cpus_allowed_list:");
    CHECK(list != NULL);
    if (list == NULL)
        return;
    /* Init frees itself when it runs again, which on a busy machine is after the command. */
    (void)snprintf(script, sizeof(script),
                   "grep -q '^%.*s$' /proc/self/status && for i in $(seq 1000); do "
                   "grep -q '^%.*s$' /proc/1/status && exit 0; done; exit 1",
                   (int)strcspn(list, "\n"), list, (int)strcspn(list, "\n"), list);
    wall_set_up(script);
    wall_run(NULL);
    CHECK(wall_exit_status() == 0);
#ifdef CL_FAULTS
    for (size_t i = 0; i < CL_ARRAY_SIZE(faults); i++) {
        wall_run(fault_text("children", &faults[i]));
        CHECK(wall_exit_status() == 0);
    }
    wall.start.processors = WALL_BUSY; /* where it isn't held, nothing has to free it */
    static const struct wall_fault not_freed = {SYS_sched_setaffinity, 2, EPERM, ""};
    wall_run(fault_text("children", &not_freed));
    CHECK(wall_exit_status() == 0);
    wall.start.processors = WALL_IDLE;
    wall_run(fault_text("children", &not_freed));
    CHECK(wall.report.stage == CL_REPORT_FAILED);
#else
    (void)faults;
#endif
}

/* --- the command ------------------------------------------------------------------- */

static void check_not_executed(const char *name, int errnum, const char *message)
{
    wall.words[0] = name;
    wall_run(NULL);
    CHECK(wall.report.stage == CL_REPORT_NO_EXEC && wall.report.exec_errno == errnum);
    check_error(&wall.report.error, errnum, message);
}

TEST(a_command_that_can_not_be_executed_is_told)
{
    wall_set_up("exit 0");
    check_not_executed("nothing-of-that-name", ENOENT,
                       "nothing-of-that-name: command not found in the image's PATH");
    check_not_executed(
        "/nowhere", ENOENT,
        "execute /nowhere: No such file or directory; of the host's other files only "
        "what --volume names is inside");
    check_not_executed("/etc/passwd", EACCES, "execute /etc/passwd: Permission denied");
    check_not_executed("/usr", EACCES, "execute /usr: Permission denied");
}

TEST(the_path_is_walked_in_order)
{
    static const char *const found[] = {"A=b", "PATH=:/nowhere:/etc/passwd:/etc:/usr/bin"};
    static const char *const denied[] = {"PATH=/etc:/nowhere"};
    static const char *const empty[] = {"PATH="};

    wall_set_up("exit 5");
    wall.plan.env = (struct cl_strlist){found, CL_ARRAY_SIZE(found)};
    wall_run(NULL);
    CHECK(wall_exit_status() == 5);
    /* one that is there and can't be executed is the one that is meant */
    wall.plan.env = (struct cl_strlist){denied, CL_ARRAY_SIZE(denied)};
    check_not_executed("passwd", EACCES, "execute passwd: Permission denied");
    wall.plan.env = (struct cl_strlist){empty, CL_ARRAY_SIZE(empty)};
    check_not_executed("sh", ENOENT, "sh: command not found in the image's PATH");
    wall.plan.env = (struct cl_strlist){0};
    check_not_executed("sh", ENOENT, "sh: command not found in the image's PATH");
}

/* An empty entry of PATH would be the working directory, which others may write. */
TEST(the_working_directory_is_in_no_path)
{
    static const char *const env[] = {"PATH=::"};

    wall_set_up("exit 0");
    wall.plan.workdir = "/usr/bin";
    wall.plan.env = (struct cl_strlist){env, CL_ARRAY_SIZE(env)};
    check_not_executed("sh", ENOENT, "sh: command not found in the image's PATH");
    check_not_executed("usr", ENOENT, "usr: command not found in the image's PATH"); /* or `/` */
}

TEST(a_name_too_long_for_a_path_is_not_found)
{
    static char name[4090];

    memset(name, 'x', sizeof(name) - 1);
    wall_set_up("exit 0");
    wall.words[0] = name;
    wall_run(NULL);
    CHECK(wall.report.stage == CL_REPORT_NO_EXEC && wall.report.exec_errno != 0);
    CHECK(wall.report.error.code == wall.report.exec_errno);
}

/* --- its surroundings -------------------------------------------------------------- */

TEST(limits_and_signals_are_the_plans)
{
    static const struct cl_plan_rlimit limits[] = {{RLIMIT_NOFILE, 64, 64}};

    wall_set_up("test \"$(ulimit -n):$(ulimit -c)\" = 64:0 || exit 10\n"
                "grep -q 'SigIgn:.0*$' /proc/self/status || exit 12\n"
                "test \"$(cut -d' ' -f6 /proc/$$/stat)\" = $$ || exit 13"); /* its session */
    wall.plan.rlimits = (struct cl_rlimits){limits, CL_ARRAY_SIZE(limits)};
    cl_plan_mark(&wall.plan, CL_FIELD_RLIMITS);
    CHECK(signal(SIGHUP, SIG_IGN) != SIG_ERR);
    wall_run(NULL);
    CHECK(signal(SIGHUP, SIG_DFL) == SIG_IGN);
    CHECK(wall_exit_status() == 0);
    /* without a shell, which would unblock them itself */
    wall.words[0] = "grep";
    wall.words[1] = "-q";
    wall.words[2] = "SigBlk:.0*$";
    wall.words[3] = "/proc/self/status";
    wall.plan.command.count = 4;
    wall_run(NULL);
    CHECK(wall_exit_status() == 0);
}

/* In one program with the floor: a filter that answers mkdir with a number of its own is
 * heard. */
TEST(a_filter_of_the_users_comes_on_top)
{
    static const struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdirat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
#ifdef SYS_mkdir /* arm64 has no such old call */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    wall_set_up("mkdir /tmp/a 2>/tmp/said && exit 10\n"
                "grep -q 'nvalid cross-device' /tmp/said || exit 11\n"
                "grep -q 'Seccomp_filters:.1' /proc/self/status || exit 12\n"
                "touch /tmp/f && chmod 4755 /tmp/f 2>/tmp/said && exit 13\n"
                "grep -q 'ot permitted' /tmp/said || exit 14");
    wall.plan.seccomp = (struct cl_bytes){filter, sizeof(filter)};
    cl_plan_mark(&wall.plan, CL_FIELD_SECCOMP);
    wall_run(NULL);
    CHECK(wall_exit_status() == 0 && has_layer(CL_LAYER_SECCOMP));

    wall_set_up("mkdir /tmp/a && grep -q 'Seccomp_filters:.1' /proc/self/status");
    wall_run(NULL);
    CHECK(wall_exit_status() == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_step_that_fails_is_named),
        ROW(no_command_runs_without_its_last_layers),
        ROW(the_command_may_use_the_callers_processors),
        ROW(a_command_that_can_not_be_executed_is_told),
        ROW(the_path_is_walked_in_order),
        ROW(the_working_directory_is_in_no_path),
        ROW(a_name_too_long_for_a_path_is_not_found),
        ROW(limits_and_signals_are_the_plans),
        ROW(a_filter_of_the_users_comes_on_top),
    };

    return run_wall_tests(tests, CL_ARRAY_SIZE(tests));
}
