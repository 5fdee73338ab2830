#include "sandbox/errands.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/copy.h"

enum { LAST_SIGNAL = 64, ARENA_MAX = 64 << 20 };
#define MOST_BYTES (1ULL << 40) /* that come out: those of the disk the caller said itself */

/* What the child says of a way, and each copy of itself: 0, or why not. */
struct report {
    int32_t code;
    char message[CL_ERROR_MSG_SIZE];
};
_Static_assert(sizeof(struct report) <= 4096, "written whole (pipe(7))");

struct runner {
    const struct cl_errand_plan *plan;
    const char *id;
    const char *source; /* of the copy that goes on */
};

/* We end with PARENT. */
static int tie_to(pid_t parent)
{
    int r = cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

    if (r == 0 && getppid() != parent)
        _exit(1);
    return r;
}

/* --- one copy ---------------------------------------------------------------------------- */

static void left_out(void *context, const char *path, int why)
{
    const struct runner *runner = context;

    if (runner->plan->left_out != NULL)
        runner->plan->left_out(runner->source, path, why);
}

static int copy_one(struct runner *runner, const struct cl_found *found, enum cl_errand_way way,
                    const struct cl_errand *errand, struct cl_error *err)
{
    struct cl_copy_done done;
    const struct cl_copy_job job = {
        .found = found,
        .source = errand->source,
        .target = errand->target,
        .most_bytes = MOST_BYTES,
        .is_last = 1,
        .left_out = left_out,
        .context = runner,
    };

    runner->source = errand->source;
    return way == CL_ERRANDS_IN ? cl_copy_into(&job, err) : cl_copy_out_of(&job, &done, err);
}

static void report_to(int fd, const struct cl_error *err)
{
    struct report report = {.code = err->code};

    memcpy(report.message, err->msg, sizeof(report.message));
    (void)cl_write_all(fd, &report, sizeof(report)); /* who isn't there any more misses it */
}

static int take_report(const struct report *report, struct cl_error *err)
{
    if (report->code == 0)
        return 0;
    *err = (struct cl_error){.code = report->code};
    memcpy(err->msg, report->message, sizeof(err->msg));
    return cl_error_check(err);
}

static int hear_copy(int from, struct cl_error *err)
{
    struct report report = {0};
    ssize_t got;

    do
        got = cl_sys_read(from, &report, sizeof(report));
    while (got == -EINTR);
    if (got != (ssize_t)sizeof(report))
        return cl_refuse(err, ECHILD, "the process that copies files was ended");
    return take_report(&report, err);
}

/* Each copy is a process of its own, which shuts itself in where that goes (copy/confine.h) and so
 * can do no other: it takes a stream from a hostile sandbox. */
