/* test_jail.c - what cloister-plan can't do any more once it reads foreign bytes: each
 * attempt is made in a process of its own, in the jail and, to show that it can succeed,
 * outside. The layers below the filter of calls are looked at without it. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/common/jail.h"
#include "plan/format.h"
#include "proc_status.h"

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

/* The wait status of a process that ENTERs and tries; it exits with errno or 0. */
static int status_of(int (*attempt)(void), int (*enter)(void))
{
    enum { NO_JAIL = 255 };
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        if (enter() < 0)
            _exit(NO_JAIL);
        _exit(attempt() < 0 ? errno : 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static int stay_outside(void)
{
    return 0;
}

static int enter_jail(void)
{
    struct cl_jail jail = {.keep_fds = 3};
    struct cl_error err = {0};

    return cl_jail_enter(&jail, &err);
}

TEST(the_jail_ends_whoever_reaches_out)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(attempts); i++) {
        int outside = status_of(attempts[i].attempt, stay_outside);
        int inside = status_of(attempts[i].attempt, enter_jail);

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
    int status = status_of(use_memory_and_pipes, enter_jail);

    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* --- threads ------------------------------------------------------------------------------ */

/* A thread that the jail starts, and what it tries when the door is closed. */
struct other {
    pthread_t thread;
    int ends[2];  /* a byte comes when it is */
    int ready[2]; /* the other way: it runs */
    int (*attempt)(void);
};

static void *try_when_told(void *context)
{
    const struct other *other = context;
    char byte;

    if (write(other->ready[1], "x", 1) != 1 || read(other->ends[0], &byte, 1) != 1)
        _exit(254);
    _exit(other->attempt() < 0 ? errno : 0);
}

static int start_other(void *context, struct cl_error *err)
{
    struct other *other = context;
    char byte;
    int r = pthread_create(&other->thread, NULL, try_when_told, other);

    if (r != 0)
        return cl_fail(err, r, "start a thread");
    return read(other->ready[0], &byte, 1) == 1 ? 0 : cl_refuse(err, EIO, "it never ran");
}

/* The wait status of a process whose other thread tries; it exits with errno or 0. */
static int status_of_thread(int (*attempt)(void))
{
    struct other other = {.attempt = attempt};
    struct cl_jail jail = {.keep_fds = 64, .start_threads = start_other, .context = &other};
    struct cl_error err = {0};
    int status = -1;

    CHECK(cl_sys_pipe2(other.ends, 0) == 0 && cl_sys_pipe2(other.ready, 0) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (cl_jail_enter(&jail, &err) < 0 || write(other.ends[1], "x", 1) != 1)
            _exit(253);
        for (;;)
            (void)pthread_join(other.thread, NULL); /* it ends us all */
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    for (int i = 0; i < 2; i++) {
        cl_fd_close(&other.ends[i]);
        cl_fd_close(&other.ready[i]);
    }
    return status;
}

static int start_a_third(void)
{
    pthread_t thread;
    struct other other = {.ends = {-1, -1}, .ready = {-1, -1}};

    errno = pthread_create(&thread, NULL, try_when_told, &other);
    return errno != 0 ? -1 : 0;
}

static int make_code(void)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return mprotect(memory, 4096, PROT_READ | PROT_EXEC);
}

TEST(threads_are_in_the_jail_as_well)
{
    static int (*const more[])(void) = {start_a_third, make_code};

    for (size_t i = 0; i < CL_ARRAY_SIZE(attempts); i++) {
        int status = status_of_thread(attempts[i].attempt);

        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
        if (!WIFSIGNALED(status))
            printf("# it could %s: %d\n", attempts[i].what, status);
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(more); i++) {
        int status = status_of_thread(more[i]);

        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    }
    int status = status_of_thread(use_memory_and_pipes);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void meet_own_bounds(void)
{
    struct cl_jail jail = {.keep_fds = 64, .bounds = {512 << 20, 50, 1 << 20}};
    struct cl_error err = {0};
    struct cl_rlimit64 limit;

    CHECK(cl_jail_enter_unfiltered(&jail, &err) == 0);
    CHECK(cl_sys_prlimit(0, RLIMIT_CPU, NULL, &limit) == 0 && limit.max == 50);
    CHECK(cl_sys_prlimit(0, RLIMIT_FSIZE, NULL, &limit) == 0 && limit.max == 1 << 20);
#ifndef __SANITIZE_ADDRESS__
    CHECK(cl_sys_prlimit(0, RLIMIT_AS, NULL, &limit) == 0 && limit.max == 512 << 20);
#endif
}

TEST(a_helper_may_ask_for_other_bounds)
{
    check_apart(meet_own_bounds);
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

/* --- the layers below the filter --------------------------------------------------------- */

/* With what the test has open, for attempts by way of it. */
static int enter_unfiltered(void)
{
    struct cl_jail jail = {.keep_fds = 64};
    struct cl_error err = {0};
    int r = cl_jail_enter_unfiltered(&jail, &err);

    CHECK_TEXT(err.msg, "");
    return r;
}

static void lose_root(void)
{
    const gid_t group = 7;
    char text[4096];
    CL_CLEANUP_FD int fd = open_status();

    CHECK(cl_sys_setgroups(1, &group) == 0);
    read_status(fd, text, sizeof(text));
    CHECK_HAS(text, "\nUid:\t0\t0\t0\t0\n");
    CHECK_HAS(text, "\nGroups:\t7 \n");
    CHECK(enter_unfiltered() == 0);
    read_status(fd, text, sizeof(text));
    CHECK(is_an_id_of_its_own(text, "\nUid:\t"));
    CHECK(is_an_id_of_its_own(text, "\nGid:\t"));
    CHECK_HAS(text, "\nGroups:\t \n");
}

TEST(root_becomes_nobody_else)
{
    if (geteuid() != 0)
        SKIP_TEST("needs root, to lose it");
    check_apart(lose_root);
}

/* A user namespace of one's own gives all of them. */
static void lose_capabilities(void)
{
    char text[4096];
    CL_CLEANUP_FD int fd = open_status();

    CHECK(enter_unfiltered() == 0);
    read_status(fd, text, sizeof(text));
    CHECK_HAS(text, "\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
                    "CapEff:\t0000000000000000\n");
    CHECK_HAS(text, "\nNoNewPrivs:\t1\n");
}

TEST(no_capability_is_left)
{
    if (!host_lets_us_unshare())
        SKIP_TEST("this host lets us make no user namespace");
    check_apart(lose_capabilities);
}

static void leave_the_host(void)
{
    static const char *const names[] = {"user", "mnt", "net", "ipc", "uts"};
    char before[CL_ARRAY_SIZE(names)][32] = {""};
    struct statvfs root;
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, "/proc/self/ns", O_RDONLY | O_DIRECTORY, 0);

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++)
        CHECK(cl_sys_readlinkat(dir, names[i], before[i], sizeof(before[i]) - 1) > 0);
    CHECK(access("/etc", F_OK) == 0 && chdir("/") == 0);
    CHECK(enter_unfiltered() == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        char after[32] = "";

        CHECK(cl_sys_readlinkat(dir, names[i], after, sizeof(after) - 1) > 0);
        CHECK(strcmp(before[i], after) != 0);
    }
    CHECK(access("/etc", F_OK) < 0 && errno == ENOENT); /* Landlock hides no name */
    CHECK(access("etc", F_OK) < 0 && errno == ENOENT);
    CHECK(access("../etc", F_OK) < 0 && errno == ENOENT);
    CHECK(statvfs("/", &root) == 0 && (root.f_flag & ST_RDONLY) != 0);
}

TEST(the_hosts_files_and_network_are_gone)
{
    if (!host_lets_us_unshare())
        SKIP_TEST("this host lets us make no user namespace");
    check_apart(leave_the_host);
}

static void meet_limits(void)
{
    static const struct {
        int resource;
        uint64_t most;
    } rows[] = {
#ifndef __SANITIZE_ADDRESS__
        {RLIMIT_AS, 256 << 20},
#endif
        {RLIMIT_CPU, 5},        {RLIMIT_FSIZE, CL_PLAN_MAX_SIZE},
        {RLIMIT_NOFILE, 8},     {RLIMIT_NPROC, 0},
        {RLIMIT_CORE, 0},       {RLIMIT_MEMLOCK, 0},
    };
    struct cl_rlimit64 limit;

    CHECK(enter_unfiltered() == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(cl_sys_prlimit(0, rows[i].resource, NULL, &limit) == 0);
        CHECK(limit.cur <= rows[i].most && limit.max <= rows[i].most);
    }
}

TEST(resources_are_few)
{
    check_apart(meet_limits);
}

static void meet_the_seal(void)
{
    int signal = 0;

    CHECK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
    CHECK(enter_unfiltered() == 0);
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK(prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) == 0 && signal == SIGKILL);
}

TEST(the_process_is_sealed)
{
    check_apart(meet_the_seal);
}

/* --- Landlock: what a descriptor of the host leads to ------------------------------------ */

static int leaked = -1; /* and few, for the jail allows no more */
static struct sockaddr_in tcp_address;
static struct sockaddr_un local_address;
static socklen_t local_size;

static int listen_tcp(void)
{
    socklen_t size = sizeof(tcp_address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    tcp_address = (struct sockaddr_in){.sin_family = AF_INET};
    tcp_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (struct sockaddr *)&tcp_address, size) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&tcp_address, &size) == 0);
    return fd;
}

