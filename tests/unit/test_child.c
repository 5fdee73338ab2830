/* test_child.c - programs that are started: what they get, and that none is left. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/child.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "check.h"

static char *const no_environment[] = {NULL};

/* Runs the shell's LINES with FDS; what is -1 at the end isn't theirs. */
static int start_shell(const char *lines, const int *fds, size_t fd_count, struct cl_child *ret,
                       struct cl_error *err)
{
    char *const argv[] = {cl_unconst("sh"), cl_unconst("-c"), cl_unconst(lines), NULL};
    const struct cl_child_start how = {.path = "/bin/sh",
                                       .argv = argv,
                                       .envp = no_environment,
                                       .fds = fds,
                                       .fd_count = fd_count,
                                       .cwd = -1};

    return cl_child_start(&how, ret, err);
}

/* What LINES write to the descriptor that is FDS[1]. */
static void output_of(const char *lines, int *fds, size_t fd_count, char *ret, size_t size)
{
    CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(4096);
    struct cl_error err = {0};
    siginfo_t info = {0};
    int ends[2];

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    fds[1] = ends[1];
    CHECK(start_shell(lines, fds, fd_count, &child, &err) == 0);
    cl_fd_close(&ends[1]);
    CHECK(cl_read_all(ends[0], "output", &text, &err) == 0);
    CHECK(cl_child_wait(&child, &info, &err) == 0);
    CHECK(info.si_code == CLD_EXITED && info.si_status == 0);
    (void)snprintf(ret, size, "%s", cl_buf_text(&text));
    cl_fd_close(&ends[0]);
}

TEST(it_gets_the_descriptors_that_are_named_and_no_others)
{
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    int fds[] = {null, -1, -1, null, -1, null};
    char text[64];
    const int before = check_count_fds();

    CHECK(null < (int)CL_ARRAY_SIZE(fds));
    output_of("for i in 0 1 2 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$i ] || echo $i; done", fds,
              CL_ARRAY_SIZE(fds), text, sizeof(text));
    CHECK_TEXT(text, "0\n1\n3\n5\n");
    CHECK(check_count_fds() == before);
}

/* A number that is wanted may be that of another one that is given. */
TEST(descriptors_may_change_places)
{
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    int first[2] = {-1, -1};
    int second[2] = {-1, -1};
    char text[16];

    CHECK(cl_sys_pipe2(first, 0) == 0 && cl_sys_pipe2(second, 0) == 0);
    CHECK(first[0] < 9 && first[1] < 9 && second[0] < 9 && second[1] < 9);
    int fds[9];
    for (size_t i = 0; i < CL_ARRAY_SIZE(fds); i++)
        fds[i] = null;
    fds[first[1]] = second[1];
    fds[second[1]] = first[1];
    char lines[64];
    (void)snprintf(lines, sizeof(lines), "echo one >&%d; echo two >&%d", second[1], first[1]);
    output_of(lines, fds, CL_ARRAY_SIZE(fds), text, sizeof(text));
    CHECK(read(first[0], text, sizeof(text)) == 4 && memcmp(text, "one\n", 4) == 0);
    CHECK(read(second[0], text, sizeof(text)) == 4 && memcmp(text, "two\n", 4) == 0);
    for (size_t i = 0; i < 2; i++) {
        cl_fd_close(&first[i]);
        cl_fd_close(&second[i]);
    }
}

TEST(one_descriptor_may_be_given_twice)
{
    int fds[] = {-1, -1, -1};
    int ends[2];
    char text[16] = "";

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    fds[0] = ends[0];
    fds[2] = ends[1];
    output_of("echo three >&2; read a; echo $a", fds, CL_ARRAY_SIZE(fds), text, sizeof(text));
    CHECK_TEXT(text, "three\n");
    cl_fd_close(&ends[0]);
    cl_fd_close(&ends[1]);
}

/* The mask that NAME ("SigBlk:") has in a process's STATUS. */
static uint64_t mask_in(const char *status, const char *name)
{
    const char *line = strstr(status, name);

    CHECK(line != NULL);
    return line == NULL ? UINT64_MAX : strtoull(line + strlen(name), NULL, 16);
}

