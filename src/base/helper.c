#include "base/helper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "base/utf8.h"

enum { MAX_COMPLAINT = 400, FIRST_MORE_FD = 3 };

/* --- finding it --------------------------------------------------------- */

/* A program that runs from a sealed copy in memory, or from a mount that is attached nowhere (of
 * which the file is the root, "/"), was started with its path as the first argument (seal.h). */
static ssize_t first_argument(char path[CL_HELPER_PATH_SIZE])
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/proc/self/cmdline", O_RDONLY, 0);

    return fd < 0 ? fd : cl_sys_read(fd, path, CL_HELPER_PATH_SIZE - 1);
}

static int own_directory(char dir[CL_HELPER_PATH_SIZE], struct cl_error *err)
{
    static const char in_memory[] = "/memfd:";
    ssize_t size = cl_sys_readlinkat(AT_FDCWD, "/proc/self/exe", dir, CL_HELPER_PATH_SIZE - 1);

    if ((size == 1 && dir[0] == '/') ||
        (size > 0 && strncmp(dir, in_memory, sizeof(in_memory) - 1) == 0))
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
    int size = snprintf(helper->path, sizeof(helper->path), "%s%s/%s", dir, below, helper->name);

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

int cl_helper_find(const char *dir, const char *name, struct cl_helper *ret, struct cl_error *err)
{
    static const char *const places[] = {"/../libexec/cloister", ""};
    char own[CL_HELPER_PATH_SIZE];
    int r = 0;

    ret->name = name;
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
            return cl_fail(err, r, "look for %s%s/%s", dir, places[i], name);
    }
    return cl_refuse(err, ENOENT,
                     "the program %s is missing: it belongs in %.100s/../libexec/cloister "
                     "or beside cloister; reinstall, or run `make install`",
                     name, dir);
}

/* --- running it --------------------------------------------------------- */

/* The helper while it runs, and our ends of its pipes. */
struct call {
    struct cl_child child;
    int answer;
    int complaint;
};

static void call_done(struct call *call)
{
    cl_fd_close(&call->answer);
    cl_fd_close(&call->complaint);
    cl_child_done(&call->child);
}
#define CL_CLEANUP_CALL CL_CLEANUP(call_done)
#define CALL_INIT ((struct call){.child = CL_CHILD_INIT, .answer = -1, .complaint = -1})

int cl_helper_memory_file(const struct cl_buf *bytes, struct cl_error *err)
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

/* The helper's descriptors, by their number in it; -1: none. */
struct plumbing {
    int fds[FIRST_MORE_FD + CL_HELPER_MAX_INPUTS - 1];
};

static void plumbing_done(struct plumbing *plumbing)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(plumbing->fds); i++)
        cl_fd_close(&plumbing->fds[i]);
}

/* A pipe whose end for writing the helper gets as FD, and we *RET. */
static int lay_pipe(struct plumbing *plumbing, int fd, int *ret, struct cl_error *err)
{
    int ends[2];
    int r = cl_sys_pipe2(ends, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    *ret = ends[0];
    plumbing->fds[fd] = ends[1];
    return 0;
}

static int lay_inputs(struct plumbing *plumbing, const struct cl_helper_call *call,
                      struct cl_error *err)
{
    for (size_t i = 0; i < CL_HELPER_MAX_INPUTS; i++) {
        const size_t fd = i == 0 ? STDIN_FILENO : FIRST_MORE_FD + i - 1;

        if (call->inputs[i] == NULL)
            continue;
        plumbing->fds[fd] = cl_helper_memory_file(call->inputs[i], err);
        if (plumbing->fds[fd] < 0)
            return plumbing->fds[fd];
    }
    return 0;
}

/* A descriptor of its own, which moves no offset of the caller's. */
static int lay_file(struct plumbing *plumbing, int file, struct cl_error *err)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    plumbing->fds[STDIN_FILENO] = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    return plumbing->fds[STDIN_FILENO] < 0
               ? cl_fail(err, plumbing->fds[STDIN_FILENO], "open a file for a helper")
               : 0;
}

static int lay_result(struct plumbing *plumbing, int result, struct cl_error *err)
{
    CL_ASSERT(plumbing->fds[FIRST_MORE_FD] < 0);
    int fd = cl_sys_fcntl(result, F_DUPFD_CLOEXEC, FIRST_MORE_FD);

    if (fd < 0)
        return cl_fail(err, fd, "copy a descriptor for a helper");
    plumbing->fds[FIRST_MORE_FD] = fd;
    return 0;
}

