/* One call of the helper. It gets an empty environment, its bytes in a file of memory,
 * two pipes for the answer and the complaint, and nothing else; what it sends is
 * capped, and it is killed when its time is up. Its own jail is its own affair
 * (src/helpers/plan/jail.c): nothing here believes what it says. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "base/utf8.h"
#include "plan/compile_parts.h"
#include "plan/format.h"

enum { MAX_COMPLAINT = 400, GROUP_FD = 3, WAIT_BY_PIDFD = 3 /* P_PIDFD */ };

/* --- finding it --------------------------------------------------------- */

/* A program that runs from a sealed copy in memory was started with its path as the
 * first argument (src/cmd/cloister/seal.h). */
static ssize_t first_argument(char path[CL_HELPER_PATH_SIZE])
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/proc/self/cmdline", O_RDONLY, 0);

    return fd < 0 ? fd : cl_sys_read(fd, path, CL_HELPER_PATH_SIZE - 1);
}

static int own_directory(char dir[CL_HELPER_PATH_SIZE], struct cl_error *err)
{
    static const char in_memory[] = "/memfd:";
    ssize_t size = cl_sys_readlinkat(AT_FDCWD, "/proc/self/exe", dir, CL_HELPER_PATH_SIZE - 1);

    if (size > 0 && strncmp(dir, in_memory, sizeof(in_memory) - 1) == 0)
        size = first_argument(dir);
    if (size < 0)
        return cl_fail(err, (int)size, "find the program's own path");
    dir[size] = '\0';
    char *slash = strrchr(dir, '/');
    if (slash == NULL)
        return cl_refuse(err, ENOENT, "can't tell where cloister is installed");
    *slash = '\0';
    return 0;
}

static int look_at(struct cl_helper *helper, const char *dir, const char *below)
{
    struct stat status;
    int size = snprintf(helper->path, sizeof(helper->path), "%s/%s", dir, below);

    if (size < 0 || (size_t)size >= sizeof(helper->path))
        return -ENAMETOOLONG;
    int r = cl_sys_fstatat(AT_FDCWD, helper->path, &status, 0);
    if (r < 0)
        return r;
    if (!S_ISREG(status.st_mode))
        return -ENOENT;
    helper->size = (uint64_t)status.st_size;
    helper->mtime_s = (int64_t)status.st_mtim.tv_sec;
    helper->mtime_ns = (int64_t)status.st_mtim.tv_nsec;
    return 0;
}

int cl_helper_find(const char *dir, struct cl_helper *ret, struct cl_error *err)
{
    static const char *const places[] = {"../libexec/cloister/cloister-plan", "cloister-plan"};
    char own[CL_HELPER_PATH_SIZE];
    int r = 0;

    if (dir == NULL) {
        r = own_directory(own, err);
        dir = own;
    }
    if (r < 0)
        return r;
    for (size_t i = 0; i < CL_ARRAY_SIZE(places); i++) {
        r = look_at(ret, dir, places[i]);
        if (r == 0)
            return 0;
        if (r != -ENOENT && r != -ENOTDIR && r != -EACCES)
            return cl_fail(err, r, "look for %s/%s", dir, places[i]);
    }
    return cl_refuse(
        err, ENOENT,
        "the program cloister-plan is missing: it belongs in %.100s/../libexec/cloister "
        "or beside cloister; reinstall, or run `make install`",
        dir);
}

/* --- running it --------------------------------------------------------- */

/* The helper while it runs; whoever holds this has it killed and reaped in the end. */
struct child {
    pid_t pid;
    int pidfd;
    int answer;
    int complaint;
};

static void child_done(struct child *child)
{
    siginfo_t info;

    cl_fd_close(&child->answer);
    cl_fd_close(&child->complaint);
    cl_fd_close(&child->pidfd);
    if (child->pid <= 0)
        return;
    (void)cl_sys_kill(child->pid, SIGKILL); /* not reaped yet: the number is still its own */
    while (cl_sys_waitid(P_PID, child->pid, &info, WEXITED) == -EINTR)
        ;
    child->pid = 0;
}
#define CL_CLEANUP_CHILD CL_CLEANUP(child_done)
#define CHILD_INIT ((struct child){.pidfd = -1, .answer = -1, .complaint = -1})

static struct child child_take(struct child *child)
{
    struct child taken = *child;

    *child = CHILD_INIT;
    return taken;
}

