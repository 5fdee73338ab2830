#include "worker/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"

/* Between two looks at a processor time that is nearly used up, and at one that is to end. */
static const uint64_t LOOK_AGAIN_NS = 2 * CL_NS_PER_MS;
static const uint64_t KILL_AGAIN_NS = 100 * CL_NS_PER_MS;

int cl_children_init(struct cl_children *ret, size_t most, struct cl_error *err)
{
    *ret = (struct cl_children){.loop = {.epfd = -1}, .most = most};
    LIST_INIT(&ret->all);
    ret->seats = cl_calloc(most, sizeof(*ret->seats));
    if (ret->seats == NULL || cl_deadlines_init(&ret->deadlines, most) < 0)
        return cl_fail_memory(err);
    for (size_t i = 0; i < most; i++)
        ret->seats[i] = (uint32_t)i;
    return cl_loop_init(&ret->loop, err);
}

static void free_child(struct cl_child *child)
{
    cl_loop_remove(&child->children->loop, &child->source);
    cl_deadlines_remove(&child->children->deadlines, &child->deadline);
    cl_fd_close(&child->source.fd);
    cl_fd_close(&child->words);
    child->children->seats[--child->children->count] = child->seat;
    LIST_REMOVE(child, link);
    free(child);
}

void cl_children_done(struct cl_children *children)
{
    struct cl_child *child;

    LIST_FOREACH (child, &children->all, link)
        (void)cl_sys_pidfd_send_signal(child->source.fd, SIGKILL); /* gone already is fine */
    while ((child = LIST_FIRST(&children->all)) != NULL) {
        (void)cl_sys_wait_for(child->pid, NULL);
        free_child(child);
    }
    cl_loop_done(&children->loop);
    cl_deadlines_done(&children->deadlines);
    free(children->seats);
}

/* --- its end ------------------------------------------------------------------------------- */

static uint64_t ns_of(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * CL_NS_PER_S + (uint64_t)time->tv_usec * 1000;
}

