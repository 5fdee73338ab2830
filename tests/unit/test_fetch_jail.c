/* test_fetch_jail.c - what cloister-fetch can't do any more once it talks to strangers: each
 * attempt is made in a process of its own, in the jail and, to show that it can succeed,
 * outside. The layers below the filter of calls are looked at without it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "proc_status.h"
#include "helpers/fetch/jail.h"

enum { NO_JAIL = 255, KEPT_FDS = 16 };

static int enter(int (*how)(struct cl_fetch_jail *jail, struct cl_error *err))
{
    struct cl_fetch_jail jail = {.keep_fds = KEPT_FDS};
    struct cl_error err = {0};
    int r = cl_fetch_jail_prepare(&err);

    if (r == 0)
        r = how(&jail, &err);
    if (r < 0)
        printf("# %s\n", err.msg);
    return r;
}

static int stay_outside(void)
{
    return 0;
}

static int enter_jail(void)
{
    return enter(cl_fetch_jail_enter);
}

static int enter_unfiltered(void)
{
    return enter(cl_fetch_jail_enter_unfiltered);
}

/* The wait status of a process that ENTERs and tries; it exits with errno or 0. */
static int status_of(int (*attempt)(void), int (*how)(void))
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        if (how() < 0) {
            (void)fflush(stdout);
            _exit(NO_JAIL);
        }
        _exit(attempt() < 0 ? errno : 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

/* --- what ends it ---------------------------------------------------------- */

static int run_program(void)
{
    return execl("/bin/true", "true", (char *)NULL);
}

static int trace_somebody(void)
{
    return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int signal_parent(void)
{
    return kill(getppid(), 0);
}

static int make_namespace(void)
{
    return unshare(CLONE_FILES); /* a call that needs no privilege */
}

static int listen_here(void)
{
    const struct sockaddr_in any = {.sin_family = AF_INET};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return bind(fd, (const struct sockaddr *)&any, sizeof(any));
}

static int make_memory_file(void)
{
    return memfd_create("x", MFD_CLOEXEC);
}

static int make_directory(void)
{
    char path[] = "/tmp/cloister-test-XXXXXX";

    return mkdtemp(path) == NULL ? -1 : rmdir(path);
}

static const struct {
    const char *what;
    int (*attempt)(void);
} attacks[] = {
    {"run a program", run_program},
    {"trace", trace_somebody},
    {"signal the parent", signal_parent},
    {"make namespaces", make_namespace},
    {"listen", listen_here},
    {"make files of memory", make_memory_file},
    {"make directories", make_directory},
};

TEST(the_jail_ends_whoever_reaches_out)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(attacks); i++) {
        const int outside = status_of(attacks[i].attempt, stay_outside);
        const int inside = status_of(attacks[i].attempt, enter_jail);

        CHECK(WIFEXITED(outside) && WEXITSTATUS(outside) == 0);
        CHECK(WIFSIGNALED(inside) && WTERMSIG(inside) == SIGSYS);
        if (!WIFSIGNALED(inside))
            printf("# it could %s\n", attacks[i].what);
    }
}

/* --- what isn't there any more --------------------------------------------- */

