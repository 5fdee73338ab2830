/* A pipe tells the caller's process what has become of the start: one message, and its end when the
 * supervisor has died without a word. */
#include "cmd/cloister/detach.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloister/command.h"
#include "sandbox/state.h"

/* How it began. */
struct birth {
    int status; /* 0: the command runs; else what to exit with, or -errno with why */
    char id[CL_ID_SIZE];
    struct cl_error why;
};
_Static_assert(sizeof(struct birth) <= 4096, "written whole (pipe(7))");

enum { HELD = 3 };

struct detached {
    int tell; /* the pipe's end; -1: told */
};

static void tell(struct detached *detached, const struct birth *birth)
{
    if (detached->tell < 0)
        return;
    (void)cl_write_all(detached->tell, birth, sizeof(*birth)); /* a caller who has gone misses it */
    cl_fd_close(&detached->tell);
}

static void tell_started(void *context, const char *id)
{
    struct birth birth = {0};

    memcpy(birth.id, id, CL_ID_SIZE);
    tell(context, &birth);
}

/* --- the supervisor's process ------------------------------------------------------------------
 */

/* All descriptors but those HELD and the files in STREAMS are the caller's: whoever waits for their
 * end must not wait for us. The files become our standard descriptors, and STREAMS says so. */
static int let_go(const int held[HELD], int streams[3], struct cl_error *err)
{
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    int r = null;

    for (int fd = 0; r >= 0 && fd <= 2; fd++) {
        r = cl_sys_dup3(streams[fd] >= 0 ? streams[fd] : null, fd, 0);
        streams[fd] = streams[fd] >= 0 ? fd : -1;
    }
    if (r < 0)
        return cl_fail(err, r, "put others in place of the standard descriptors");
    r = cl_fd_close_others(held, HELD);
    if (r < 0)
        return cl_fail(err, r, "close the caller's descriptors");
    (void)CL_TAKE_FD(null); /* closed with the rest */
    r = cl_sys_setsid();
    return r < 0 ? cl_fail(err, r, "setsid") : 0;
}

CL_NORETURN static void supervise(const struct cl_plan *plan, struct cl_run_options options,
                                  int told, int keep)
{
    struct detached detached = {.tell = told};
    struct birth birth = {0};
    int streams[3] = {-1, -1, -1};

    if (options.streams != NULL)
        memcpy(streams, options.streams, sizeof(streams));
    const int held[HELD] = {told, keep, options.image};
    int r = let_go(held, streams, &birth.why);

    options.streams = streams;
    options.on_started = tell_started;
    options.context = &detached;
    if (r == 0)
        r = cl_sandbox_run(plan, &options, &birth.why);
    birth.status = r == 0 ? -ECANCELED : r; /* it ended well before it began? */
    tell(&detached, &birth);
    _exit(r < 0 ? CL_EXIT_FAILED : r);
}

/* --- the caller's ------------------------------------------------------------------------------
 */

static int judge(const struct birth *birth, size_t size, char ret_id[CL_ID_SIZE],
                 struct cl_error *err)
{
    if (size != sizeof(*birth))
        return cl_refuse(err, ECHILD,
                         "the sandbox's supervisor was killed while it made the "
                         "sandbox");
    if (birth->status != 0) {
        *err = birth->why;
        return birth->status;
    }
    memcpy(ret_id, birth->id, CL_ID_SIZE);
    return 0;
}

static size_t listen_to(int from, struct birth *ret)
{
    size_t size = 0;
    ssize_t got = 1;

    while (got != 0 && size < sizeof(*ret)) {
        got = cl_sys_read(from, (char *)ret + size, sizeof(*ret) - size);
        if (got == -EINTR)
            continue;
        if (got < 0)
            break;
        size += (size_t)got;
    }
    ret->id[CL_ID_SIZE - 1] = '\0';
    ret->why.msg[sizeof(ret->why.msg) - 1] = '\0';
    return size;
}

int cl_detach_start(const struct cl_plan *plan, const struct cl_run_options *options, int keep,
                    char ret_id[CL_ID_SIZE], struct cl_error *err)
{
    struct birth birth;
    int ends[2];
    int r = cl_sys_pipe2(ends, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    CL_CLEANUP_FD int from = ends[0];
    CL_CLEANUP_FD int to = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return cl_fail(err, -errno, "make the sandbox's supervisor");
    if (pid == 0) {
        cl_fd_close(&from);
        supervise(plan, *options, CL_TAKE_FD(to), keep);
    }
    cl_fd_close(&to);
    size_t size = listen_to(from, &birth);
    return judge(&birth, size, ret_id, err);
}

int cl_detach(const struct cl_plan *plan, const struct cl_run_options *options, int keep,
              struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf line = CL_BUF_INIT(CL_OUTPUT_MAX);
    char id[CL_ID_SIZE];
    int r = cl_detach_start(plan, options, keep, id, err);

    if (r != 0)
        return r;
    return cl_buf_printf(&line, "%s\n", id) < 0 ? cl_fail_memory(err) : cl_print(&line, err);
}