/* Signals 32 and 33 are the C library's own, which its posix_spawn ignores. */
TEST(no_signal_is_blocked_or_ignored_in_it)
{
    const uint64_t internal = 3ULL << 31;
    int fds[] = {-1, -1};
    char text[4096];
    sigset_t blocked;
    sigset_t old;

    CHECK(sigemptyset(&blocked) == 0 && sigaddset(&blocked, SIGUSR1) == 0);
    CHECK(sigprocmask(SIG_BLOCK, &blocked, &old) == 0);
    void (*handler)(int) = signal(SIGPIPE, SIG_IGN);
    output_of("exec /bin/cat /proc/self/status", fds, 2, text, sizeof(text));
    CHECK(mask_in(text, "SigBlk:") == 0);
    CHECK((mask_in(text, "SigIgn:") & ~internal) == 0);
    (void)signal(SIGPIPE, handler);
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
}

TEST(its_environment_is_what_is_named)
{
    CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;
    char *const argv[] = {cl_unconst("sh"), cl_unconst("-c"), cl_unconst("[ \"$A$HOME\" = b ]"),
                          NULL};
    char *const environment[] = {cl_unconst("A=b"), NULL};
    const struct cl_child_start how = {
        .path = "/bin/sh", .argv = argv, .envp = environment, .cwd = -1};
    struct cl_error err = {0};
    siginfo_t info = {0};

    CHECK(setenv("HOME", "/root", 1) == 0);
    CHECK(cl_child_start(&how, &child, &err) == 0);
    CHECK(cl_child_wait(&child, &info, &err) == 0);
    CHECK(info.si_code == CLD_EXITED && info.si_status == 0);
}

TEST(its_directory_is_the_one_that_is_named)
{
    CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;
    CL_CLEANUP_FD int proc = cl_sys_openat(AT_FDCWD, "/proc/sys", O_PATH | O_DIRECTORY, 0);
    char *const argv[] = {cl_unconst("sh"), cl_unconst("-c"),
                          cl_unconst("[ \"$(pwd -P)\" = /proc/sys ]"), NULL};
    const struct cl_child_start how = {
        .path = "/bin/sh", .argv = argv, .envp = no_environment, .cwd = proc};
    struct cl_error err = {0};
    siginfo_t info = {0};

    CHECK(cl_child_start(&how, &child, &err) == 0);
    CHECK(cl_child_wait(&child, &info, &err) == 0);
    CHECK(info.si_code == CLD_EXITED && info.si_status == 0);
}

/* Whatever numbers its descriptors get. */
TEST(its_directory_may_have_any_number)
{
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    const int fds[] = {null, null, null, null, null, null, null, null};

    for (int number = 3; number < 24; number++) {
        CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;
        CL_CLEANUP_FD int proc = -1;
        char *const argv[] = {cl_unconst("sh"), cl_unconst("-c"),
                              cl_unconst("[ \"$(pwd -P)\" = /proc/sys ]"), NULL};
        struct cl_child_start how = {.path = "/bin/sh",
                                     .argv = argv,
                                     .envp = no_environment,
                                     .fds = fds,
                                     .fd_count = CL_ARRAY_SIZE(fds)};
        struct cl_error err = {0};
        siginfo_t info = {0};

        CL_CLEANUP_FD int opened = cl_sys_openat(AT_FDCWD, "/proc/sys", O_PATH | O_DIRECTORY, 0);
        proc = fcntl(opened, F_DUPFD_CLOEXEC, number);
        how.cwd = proc;
        CHECK(cl_child_start(&how, &child, &err) == 0);
        CHECK_TEXT(err.msg, "");
        CHECK(cl_child_wait(&child, &info, &err) == 0);
        CHECK(info.si_code == CLD_EXITED && info.si_status == 0);
    }
}

TEST(how_it_ended_is_told)
{
    static const struct {
        const char *lines;
        int code;
        int status;
    } rows[] = {
        {"exit 0", CLD_EXITED, 0},
        {"exit 7", CLD_EXITED, 7},
        {"kill -9 $$", CLD_KILLED, SIGKILL},
    };
    const int before = check_count_fds();

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;
        struct cl_error err = {0};
        siginfo_t info = {0};

        CHECK(start_shell(rows[i].lines, NULL, 0, &child, &err) == 0);
        CHECK(child.pid > 0 && child.pidfd >= 0);
        CHECK(cl_child_wait(&child, &info, &err) == 0);
        CHECK(info.si_code == rows[i].code && info.si_status == rows[i].status);
        CHECK(child.pid == 0 && child.pidfd == -1);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    }
    CHECK(check_count_fds() == before);
}