static int open_passwd(void)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int open_root(void)
{
    return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_process(void)
{
    return open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
}

static int write_null(void)
{
    return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static int make_file(void)
{
    return open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int make_local_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int make_netlink_socket(void)
{
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static int start_process(void)
{
    const pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return pid;
}

static int start_by_clone3(void)
{
    struct clone_args args = {.exit_signal = SIGCHLD};
    const long pid = syscall(SYS_clone3, &args, sizeof(args));

    if (pid == 0)
        _exit(0);
    return (int)pid;
}

static int map_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
               ? -1
               : 0;
}

static int turn_data_to_code(void)
{
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return data == MAP_FAILED ? -1 : mprotect(data, 4096, PROT_READ | PROT_EXEC);
}

static int set_limit(void)
{
    const struct rlimit limit = {64, 64};

    return setrlimit(RLIMIT_NOFILE, &limit);
}

static int ask_terminal(void)
{
    struct winsize size;

    return ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 && errno == ENOSYS ? -1 : 0;
}

static const struct {
    const char *what;
    int (*attempt)(void);
    int errnum;
} attempts[] = {
    {"read /etc/passwd", open_passwd, EACCES},
    {"list /", open_root, EACCES},
    {"read /proc", open_process, EACCES},
    {"open for writing", write_null, ENOSYS},
    {"make a file", make_file, ENOSYS},
    {"make a local socket", make_local_socket, EAFNOSUPPORT},
    {"make a netlink socket", make_netlink_socket, EAFNOSUPPORT},
    {"start a process", start_process, ENOSYS},
    {"start a process by clone3", start_by_clone3, ENOSYS},
    {"map code", map_code, ENOSYS},
    {"make code of data", turn_data_to_code, ENOSYS},
    {"set a limit", set_limit, ENOSYS},
    {"ask a terminal", ask_terminal, ENOSYS},
};

TEST(the_jail_has_no_such_thing)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(attempts); i++) {
        const int outside = status_of(attempts[i].attempt, stay_outside);
        const int inside = status_of(attempts[i].attempt, enter_jail);

        CHECK(WIFEXITED(outside) && WEXITSTATUS(outside) == 0);
        CHECK(WIFEXITED(inside) && WEXITSTATUS(inside) == attempts[i].errnum);
        if (!WIFEXITED(inside) || WEXITSTATUS(inside) != attempts[i].errnum)
            printf("# %s: status %d\n", attempts[i].what, inside);
    }
}

/* --- what is left ---------------------------------------------------------- */

static struct sockaddr_in server;

static int listen_tcp(void)
{
    socklen_t size = sizeof(server);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    server = (struct sockaddr_in){.sin_family = AF_INET};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (struct sockaddr *)&server, size) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&server, &size) == 0);
    return fd;
}

static int connect_tcp(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

    return fd < 0 ? -1 : connect(fd, (const struct sockaddr *)&server, sizeof(server));
}

static int read_hosts(void)
{
    char byte;
    const int fd = open("/etc/hosts", O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -1 : (int)read(fd, &byte, 1);
}

static int resolve_name(void)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    errno = ENOENT;
    return getaddrinfo("localhost", "443", &hints, &found) == 0 ? 0 : -1;
}

static int thread(void *context)
{
    __atomic_store_n((int *)context, 7, __ATOMIC_SEQ_CST);
    return 0;
}

static int use_thread(void)
{
    static char stack[64 << 10] __attribute__((aligned(64)));
    static int done;
    const int flags =
        CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

    if (clone(thread, stack + sizeof(stack), flags, &done) < 0)
        return -1;
    for (int i = 0; i < 1000 && __atomic_load_n(&done, __ATOMIC_SEQ_CST) == 0; i++)
        (void)usleep(1000);
    return __atomic_load_n(&done, __ATOMIC_SEQ_CST) == 7 ? 0 : -1;
}

TEST(the_jail_leaves_names_connections_and_threads)
{
    static int (*const needs[])(void) = {connect_tcp, read_hosts, resolve_name, use_thread};
    CL_CLEANUP_FD CL_UNUSED int fd = listen_tcp();

    for (size_t i = 0; i < CL_ARRAY_SIZE(needs); i++) {
        const int status = status_of(needs[i], enter_jail);

        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        if (status != 0)
            printf("# need %zu: status %d\n", i, status);
    }
}

/* A pipe's other end shows that the jail closed its descriptors. */
TEST(the_jail_closes_other_descriptors)
{
    int ends[2];
    char byte;

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
        const int far = fcntl(ends[1], F_DUPFD_CLOEXEC, KEPT_FDS);

        (void)close(ends[1]);
        _exit(enter_jail() < 0 || write(far, "x", 1) == 1);
    }
    cl_fd_close(&ends[1]);
    CHECK(read(ends[0], &byte, 1) == 0);
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    cl_fd_close(&ends[0]);
}

/* --- the layers below the filter ------------------------------------------- */

static int may_write_files(void)
{
    return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static struct sockaddr_un local;
static socklen_t local_size;

/* unix(7): what is bound without a name gets an abstract one. */
static int listen_abstract(void)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    local.sun_family = AF_UNIX;
    local_size = sizeof(local);
    CHECK(bind(fd, (struct sockaddr *)&local, sizeof(sa_family_t)) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&local, &local_size) == 0);
    return fd;
}

static int connect_abstract(void)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return connect(fd, (const struct sockaddr *)&local, local_size);
}