/* unix(7): what is bound without a name gets an abstract one. */
static int listen_abstract(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    local_address.sun_family = AF_UNIX;
    local_size = sizeof(local_address);
    CHECK(bind(fd, (struct sockaddr *)&local_address, sizeof(sa_family_t)) == 0);
    CHECK(listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&local_address, &local_size) == 0);
    return fd;
}

static int leak_directory(void)
{
    return cl_sys_openat(AT_FDCWD, "/etc", O_RDONLY | O_DIRECTORY, 0);
}

/* Sockets stay in the network namespace where they were made. */
static int leak_tcp(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int open_below(void)
{
    return openat(leaked, "passwd", O_RDONLY | O_CLOEXEC);
}

static int bind_tcp(void)
{
    const struct sockaddr_in any = {.sin_family = AF_INET};

    return bind(leaked, (const struct sockaddr *)&any, sizeof(any));
}

static int connect_tcp(void)
{
    return connect(leaked, (const struct sockaddr *)&tcp_address, sizeof(tcp_address));
}

static int connect_abstract(void)
{
    return connect(leaked, (const struct sockaddr *)&local_address, local_size);
}

static const struct {
    const char *what;
    int (*leak)(void);
    int (*attempt)(void);
    int least_abi; /* landlock(7) */
    int errnum;
} reaches[] = {
    {"open a file below a directory", leak_directory, open_below, 1, EACCES},
    {"bind to a TCP port", leak_tcp, bind_tcp, 4, EACCES},
    {"connect by TCP", leak_tcp, connect_tcp, 4, EACCES},
    {"connect to an abstract socket", make_socket, connect_abstract, 6, EPERM},
    {"signal the parent", make_socket, signal_parent, 6, EPERM}, /* root's jail can't anyway */
};

/* The wait status of an attempt on what was open before ENTER. */
static int status_of_reach(size_t i, int (*enter)(void))
{
    leaked = reaches[i].leak();
    CHECK(leaked >= 0);
    int status = status_of(reaches[i].attempt, enter);
    cl_fd_close(&leaked);
    return status;
}

TEST(what_is_open_leads_no_further)
{
    int abi = cl_sys_landlock_create_ruleset(NULL, 0, CL_LANDLOCK_CREATE_RULESET_VERSION);

    if (abi < 1)
        SKIP_TEST("this kernel has no Landlock");
    CL_CLEANUP_FD int tcp = listen_tcp();
    CL_CLEANUP_FD int abstract = listen_abstract();
    CHECK(tcp >= 0 && abstract >= 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(reaches) && reaches[i].least_abi <= abi; i++) {
        int outside = status_of_reach(i, stay_outside);
        int inside = status_of_reach(i, enter_unfiltered);

        CHECK(WIFEXITED(outside) && WEXITSTATUS(outside) == 0);
        CHECK(WIFEXITED(inside) && WEXITSTATUS(inside) == reaches[i].errnum);
        if (!WIFEXITED(inside) || WEXITSTATUS(inside) != reaches[i].errnum)
            printf("# it could %s: %d\n", reaches[i].what, inside);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_jail_ends_whoever_reaches_out),
        ROW(the_jail_leaves_what_a_parser_needs),
        ROW(threads_are_in_the_jail_as_well),
        ROW(a_helper_may_ask_for_other_bounds),
        ROW(the_jail_closes_other_descriptors),
        ROW(root_becomes_nobody_else),
        ROW(no_capability_is_left),
        ROW(the_hosts_files_and_network_are_gone),
        ROW(resources_are_few),
        ROW(the_process_is_sealed),
        ROW(what_is_open_leads_no_further),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