TEST(what_still_runs_is_killed_and_reaped)
{
    const int before = check_count_fds();
    struct cl_child child = CL_CHILD_INIT;
    struct cl_error err = {0};

    cl_child_done(&child); /* none */
    CHECK(start_shell("exec sleep 1000", NULL, 0, &child, &err) == 0);
    const pid_t pid = child.pid;
    cl_child_done(&child);
    CHECK(child.pid == 0 && child.pidfd == -1);
    CHECK(kill(pid, 0) < 0 && errno == ESRCH);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    CHECK(check_count_fds() == before);
    cl_child_done(&child); /* twice is as once */
}

TEST(it_can_be_handed_on)
{
    struct cl_child child = CL_CHILD_INIT;
    struct cl_error err = {0};

    CHECK(start_shell("exec sleep 1000", NULL, 0, &child, &err) == 0);
    const pid_t pid = child.pid;
    CL_CLEANUP_CHILD struct cl_child other = cl_child_take(&child);
    CHECK(child.pid == 0 && child.pidfd == -1 && other.pid == pid);
    cl_child_done(&child);
    CHECK(kill(pid, 0) == 0);
}

TEST(what_can_not_be_started_is_told)
{
    static const struct {
        const char *path;
        int code;
    } rows[] = {{"/nowhere/at/all", ENOENT}, {"/etc/passwd", EACCES}, {"/", EACCES}};
    const int before = check_count_fds();

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_child child = CL_CHILD_INIT;
        char *const argv[] = {cl_unconst("x"), NULL};
        const struct cl_child_start how = {
            .path = rows[i].path, .argv = argv, .envp = no_environment, .cwd = -1};
        struct cl_error err = {0};

        CHECK(cl_child_start(&how, &child, &err) == -rows[i].code);
        CHECK_HAS(err.msg, rows[i].path);
        CHECK(child.pid == 0 && child.pidfd == -1);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    }
    CHECK(check_count_fds() == before);
}

TEST(each_call_that_starts_it_is_failed)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    const int before = check_count_fds();
    int nth = 1;

    for (int struck = 1; struck; nth++) {
        CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;
        struct cl_error err = {0};
        char text[32];

        (void)snprintf(text, sizeof(text), "self:syscall:%d", nth);
        cl_fault_set(text);
        int r = start_shell("exec sleep 1000", NULL, 0, &child, &err);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK(r == (struck ? -EIO : 0));
        CHECK(!struck || (child.pid == 0 && child.pidfd == -1 && err.msg[0] != '\0'));
        cl_child_done(&child);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        CHECK(check_count_fds() == before);
    }
    CHECK(nth > 3); /* clone and pidfd_open */
#endif
}

TEST(a_wait_that_fails_leaves_it_to_be_ended)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    struct cl_child child = CL_CHILD_INIT;
    struct cl_error err = {0};
    siginfo_t info = {0};
    char text[64];

    CHECK(start_shell("exit 3", NULL, 0, &child, &err) == 0);
    (void)snprintf(text, sizeof(text), "self:lacks:%d#1=%d", SYS_waitid, ENOMEM);
    cl_fault_set(text);
    CHECK(cl_child_wait(&child, &info, &err) == -ENOMEM);
    (void)snprintf(text, sizeof(text), "self:lacks:%d#1=%d", SYS_waitid, EINTR);
    cl_fault_set(text);
    CHECK(cl_child_wait(&child, &info, &err) == 0 && cl_fault_struck());
    cl_fault_set(NULL);
    CHECK(info.si_status == 3);
#endif
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(it_gets_the_descriptors_that_are_named_and_no_others),
        ROW(descriptors_may_change_places),
        ROW(one_descriptor_may_be_given_twice),
        ROW(no_signal_is_blocked_or_ignored_in_it),
        ROW(its_environment_is_what_is_named),
        ROW(its_directory_is_the_one_that_is_named),
        ROW(its_directory_may_have_any_number),
        ROW(how_it_ended_is_told),
        ROW(what_still_runs_is_killed_and_reaped),
        ROW(it_can_be_handed_on),
        ROW(what_can_not_be_started_is_told),
        ROW(each_call_that_starts_it_is_failed),
        ROW(a_wait_that_fails_leaves_it_to_be_ended),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