static const struct {
    const char *what;
    int (*attempt)(void);
    int least_abi; /* landlock(7) */
    int errnum;
} reaches[] = {
    {"read /etc/passwd", open_passwd, 1, EACCES},
    {"list /", open_root, 1, EACCES},
    {"read /proc", open_process, 1, EACCES},
    {"write a file", may_write_files, 1, EACCES},
    {"make a file", make_file, 1, EACCES},
    {"make a directory", make_directory, 1, EACCES},
    {"run a program", run_program, 1, EACCES},
    {"listen", listen_here, 4, EACCES},
    {"connect to an abstract socket", connect_abstract, 6, EPERM},
    {"signal the parent", signal_parent, 6, EPERM},
};

TEST(landlock_alone_leaves_no_files)
{
    const int abi = cl_sys_landlock_create_ruleset(NULL, 0, CL_LANDLOCK_CREATE_RULESET_VERSION);

    if (abi < 1)
        SKIP_TEST("this kernel has no Landlock");
    CL_CLEANUP_FD CL_UNUSED int fd = listen_abstract();
    for (size_t i = 0; i < CL_ARRAY_SIZE(reaches) && reaches[i].least_abi <= abi; i++) {
        const int outside = status_of(reaches[i].attempt, stay_outside);
        const int inside = status_of(reaches[i].attempt, enter_unfiltered);

        CHECK(WIFEXITED(outside) && WEXITSTATUS(outside) == 0);
        CHECK(WIFEXITED(inside) && WEXITSTATUS(inside) == reaches[i].errnum);
        if (!WIFEXITED(inside) || WEXITSTATUS(inside) != reaches[i].errnum)
            printf("# %s: status %d\n", reaches[i].what, inside);
    }
}

static void lose_privilege(void)
{
    char text[4096];
    CL_CLEANUP_FD int fd = open_status();

    CHECK(enter_unfiltered() == 0);
    read_status(fd, text, sizeof(text));
    CHECK(is_an_id_of_its_own(text, "\nUid:\t"));
    CHECK(is_an_id_of_its_own(text, "\nGid:\t"));
    CHECK_HAS(text, "\nGroups:\t \n");
    CHECK_HAS(text, "\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n");
    CHECK_HAS(text, "\nNoNewPrivs:\t1\n");
}

TEST(root_becomes_nobody_else)
{
    if (geteuid() != 0)
        SKIP_TEST("needs root, to lose it");
    check_apart(lose_privilege);
}

static void meet_the_seal(void)
{
    static const struct {
        int resource;
        uint64_t most;
    } rows[] = {
#ifndef __SANITIZE_ADDRESS__
        {RLIMIT_AS, 256 << 20},
#endif
        {RLIMIT_NOFILE, 256},
        {RLIMIT_CORE, 0},
        {RLIMIT_MEMLOCK, 0},
    };
    struct cl_rlimit64 limit;
    int signal = 0;

    CHECK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
    CHECK(enter_unfiltered() == 0);
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    CHECK(prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) == 0 && signal == SIGKILL);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(cl_sys_prlimit(0, rows[i].resource, NULL, &limit) == 0);
        CHECK(limit.cur <= rows[i].most && limit.max <= rows[i].most);
    }
}

TEST(the_process_is_sealed)
{
    check_apart(meet_the_seal);
}

/* A kernel without Landlock is an error that says how to accept it. */
static void lack_landlock(void)
{
    struct cl_fetch_jail jail = {.keep_fds = KEPT_FDS};
    struct cl_error err = {0};
    char lacks[32];

    (void)snprintf(lacks, sizeof(lacks), "lacks:%d", SYS_landlock_create_ruleset);
    cl_fault_set(lacks);
    CHECK(cl_fetch_jail_enter(&jail, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "--without landlock");
    jail.without_landlock = 1;
    CHECK(cl_fetch_jail_enter(&jail, &err) == 0);
}

TEST(landlock_is_insisted_on)
{
    check_apart(lack_landlock);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_jail_ends_whoever_reaches_out),
        ROW(the_jail_has_no_such_thing),
        ROW(the_jail_leaves_names_connections_and_threads),
        ROW(the_jail_closes_other_descriptors),
        ROW(landlock_alone_leaves_no_files),
        ROW(root_becomes_nobody_else),
        ROW(the_process_is_sealed),
        ROW(landlock_is_insisted_on),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
