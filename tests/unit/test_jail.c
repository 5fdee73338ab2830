/* test_jail.c - what cloister-plan can't do any more once it reads foreign bytes: each
 * attempt is made in a process of its own, in the jail and, to show that it can succeed,
 * outside. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/plan/jail.h"
#include "check.h"

static int open_file(void)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int make_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int start_process(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return pid;
}

static int map_code(void)
{
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return code == MAP_FAILED ? -1 : 0;
}

static int signal_parent(void)
{
    return kill(getppid(), 0);
}

static int run_program(void)
{
    return execl("/bin/true", "true", (char *)NULL);
}

static int copy_descriptor(void)
{
    return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
}

static int change_limit(void)
{
    const struct rlimit limit = {64, 64};

    return setrlimit(RLIMIT_NOFILE, &limit);
}

static const struct {
    const char *what;
    int (*attempt)(void);
} attempts[] = {
    {"open a file", open_file},
    {"make a socket", make_socket},
    {"start a process", start_process},
    {"map code", map_code},
    {"signal the parent", signal_parent},
    {"run a program", run_program},
    {"copy a descriptor", copy_descriptor},
    {"change a limit", change_limit},
};

/* The wait status of a process that tries, in the jail or outside. */
static int status_of(int (*attempt)(void), int jailed)
{
    enum { NO_JAIL = 77 };
    struct cl_jail jail = {.keep_fds = 3};
    struct cl_error err = {0};
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        if (jailed && cl_jail_enter(&jail, &err) < 0)
            _exit(NO_JAIL);
        _exit(attempt() < 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

TEST(the_jail_ends_whoever_reaches_out)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(attempts); i++) {
        int outside = status_of(attempts[i].attempt, 0);
        int inside = status_of(attempts[i].attempt, 1);

        CHECK(WIFEXITED(outside) && WEXITSTATUS(outside) == 0);
        CHECK(WIFSIGNALED(inside) && WTERMSIG(inside) == SIGSYS);
        if (!WIFSIGNALED(inside))
            printf("# it could %s\n", attempts[i].what);
    }
}

static int use_memory_and_pipes(void)
{
    char *memory = malloc(1 << 20);
    char byte;

    if (memory == NULL || write(STDOUT_FILENO, memory, 0) < 0 || read(STDIN_FILENO, &byte, 0) < 0)
        return -1;
    free(memory);
    return 0;
}

TEST(the_jail_leaves_what_a_parser_needs)
{
    int status = status_of(use_memory_and_pipes, 1);

    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A pipe's other end shows that the jail closed its descriptors. */
TEST(the_jail_closes_other_descriptors)
{
    struct cl_error err = {0};
    int ends[2];
    char byte;

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct cl_jail jail = {.keep_fds = 3};

        _exit(cl_jail_enter(&jail, &err) < 0 || write(ends[1], "x", 1) == 1);
    }
    cl_fd_close(&ends[1]);
    CHECK(read(ends[0], &byte, 1) == 0);
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    cl_fd_close(&ends[0]);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_jail_ends_whoever_reaches_out),
        ROW(the_jail_leaves_what_a_parser_needs),
        ROW(the_jail_closes_other_descriptors),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
