#include "sandbox/errands.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/signals.h"
#include "base/sys.h"
#include "sandbox/control.h"

enum { ARENA_MAX = 64 << 20, DYING_MS = 1000 };
#define MOST_BYTES (1ULL << 40) /* that come out: those of the disk the caller said itself */

struct runner {
    const struct cl_errand_plan *plan;
    const char *id;
    const char *source; /* of the copy that goes on */
};

/* --- the child --------------------------------------------------------------------------- */

static void left_out(void *context, const char *path, int why)
{
    const struct runner *runner = context;

    if (runner->plan->left_out != NULL)
        runner->plan->left_out(runner->source, path, why);
}

static int copy_one(struct runner *runner, const struct cl_found *found, enum cl_copy_way way,
                    const struct cl_errand *errand, struct cl_error *err)
{
    CL_CLEANUP_COPY_APART struct cl_copy_apart apart = CL_COPY_APART_INIT;
    struct cl_copy_end end;
    const struct cl_copy_job job = {
        .found = found,
        .source = errand->source,
        .target = errand->target,
        .most_bytes = MOST_BYTES,
        .client = runner->id, /* one copy at a time, and who waits for us knows it */
        .left_out = left_out,
        .context = runner,
    };

    runner->source = errand->source;
    int r = cl_copy_apart_start(&job, way, &apart, err);
    return r < 0 ? r : cl_copy_apart_hear(&apart, &end, err);
}

static int copy_all(struct runner *runner, enum cl_copy_way way, struct cl_error *err)
{
    const struct cl_errand_list *list = way == CL_COPY_IN ? &runner->plan->in : &runner->plan->out;
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP_FOUND struct cl_found found = CL_FOUND_INIT;
    int r = cl_state_open(&state, err);

    if (r == 0)
        r = cl_state_find(&state, runner->id, &arena, &found, err);
    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = copy_one(runner, &found, way, &list->items[i], err);
    return r < 0 ? cl_prefix(err, "%s", way == CL_COPY_IN ? "copy-in" : "copy-out") : 0;
}

/* The supervisor's descriptors are its own, and the caller's signals come as to any command: the
 * first that would end us, does. */
static int settle(int channel, pid_t parent, struct cl_error *err)
{
    const uint64_t none = 0;
    int r = cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

    if (r == 0 && getppid() != parent)
        _exit(1);
    if (r == 0)
        r = cl_fd_close_others(&channel, 1);
    cl_signals_reset();
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
            r = copy_all(runner, (enum cl_copy_way)way, &err);
        /* 0, or why not; with no supervisor any more we end */
        (void)cl_sys_send(channel, &err, sizeof(err), MSG_NOSIGNAL);
    }
}

/* --- the supervisor -------------------------------------------------------------------------- */

int cl_errands_make(const struct cl_errand_plan *plan, const struct cl_entry *entry,
                    struct cl_errands *ret, struct cl_error *err)
{
    struct runner runner = {.plan = plan, .id = entry->id};
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
                               .entry = entry,
                               .has_in = plan->in.count > 0,
                               .has_out = plan->out.count > 0};
    return 0;
}

int cl_errands_send(struct cl_errands *errands, enum cl_copy_way way, struct cl_error *err)
{
    const char word = (char)way;
    ssize_t put = cl_sys_send(errands->channel, &word, 1, MSG_NOSIGNAL);

    errands->sent = way;
    errands->is_at_work = 1;
    return put == 1 || put == -EPIPE ? 0 : cl_fail(err, (int)put, "have files copied");
}

int cl_errands_hear(struct cl_errands *errands, struct cl_error *err)
{
    struct cl_error why = {0};
    ssize_t got = cl_sys_recv(errands->channel, &why, sizeof(why), MSG_DONTWAIT);

    if (got == -EAGAIN || got == -EINTR)
        return -EAGAIN;
    if (got != (ssize_t)sizeof(why))
        return cl_refuse(err, ECHILD, "copy-%s: the process that copies files was ended",
                         errands->sent == CL_COPY_OUT ? "out" : "in");
    errands->is_at_work = 0;
    if (why.code == 0)
        return 0;
    *err = why;
    return cl_error_check(err);
}

/* The child's own child is killed with it, and holds the channel's other end as it does: when both
 * have gone nobody rings by our name any more. */
static void wait_for_all(const struct cl_errands *errands)
{
    struct pollfd gone = {.fd = errands->channel}; /* for POLLHUP alone */

    (void)cl_sys_poll(&gone, 1, DYING_MS);
}

void cl_errands_done(struct cl_errands *errands)
{
    if (errands->pid > 0) {
        (void)cl_sys_kill(errands->pid, SIGKILL); /* ours until we reap it */
        (void)cl_sys_wait_for(errands->pid, NULL);
    }
    if (errands->pid > 0 && errands->is_at_work) {
        wait_for_all(errands);
        cl_control_forget(errands->entry->dir, errands->entry->id);
    }
    cl_fd_close(&errands->channel);
    errands->pid = 0;
}