/* What it said of its end; whether it said anything that could be so. */
static int hear(const struct cl_child *child, struct cl_newborn_words *ret)
{
    if (cl_sys_read(child->words, ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
        return 0;
    ret->message[sizeof(ret->message) - 1] = '\0';
    return ret->kind <= CL_GUEST_END_EXCEEDED;
}

static void answer_words(const struct cl_newborn_words *words, struct cl_answer *ret)
{
    static const enum cl_answer_status statuses[] = {
        [CL_GUEST_END_EXITED] = CL_ANSWER_EXITED,
        [CL_GUEST_END_TRAPPED] = CL_ANSWER_TRAPPED,
        [CL_GUEST_END_EXCEEDED] = CL_ANSWER_OUTPUT,
    };

    ret->memory_bytes = words->memory_bytes;
    ret->output_bytes = words->written[0];
    ret->error_bytes = words->written[1];
    memcpy(ret->message, words->message, sizeof(ret->message));
    if (words->code != 0) {
        ret->kind = CL_ANSWER_REFUSED;
        ret->code = (uint32_t)words->code;
        return;
    }
    ret->status = statuses[words->kind];
    ret->code = words->kind == CL_GUEST_END_EXITED ? words->exit_code : 0;
}

/* A process that ends without its words was ended, or broken by its guest. */
static void answer_status(const struct cl_child *child, int status, struct cl_answer *ret)
{
    if (child->ended_for != 0) {
        ret->status = child->ended_for;
    } else if (WIFSIGNALED(status)) {
        ret->status = CL_ANSWER_SIGNALED;
        ret->code = (uint32_t)WTERMSIG(status);
    } else {
        ret->status = CL_ANSWER_EXITED;
        ret->code = (uint32_t)WEXITSTATUS(status);
    }
}

static int on_exit_of(struct cl_source *source, CL_UNUSED uint32_t events,
                      CL_UNUSED struct cl_error *err)
{
    struct cl_child *child = source->context;
    struct cl_newborn_words words = {0};
    struct cl_answer answer = {.kind = CL_ANSWER_ENDED};
    struct rusage usage = {0};
    int status = 0;
    pid_t r = cl_sys_wait4(child->pid, &status, WNOHANG, &usage);

    if (r == 0 || r == -EINTR)
        return 0;
    if (r < 0)
        status = SIGKILL; /* nobody knows; it is not to look like success */
    answer.memory_bytes = (uint64_t)usage.ru_maxrss * 1024;
    if (r > 0 && WIFEXITED(status) && hear(child, &words))
        answer_words(&words, &answer);
    else
        answer_status(child, status, &answer);
    answer.cpu_ns = ns_of(&usage.ru_utime) + ns_of(&usage.ru_stime);
    struct cl_children *children = child->children;
    void *owner = child->owner;
    free_child(child);
    if (owner != NULL)
        children->on_end(owner, &answer);
    return 0;
}

/* --- its beginning ------------------------------------------------------------------------- */

static int add(struct cl_child *child, struct cl_error *err)
{
    child->source.events = EPOLLIN;
    child->source.on_event = on_exit_of;
    child->source.context = child;
    child->seat = child->children->seats[child->children->count++];
    LIST_INSERT_HEAD(&child->children->all, child, link);
    int r = cl_loop_add(&child->children->loop, &child->source, err);
    if (r == 0)
        return 0;
    (void)cl_sys_pidfd_send_signal(child->source.fd, SIGKILL);
    (void)cl_sys_wait_for(child->pid, NULL); /* it has been killed */
    free_child(child);
    return r;
}

int cl_child_new(struct cl_children *children, struct cl_newborn *newborn,
                 struct cl_child **ret_child, struct cl_error *err)
{
    int words[2] = {-1, -1};

    if (children->count >= children->most)
        return cl_refuse(err, EBUSY, "this worker has %zu guests, as many as it can",
                         children->count);
    int r = cl_sys_pipe2(words, O_NONBLOCK);
    if (r < 0)
        return cl_fail(err, r, "make the guest's line");
    CL_CLEANUP_FD int ours = words[0];
    CL_CLEANUP_FD int theirs = words[1];
    struct cl_child *child = cl_calloc(1, sizeof(*child));
    if (child == NULL)
        return cl_fail_memory(err);
    newborn->parent = getpid();
    newborn->words = theirs;
    if (newborn->user != 0)
        newborn->user += children->seats[children->count];
    child->source.fd = -1;
    child->pid = cl_sys_fork(&child->source.fd);
    if (child->pid == 0)
        cl_newborn_run(newborn);
    if (child->pid < 0) {
        r = cl_fail(err, child->pid, "make a process for the guest");
        free(child);
        return r;
    }
    child->children = children;
    child->words = CL_TAKE_FD(ours);
    r = add(child, err);
    if (r == 0)
        *ret_child = child;
    return r;
}

/* --- its time ------------------------------------------------------------------------------ */

/* The clock of a process's processor time has a number that is made of the process's: kernel,
 * include/linux/posix-timers_types.h, as clock_getcpuclockid(3) makes it. */
uint64_t cl_child_cpu_ns(const struct cl_child *child)
{
    enum { SCHED = 2, KIND_BITS = 3 };
    const clockid_t clock = (clockid_t)(~(unsigned int)child->pid << KIND_BITS | SCHED);
    struct timespec now = {0};

    if (cl_sys_clock_gettime(clock, &now) < 0)
        return 0;
    return (uint64_t)now.tv_sec * CL_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Processor time passes no faster than time: each has one thread. */
static uint64_t time_to_look(const struct cl_child *child, uint64_t now_ns)
{
    if (child->ended_for != 0)
        return now_ns + KILL_AGAIN_NS;
    if (child->cpu_limit_ns == UINT64_MAX || child->is_paused)
        return UINT64_MAX;
    const uint64_t used = cl_child_cpu_ns(child);
    const uint64_t left = child->cpu_limit_ns > used ? child->cpu_limit_ns - used : 0;
    return now_ns + cl_max_u64(left, LOOK_AGAIN_NS);
}

void cl_child_watch(struct cl_child *child)
{
    struct cl_deadlines *deadlines = &child->children->deadlines;
    const uint64_t until_ns = child->ended_for != 0 ? UINT64_MAX : child->until_ns;

    cl_deadlines_remove(deadlines, &child->deadline);
    child->deadline.at_ns = cl_min_u64(time_to_look(child, cl_clock_mono_ns()), until_ns);
    if (child->deadline.at_ns != UINT64_MAX)
        cl_deadlines_add(deadlines, &child->deadline);
}

void cl_child_kill(struct cl_child *child, enum cl_answer_status status)
{
    if (child->ended_for == 0)
        child->ended_for = status;
    (void)cl_sys_pidfd_send_signal(child->source.fd, SIGKILL); /* gone already is fine */
    cl_child_watch(child);
}

void cl_child_leave(struct cl_child *child)
{
    child->owner = NULL;
    cl_child_kill(child, CL_ANSWER_KILLED);
}

void cl_child_pause(struct cl_child *child, int is_paused)
{
    child->is_paused = is_paused;
    (void)cl_sys_pidfd_send_signal(child->source.fd, is_paused ? SIGSTOP : SIGCONT); /* the same */
    cl_child_watch(child);
}

static void look_at(struct cl_child *child, uint64_t now_ns)
{
    if (child->ended_for != 0)
        cl_child_kill(child, child->ended_for);
    else if (now_ns >= child->until_ns)
        cl_child_kill(child, CL_ANSWER_TIME);
    else if (cl_child_cpu_ns(child) >= child->cpu_limit_ns)
        cl_child_kill(child, CL_ANSWER_CPU_TIME);
    else
        cl_child_watch(child);
}

/* --- the loop ------------------------------------------------------------------------------ */

static uint64_t time_to_wait(const struct cl_children *children)
{
    const struct cl_deadline *first = cl_deadlines_first(&children->deadlines);
    const uint64_t now_ns = cl_clock_mono_ns();

    if (first == NULL)
        return UINT64_MAX;
    return first->at_ns > now_ns ? first->at_ns - now_ns : 0;
}

int cl_children_run(struct cl_children *children, struct cl_error *err)
{
    struct cl_deadline *first;

    while (!children->is_stopped) {
        uint64_t timeout_ns = time_to_wait(children);

        if (timeout_ns > 0 && children->on_idle(children->context))
            timeout_ns = 0;
        int r = cl_loop_dispatch(&children->loop, timeout_ns, err);
        if (r < 0)
            return r;
        const uint64_t now_ns = cl_clock_mono_ns();
        while ((first = cl_deadlines_first(&children->deadlines)) != NULL && first->at_ns <= now_ns)
            look_at(CL_CONTAINER_OF(first, struct cl_child, deadline), now_ns);
    }
    return 0;
}