static int start(const struct cl_helper *helper, const struct cl_helper_call *call,
                 struct call *ret, struct cl_error *err)
{
    CL_CLEANUP(plumbing_done) struct plumbing plumbing = {{-1, -1, -1, -1, -1, -1}};
    char *argv[CL_HELPER_MAX_ARGS + 2] = {cl_unconst(helper->name)};
    char *const environment[] = {NULL};
    const struct cl_child_start how = {
        .path = helper->path,
        .argv = argv,
        .envp = call->environment != NULL ? call->environment : environment,
        .fds = plumbing.fds,
        .fd_count = CL_ARRAY_SIZE(plumbing.fds),
        .cwd = -1,
    };

    for (size_t i = 0; i < CL_HELPER_MAX_ARGS && call->args[i] != NULL; i++)
        argv[i + 1] = cl_unconst(call->args[i]);
    int r = lay_inputs(&plumbing, call, err);
    if (r == 0 && call->file > STDERR_FILENO)
        r = lay_file(&plumbing, call->file, err);
    if (r == 0 && call->result > STDERR_FILENO)
        r = lay_result(&plumbing, call->result, err);
    if (r == 0)
        r = lay_pipe(&plumbing, STDOUT_FILENO, &ret->answer, err);
    if (r == 0)
        r = lay_pipe(&plumbing, STDERR_FILENO, &ret->complaint, err);
    return r < 0 ? r : cl_child_start(&how, &ret->child, err);
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
static int listen_to(struct call *call, struct cl_buf *answer, struct cl_buf *complaint,
                     uint64_t deadline)
{
    int r = 0;

    while (r >= 0 && (call->answer >= 0 || call->complaint >= 0)) {
        struct pollfd polls[2] = {
            {.fd = call->answer, .events = POLLIN},
            {.fd = call->complaint, .events = POLLIN},
        };

        r = wait_until(polls, CL_ARRAY_SIZE(polls), deadline);
        if (r >= 0 && polls[0].revents != 0)
            r = drain(&call->answer, answer);
        if (r >= 0 && polls[1].revents != 0)
            r = drain_complaint(&call->complaint, complaint);
    }
    struct pollfd exit = {.fd = call->child.pidfd, .events = POLLIN};
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

static int say_late(const struct cl_helper_call *call, struct cl_error *err)
{
    if (call->is_foreign)
        return cl_refuse(err, ETIMEDOUT, "%.200s: didn't come in %llu s", call->subject,
                         (unsigned long long)(call->timeout_ns / CL_NS_PER_S));
    return cl_refuse(err, EINVAL, "%.200s: takes too long to %s", call->subject,
                     call->work != NULL ? call->work : "parse");
}

static int judge(const siginfo_t *info, const struct cl_helper *helper,
                 const struct cl_helper_call *call, struct cl_buf *complaint, struct cl_error *err)
{
    const char *subject = call->subject;

    clean_complaint(complaint);
    if (info->si_code == CLD_EXITED && info->si_status == 0)
        return 0;
    if (info->si_code == CLD_EXITED && cl_buf_text(complaint)[0] != '\0')
        return cl_refuse(err, EINVAL, "%s", cl_buf_text(complaint));
    if (info->si_code == CLD_EXITED)
        return cl_refuse(err, EIO, "%.200s: %s ended with status %d", subject, helper->name,
                         info->si_status);
    if (!call->is_foreign && (info->si_status == SIGXCPU || info->si_status == SIGKILL))
        return say_late(call, err);
    return cl_refuse(err, EIO, "%.200s: %s was ended by signal %d", subject, helper->name,
                     info->si_status);
}

int cl_helper_run(const struct cl_helper *helper, const struct cl_helper_call *call,
                  struct cl_buf *output, struct cl_error *err)
{
    CL_CLEANUP_CALL struct call running = CALL_INIT;
    CL_CLEANUP_BUF struct cl_buf complaint = CL_BUF_INIT(MAX_COMPLAINT);
    siginfo_t info = {0};
    int r = start(helper, call, &running, err);

    if (r < 0)
        return r;
    r = listen_to(&running, output, &complaint, cl_clock_boot_ns() + call->timeout_ns);
    if (r == -ETIMEDOUT)
        return say_late(call, err);
    if (r == -EFBIG)
        return cl_refuse(err, EFBIG, "%.200s: what is made of it is larger than %zu bytes",
                         call->subject, output->cap);
    if (r < 0)
        return cl_fail(err, r, "read from %s", helper->name);
    r = cl_child_wait(&running.child, &info, err);
    return r < 0 ? r : judge(&info, helper, call, &complaint, err);
}