/* BYTES as a file of memory, at its start. */
static int memory_file(const struct cl_buf *bytes, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_memfd_create("input", 1 /* MFD_CLOEXEC */);

    if (fd < 0)
        return cl_fail(err, fd, "memfd_create");
    int r = cl_write_all(fd, cl_buf_text(bytes), bytes->size);
    if (r == 0)
        r = (int)CL_SYS3(SYS_lseek, fd, 0, SEEK_SET);
    if (r < 0)
        return cl_fail(err, r, "prepare the parser's input");
    return CL_TAKE_FD(fd);
}

/* The helper's descriptors, by their number in it. */
struct plumbing {
    int input;
    int answer;
    int complaint;
    int group; /* -1: none */
};

static int add_descriptors(posix_spawn_file_actions_t *actions, const struct plumbing *plumbing)
{
    int r = posix_spawn_file_actions_adddup2(actions, plumbing->input, STDIN_FILENO);

    if (r == 0)
        r = posix_spawn_file_actions_adddup2(actions, plumbing->answer, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(actions, plumbing->complaint, STDERR_FILENO);
    /* Last: 3 may be one of the descriptors above. */
    if (r == 0 && plumbing->group >= 0)
        r = posix_spawn_file_actions_adddup2(actions, plumbing->group, GROUP_FD);
    return -r;
}

/* No signal blocked or ignored that our caller may have left so. */
static int reset_signals(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t all;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int r = posix_spawnattr_setsigmask(attributes, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attributes, &all);
    if (r == 0)
        r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return -r;
}

/* posix_spawn is the C library's vfork: the child has our memory only until it execs. */
static int spawn(const struct cl_helper *helper, const struct cl_helper_call *call,
                 const struct plumbing *plumbing, pid_t *ret)
{
    char *const argv[] = {cl_unconst("cloister-plan"), cl_unconst(call->verb),
                          cl_unconst(call->name), NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int r = cl_fault_syscall(SYS_clone);

    if (r < 0)
        return r;
    r = -posix_spawn_file_actions_init(&actions);
    if (r < 0)
        return r;
    r = -posix_spawnattr_init(&attributes);
    if (r == 0) {
        r = add_descriptors(&actions, plumbing);
        if (r == 0)
            r = reset_signals(&attributes);
        if (r == 0)
            r = -posix_spawn(ret, helper->path, &actions, &attributes, argv, environment);
        (void)posix_spawnattr_destroy(&attributes); /* frees memory, can't fail */
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return r;
}

static int start(const struct cl_helper *helper, const struct cl_helper_call *call,
                 struct child *ret, struct cl_error *err)
{
    CL_CLEANUP_CHILD struct child child = CHILD_INIT;
    CL_CLEANUP_FD int input = memory_file(call->input, err);
    CL_CLEANUP_FD int group = call->group == NULL || input < 0 ? -1 : memory_file(call->group, err);
    int ends[2];

    if (input < 0 || (call->group != NULL && group < 0))
        return -err->code;
    int r = cl_sys_pipe2(ends, 0);
    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    child.answer = ends[0];
    CL_CLEANUP_FD int answer = ends[1];
    r = cl_sys_pipe2(ends, 0);
    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    child.complaint = ends[0];
    CL_CLEANUP_FD int complaint = ends[1];

    struct plumbing plumbing = {input, answer, complaint, group};
    r = spawn(helper, call, &plumbing, &child.pid);
    if (r < 0)
        return cl_fail(err, r, "start %.200s", helper->path);
    child.pidfd = cl_sys_pidfd_open(child.pid);
    if (child.pidfd < 0)
        return cl_fail(err, child.pidfd, "pidfd_open");
    *ret = child_take(&child);
    return 0;
}

/* --- listening to it ---------------------------------------------------- */

/* Takes what has come; closes *fd at the end. Past the buffer's cap: -EFBIG. */
static int drain(int *fd, struct cl_buf *buf)
{
    char chunk[4096];
    ssize_t got = cl_sys_read(*fd, chunk, sizeof(chunk));

    if (got == -EINTR)
        return 0;
    if (got < 0)
        return (int)got;
    if (got == 0) {
        cl_fd_close(fd);
        return 0;
    }
    return cl_buf_add(buf, chunk, (size_t)got);
}

/* The complaint is cut at its cap; only what fits is kept. */
static int drain_complaint(int *fd, struct cl_buf *complaint)
{
    CL_CLEANUP_BUF struct cl_buf chunk = CL_BUF_INIT(4096);
    int r = drain(fd, &chunk);

    if (r < 0)
        return r;
    return cl_buf_add(complaint, cl_buf_text(&chunk),
                      cl_min_u64(chunk.size, complaint->cap - complaint->size));
}

static int wait_until(struct pollfd *polls, size_t count, uint64_t deadline)
{
    uint64_t now = cl_clock_boot_ns();

    if (now >= deadline)
        return -ETIMEDOUT;
    struct timespec left = {
        .tv_sec = (time_t)((deadline - now) / CL_NS_PER_S),
        .tv_nsec = (long)((deadline - now) % CL_NS_PER_S),
    };
    int r = (int)CL_SYS5(SYS_ppoll, polls, count, &left, NULL, 0);
    return r == 0 ? -ETIMEDOUT : r == -EINTR ? 0 : r;
}

/* Reads both pipes to their ends and waits for the process, all until DEADLINE. */
static int listen_to(struct child *child, struct cl_buf *answer, struct cl_buf *complaint,
                     uint64_t deadline)
{
    int r = 0;

    while (r >= 0 && (child->answer >= 0 || child->complaint >= 0)) {
        struct pollfd polls[2] = {
            {.fd = child->answer, .events = POLLIN},
            {.fd = child->complaint, .events = POLLIN},
        };

        r = wait_until(polls, CL_ARRAY_SIZE(polls), deadline);
        if (r >= 0 && polls[0].revents != 0)
            r = drain(&child->answer, answer);
        if (r >= 0 && polls[1].revents != 0)
            r = drain_complaint(&child->complaint, complaint);
    }
    struct pollfd exit = {.fd = child->pidfd, .events = POLLIN};
    while (r >= 0 && exit.revents == 0)
        r = wait_until(&exit, 1, deadline);
    return r < 0 ? r : 0;
}

/* One printable line from what the helper wrote. */
static void clean_complaint(struct cl_buf *complaint)
{
    char *text = complaint->data;

    if (text == NULL)
        return;
    text[strcspn(text, "\n")] = '\0';
    cl_utf8_make_printable(text);
}

static int judge(const siginfo_t *info, const struct cl_helper_call *call, struct cl_buf *complaint,
                 struct cl_error *err)
{
    clean_complaint(complaint);
    if (info->si_code == CLD_EXITED && info->si_status == 0)
        return 0;
    if (info->si_code == CLD_EXITED && cl_buf_text(complaint)[0] != '\0')
        return cl_refuse(err, EINVAL, "%s", cl_buf_text(complaint));
    if (info->si_code == CLD_EXITED)
        return cl_refuse(err, EIO, "%.200s: the parser ended with status %d", call->name,
                         info->si_status);
    if (info->si_status == SIGXCPU || info->si_status == SIGKILL)
        return cl_refuse(err, EINVAL, "%.200s: takes too long to parse", call->name);
    return cl_refuse(err, EIO, "%.200s: the parser was ended by signal %d", call->name,
                     info->si_status);
}

int cl_helper_run(const struct cl_helper *helper, const struct cl_helper_call *call,
                  struct cl_buf *output, struct cl_error *err)
{
    CL_CLEANUP_CHILD struct child child = CHILD_INIT;
    CL_CLEANUP_BUF struct cl_buf complaint = CL_BUF_INIT(MAX_COMPLAINT);
    siginfo_t info = {0};
    int r = start(helper, call, &child, err);

    if (r < 0)
        return r;
    r = listen_to(&child, output, &complaint, cl_clock_boot_ns() + call->timeout_ns);
    if (r == -ETIMEDOUT)
        return cl_refuse(err, EINVAL, "%.200s: takes too long to parse", call->name);
    if (r == -EFBIG)
        return cl_refuse(err, EFBIG, "%.200s: the plan it makes is larger than %d bytes",
                         call->name, CL_PLAN_MAX_SIZE);
    if (r < 0)
        return cl_fail(err, r, "read from cloister-plan");
    r = cl_sys_waitid(WAIT_BY_PIDFD, child.pidfd, &info, WEXITED);
    if (r < 0)
        return cl_fail(err, r, "wait for cloister-plan");
    child.pid = 0; /* reaped */
    return judge(&info, call, &complaint, err);
}