static int copy_apart(struct runner *runner, const struct cl_found *found, enum cl_errand_way way,
                      const struct cl_errand *errand, struct cl_error *err)
{
    const pid_t parent = getpid();
    int ends[2];
    int r = cl_sys_pipe2(ends, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    CL_CLEANUP_FD int from = ends[0];
    CL_CLEANUP_FD int to = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return cl_fail(err, -errno, "make a process that copies files");
    if (pid == 0) {
        struct cl_error why = {0};

        cl_fd_close(&from);
        r = tie_to(parent);
        if (r < 0)
            (void)cl_fail(&why, r, "prepare to copy files");
        else
            (void)copy_one(runner, found, way, errand, &why);
        report_to(to, &why);
        _exit(0);
    }
    cl_fd_close(&to);
    r = hear_copy(from, err);
    (void)cl_sys_wait_for(pid, NULL); /* it has said all that it had to, or is dead */
    return r;
}

/* --- the child --------------------------------------------------------------------------- */

static int copy_all(struct runner *runner, enum cl_errand_way way, struct cl_error *err)
{
    const struct cl_errand_list *list =
        way == CL_ERRANDS_IN ? &runner->plan->in : &runner->plan->out;
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP_FOUND struct cl_found found = CL_FOUND_INIT;
    int r = cl_state_open(&state, err);

    if (r == 0)
        r = cl_state_find(&state, runner->id, &arena, &found, err);
    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = copy_apart(runner, &found, way, &list->items[i], err);
    return r < 0 ? cl_prefix(err, "%s", way == CL_ERRANDS_IN ? "copy-in" : "copy-out") : 0;
}

/* The supervisor's descriptors are its own, and the caller's signals come as to any command: the
 * first that would end us, does. */
static int settle(int channel, pid_t parent, struct cl_error *err)
{
    const uint64_t none = 0;
    int r = tie_to(parent);

    if (r == 0)
        r = cl_fd_close_others(&channel, 1);
    for (int signal = 1; r == 0 && signal <= LAST_SIGNAL; signal++) {
        if (signal != SIGKILL && signal != SIGSTOP)
            (void)cl_sys_signal_default(signal); /* fails for no other */
    }
    if (r == 0)
        r = cl_sys_signal_ignore(SIGPIPE);
    if (r == 0)
        r = cl_sys_rt_sigprocmask(SIG_SETMASK, &none, NULL);
    if (r < 0)
        return cl_fail(err, r, "prepare to copy files");
    return 0;
}

CL_NORETURN static void run(struct runner *runner, int channel, pid_t parent)
{
    struct cl_error err = {0};
    int r = settle(channel, parent, &err);

    for (;;) {
        char way;
        ssize_t got = cl_sys_recv(channel, &way, 1, 0);

        if (got == -EINTR)
            continue;
        if (got <= 0)
            _exit(0); /* we are not needed any more */
        if (r == 0)
            r = copy_all(runner, (enum cl_errand_way)way, &err);
        report_to(channel, &err);
    }
}

/* --- the supervisor -------------------------------------------------------------------------- */

int cl_errands_make(const struct cl_errand_plan *plan, const char *id, struct cl_errands *ret,
                    struct cl_error *err)
{
    struct runner runner = {.plan = plan, .id = id};
    const pid_t parent = getpid();
    int ends[2];

    if (plan == NULL || plan->in.count + plan->out.count == 0)
        return 0;
    int r = cl_sys_socketpair(SOCK_SEQPACKET, ends);
    if (r < 0)
        return cl_fail(err, r, "socketpair");
    CL_CLEANUP_FD int ours = ends[0];
    CL_CLEANUP_FD int theirs = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return cl_fail(err, -errno, "make a process that copies files");
    if (pid == 0)
        run(&runner, theirs, parent);
    *ret = (struct cl_errands){.pid = pid,
                               .channel = CL_TAKE_FD(ours),
                               .has_in = plan->in.count > 0,
                               .has_out = plan->out.count > 0};
    return 0;
}

int cl_errands_send(struct cl_errands *errands, enum cl_errand_way way, struct cl_error *err)
{
    const char word = (char)way;
    ssize_t put = cl_sys_send(errands->channel, &word, 1, MSG_NOSIGNAL);

    errands->sent = way;
    return put == 1 || put == -EPIPE ? 0 : cl_fail(err, (int)put, "have files copied");
}

int cl_errands_hear(struct cl_errands *errands, struct cl_error *err)
{
    struct report report = {0};
    ssize_t got = cl_sys_recv(errands->channel, &report, sizeof(report), MSG_DONTWAIT);

    if (got == -EAGAIN || got == -EINTR)
        return -EAGAIN;
    if (got != (ssize_t)sizeof(report))
        return cl_refuse(err, ECHILD, "copy-%s: the process that copies files was ended",
                         errands->sent == CL_ERRANDS_OUT ? "out" : "in");
    return take_report(&report, err);
}

void cl_errands_done(struct cl_errands *errands)
{
    cl_fd_close(&errands->channel);
    if (errands->pid <= 0)
        return;
    (void)cl_sys_kill(errands->pid, SIGKILL); /* ours until we reap it */
    (void)cl_sys_wait_for(errands->pid, NULL);
    errands->pid = 0;
}
