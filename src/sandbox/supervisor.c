#include "sandbox/supervisor.h"

#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/pages.h"
#include "base/processors.h"
#include "base/sys.h"
#include "sandbox/clients.h"
#include "sandbox/control.h"
#include "sandbox/pause.h"
#include "sandbox/phases.h"
#include "sandbox/requests.h"

enum {
    CPU_LOOK_MIN_MS = 2, /* looked at the CPU time no more often than this */
    INTERRUPTS_TO_KILL = 3,
    REST_MS = 1000, /* for what is left of the output of a sandbox that we ended */
};

/* Forwarded to the main process, as a terminal's or a service manager's user expects. */
static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

/* What nohup(1) and a shell's `&` make a command ignore stays ignored. */
static int is_ignored_by_caller(int signal)
{
    return (signal == SIGHUP || signal == SIGINT || signal == SIGQUIT) &&
           cl_sys_signal_ignored(signal) == 1;
}

uint64_t cl_supervisor_signals(void)
{
    uint64_t mask = 1ULL << (SIGWINCH - 1) | 1ULL << (SIGPIPE - 1) | 1ULL << (SIGCHLD - 1);

    for (size_t i = 0; i < CL_ARRAY_SIZE(forwarded); i++) {
        if (!is_ignored_by_caller(forwarded[i]))
            mask |= 1ULL << (forwarded[i] - 1);
    }
    return mask;
}

int cl_supervisor_take_signals(struct cl_error *err)
{
    const uint64_t mask = cl_supervisor_signals();
    int r = cl_sys_rt_sigprocmask(SIG_BLOCK, &mask, NULL);

    if (r < 0)
        return cl_fail(err, r, "block signals");
    r = cl_sys_signalfd(&mask);
    return r < 0 ? cl_fail(err, r, "signalfd") : r;
}

/* --- sources ---------------------------------------------------------------------------- */

static int set_timer(int fd, uint64_t after_ns, struct cl_error *err)
{
    struct itimerspec spec = {
        .it_value = {.tv_sec = (time_t)(after_ns / CL_NS_PER_S),
                     .tv_nsec = (long)(after_ns % CL_NS_PER_S)},
    };

    if (after_ns == 0)
        spec.it_value.tv_nsec = 1; /* 0 would disarm it */
    int r = cl_sys_timerfd_settime(fd, 0, &spec);
    return r < 0 ? cl_fail(err, r, "set a timer") : 0;
}

static int add(struct cl_supervisor *supervisor, struct cl_source *source, int fd,
               int (*on_event)(struct cl_source *, uint32_t, struct cl_error *),
               struct cl_error *err)
{
    *source = (struct cl_source){
        .fd = fd, .events = EPOLLIN, .on_event = on_event, .context = supervisor};
    return cl_loop_add(&supervisor->loop, source, err);
}

static int add_timer(struct cl_supervisor *supervisor, struct cl_source *source, uint64_t after_ns,
                     int (*on_event)(struct cl_source *, uint32_t, struct cl_error *),
                     struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_timerfd_create(CLOCK_BOOTTIME);

    if (fd < 0)
        return cl_fail(err, fd, "make a timer");
    int r = set_timer(fd, after_ns, err);
    if (r < 0)
        return r;
    return add(supervisor, source, CL_TAKE_FD(fd), on_event, err);
}

/* --- ends ----------------------------------------------------------------------------- */

void cl_supervisor_kill(struct cl_supervisor *supervisor, enum cl_end end)
{
    if (supervisor->end == CL_END_NONE)
        supervisor->end = end;
    /* Fails only when it is dead already; its pidfd then tells. */
    if (cl_sys_pidfd_send_signal(supervisor->process->pidfd, SIGKILL) < 0 &&
        supervisor->process->pid > 0)
        (void)cl_sys_kill(supervisor->process->pid, SIGKILL); /* ours until we reap it */
    cl_limits_let_end(supervisor->limits);
}

/* To the main process. One that can't be reached any more is ending. */
static void send_signal(struct cl_supervisor *supervisor, int signal)
{
    struct cl_error unused;

    (void)supervisor->wall->signal(supervisor->process, signal, &unused);
}

void cl_supervisor_send_stop(struct cl_supervisor *supervisor)
{
    const struct cl_plan *plan = supervisor->plan;
    struct cl_error unused;

    send_signal(supervisor,
                cl_plan_has(plan, CL_FIELD_STOP_SIGNAL) ? (int)plan->stop_signal : SIGTERM);
    if (supervisor->is_paused) /* or it could do nothing in its grace; after that it is killed */
        (void)cl_pause_set(supervisor, 0, &unused);
}

/* The sandbox has ended, and nobody reads the rest of its output. What is lost is no success,
 * whatever the command said: END is how it ended. */
static void give_up_rest(struct cl_supervisor *supervisor, enum cl_end end)
{
    if (supervisor->end == CL_END_NONE)
        supervisor->end = end;
    cl_loop_stop(&supervisor->loop);
}

static int on_time(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    struct cl_supervisor *supervisor = source->context;
    uint64_t expirations;

    if (cl_sys_read(source->fd, &expirations, sizeof(expirations)) < 0)
        return 0;
    if (supervisor->ended) {
        give_up_rest(supervisor, CL_END_TIME);
        return 0;
    }
    if (supervisor->in_grace || supervisor->plan->limits.grace_ns == 0) {
        cl_supervisor_kill(supervisor, supervisor->is_stopping ? CL_END_KILLED : CL_END_TIME);
        return 0;
    }
    supervisor->in_grace = 1;
    if (supervisor->end == CL_END_NONE)
        supervisor->end = CL_END_TIME;
    cl_supervisor_send_stop(supervisor);
    return set_timer(source->fd, supervisor->plan->limits.grace_ns, err);
}

static uint64_t count_millicpus(const struct cl_plan *plan)
{
    uint64_t millicpus = cl_processors_most() * 1000;

    return cl_plan_has(plan, CL_FIELD_CPUS) ? cl_min_u64(millicpus, plan->limits.millicpus)
                                            : millicpus;
}

/* The earliest moment at which the rest of the CPU time can be used up: all CPUs of
 * the machine (or of the limit) at work on it. */
static uint64_t cpu_look_after(const struct cl_supervisor *supervisor, uint64_t left_ns)
{
    return cl_max_u64((uint64_t)((unsigned __int128)left_ns * 1000 / supervisor->millicpus),
                      CPU_LOOK_MIN_MS * CL_NS_PER_MS);
}

static int on_cpu_time(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    struct cl_supervisor *supervisor = source->context;
    uint64_t limit = supervisor->plan->limits.cpu_time_ns;
    uint64_t expirations;
    uint64_t used;

    (void)cl_sys_read(source->fd, &expirations, sizeof(expirations)); /* only resets it */
    int r = cl_limits_cpu_ns(supervisor->limits, &used);
    if (r < 0)
        return cl_fail(err, r, "read the sandbox's CPU time");
    if (used >= limit) {
        cl_supervisor_kill(supervisor, CL_END_CPU_TIME);
        return 0;
    }
    return set_timer(source->fd, cpu_look_after(supervisor, limit - used), err);
}

static int on_parent(struct cl_source *source, CL_UNUSED uint32_t events,
                     CL_UNUSED struct cl_error *err)
{
    struct cl_supervisor *supervisor = source->context;

    cl_loop_remove(&supervisor->loop, source);
    cl_supervisor_kill(supervisor, CL_END_KILLED);
    return 0;
}

/* --- streams ---------------------------------------------------------------------------- */

void cl_supervisor_settle(struct cl_supervisor *supervisor)
{
    if ((supervisor->ended || supervisor->is_resting) && !supervisor->relays[1].active &&
        !supervisor->relays[2].active)
        cl_loop_stop(&supervisor->loop);
}

static void on_stream_end(struct cl_relay *relay)
{
    struct cl_supervisor *supervisor = relay->context;

    if (supervisor->budget.exceeded)
        cl_supervisor_kill(supervisor, CL_END_OUTPUT);
    cl_supervisor_settle(supervisor);
}

static int start_output(struct cl_supervisor *supervisor, int index, int in, int out,
                        struct cl_error *err)
{
    struct cl_relay *relay = &supervisor->relays[index];

    relay->on_end = on_stream_end;
    relay->context = supervisor;
    relay->budget = &supervisor->budget;
    if (out < 0) {
        relay->log = supervisor->log;
        relay->log_kind = index == STDERR_FILENO ? CL_LOG_ERR : CL_LOG_OUT;
        return cl_relay_start_log(relay, &supervisor->loop, in, err);
    }
    return cl_relay_start_output(relay, &supervisor->loop, in, out, err);
}

static int wants_input(const struct cl_plan *plan)
{
    return plan->interactive || !isatty(STDIN_FILENO);
}

static int start_pipes(struct cl_supervisor *supervisor, struct cl_error *err)
{
    int r;

    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (supervisor->stdio[fd] < 0)
            continue;
        r = start_output(supervisor, fd, CL_TAKE_FD(supervisor->stdio[fd]), supervisor->streams[fd],
                         err);
        if (r < 0)
            return r;
    }
    if (supervisor->stdio[0] < 0 || supervisor->streams[0] < 0)
        return 0;
    return cl_relay_start_input(&supervisor->relays[0], &supervisor->loop, supervisor->streams[0],
                                CL_TAKE_FD(supervisor->stdio[0]), err);
}

static void end_terminal_input(struct cl_relay *relay)
{
    const struct cl_supervisor *supervisor = relay->context;

    cl_terminal_end_input(supervisor->pty);
}

/* The pty has come: its master carries both ways. */
static int start_terminal(struct cl_supervisor *supervisor, struct cl_error *err)
{
    CL_CLEANUP_FD int master = CL_TAKE_FD(supervisor->process->terminal);
    CL_CLEANUP_FD int input = -1;
    int r =
        cl_terminal_attach(&supervisor->terminal, master,
                           supervisor->log == NULL && wants_input(supervisor->plan), &input, err);

    if (r < 0)
        return r;
    supervisor->pty = cl_sys_fcntl(master, F_DUPFD_CLOEXEC, 3);
    if (supervisor->pty < 0)
        return cl_fail(err, supervisor->pty, "duplicate the pty");
    supervisor->relays[1].in_is_pty = 1;
    r = start_output(supervisor, 1, CL_TAKE_FD(master), supervisor->streams[1], err);
    if (r < 0 || input < 0)
        return r;
    if (!isatty(STDIN_FILENO)) {
        supervisor->relays[0].on_end = end_terminal_input;
        supervisor->relays[0].context = supervisor;
    }
    return cl_relay_start_input(&supervisor->relays[0], &supervisor->loop, STDIN_FILENO,
                                CL_TAKE_FD(input), err);
}

static void note_start(struct cl_supervisor *supervisor)
{
    const struct cl_wall_process *process = supervisor->process;
    struct cl_error ignored = {0};
    /* One that nothing has begin stands for those who come: as good as a command that runs. */
    const int is_there =
        process->is_started || (process->is_waiting && !supervisor->errands->has_in);

    if (!is_there || supervisor->is_told)
        return;
    supervisor->is_told = 1;
    if (supervisor->plan->image_kind == CL_IMAGE_MODULES) /* who joins it reads its layers there */
        (void)cl_requests_refresh(supervisor, &ignored);
    if (supervisor->on_started != NULL)
        supervisor->on_started(supervisor->context);
}

/* What init sends: the pty's master, that a command runs, and the turns of its life. */
static int on_channel(struct cl_source *source, uint32_t events, struct cl_error *err)
{
    struct cl_supervisor *supervisor = source->context;
    const struct cl_plan *plan = supervisor->plan;
    int r = supervisor->wall->receive(supervisor->process, err);

    if (r < 0)
        return r;
    note_start(supervisor);
    const int has_terminal = supervisor->process->terminal >= 0;
    if (has_terminal) {
        r = start_terminal(supervisor, err);
        if (r < 0)
            return r;
    }
    r = cl_phases_heed(supervisor, err);
    if (r < 0)
        return r;
    const int is_done = (!plan->tty || supervisor->pty >= 0) &&
                        (!supervisor->awaits_start || supervisor->is_told) &&
                        cl_phases_are_done(supervisor);
    if (is_done || (events & EPOLLHUP) != 0)
        cl_loop_remove(&supervisor->loop, source);
    return 0;
}

/* --- signals ------------------------------------------------------------------ */

static void take_signal(struct cl_supervisor *supervisor, int signal)
{
    if (signal == SIGWINCH) {
        if (supervisor->pty >= 0)
            cl_terminal_copy_callers_size(supervisor->pty);
        return;
    }
    if (signal == SIGCHLD || signal == SIGPIPE)
        return;
    if (signal == SIGINT || signal == SIGTERM)
        supervisor->interrupts++;
    if (supervisor->interrupts >= INTERRUPTS_TO_KILL || supervisor->is_resting)
        cl_supervisor_kill(supervisor, CL_END_KILLED);
    else
        send_signal(supervisor, signal);
    if (supervisor->ended)
        give_up_rest(supervisor, CL_END_KILLED);
}

static int on_signal(struct cl_source *source, CL_UNUSED uint32_t events,
                     CL_UNUSED struct cl_error *err)
{
    struct signalfd_siginfo info;

    if (cl_sys_read(source->fd, &info, sizeof(info)) == sizeof(info))
        take_signal(source->context, (int)info.ssi_signo);
    return 0;
}

int cl_supervisor_arm(struct cl_supervisor *supervisor, uint64_t after_ns, struct cl_error *err)
{
    return supervisor->timer.fd < 0
               ? add_timer(supervisor, &supervisor->timer, after_ns, on_time, err)
               : set_timer(supervisor->timer.fd, after_ns, err);
}

/* What the sandbox wrote before its end is still carried: as long as its time limit
 * lasts when it ended by itself, else for a moment. A caller that doesn't read can't
 * keep us. */
static int bound_rest(struct cl_supervisor *supervisor, struct cl_error *err)
{
    if (supervisor->end == CL_END_NONE)
        return 0; /* the time limit's timer goes on */
    return cl_supervisor_arm(supervisor, REST_MS * CL_NS_PER_MS, err);
}

void cl_supervisor_release(struct cl_supervisor *supervisor)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(supervisor->outputs); i++)
        cl_fd_close(&supervisor->outputs[i]);
    cl_relay_done(&supervisor->relays[0]);
}

static int on_init(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    struct cl_supervisor *supervisor = source->context;
    struct cl_wall_process *process = supervisor->process;

    if (cl_sys_wait4(process->pid, &supervisor->init_status, 0, NULL) == process->pid)
        process->pid = 0;
    supervisor->ended = 1;
    cl_loop_remove(&supervisor->loop, source);
    cl_loop_remove(&supervisor->loop, &supervisor->cpu_timer);
    cl_supervisor_release(supervisor);
    int r = supervisor->wall->receive(process, err);
    if (r == 0)
        r = bound_rest(supervisor, err);
    if (r < 0)
        return r;
    note_start(supervisor);
    if (process->terminal >= 0) { /* it ended before the loop saw the pty */
        r = start_terminal(supervisor, err);
        if (r < 0)
            return r;
    }
    cl_supervisor_settle(supervisor);
    return 0;
}

/* --- set-up -------------------------------------------------------------------------------- */

static int add_clocks(struct cl_supervisor *supervisor, struct cl_error *err)
{
    const struct cl_plan *plan = supervisor->plan;
    uint64_t used;
    int r = 0;

    if (cl_plan_has(plan, CL_FIELD_TIME))
        r = add_timer(supervisor, &supervisor->timer, plan->limits.time_ns, on_time, err);
    /* Without cgroups the kernel's RLIMIT_CPU does what can be done. */
    if (r < 0 || !cl_plan_has(plan, CL_FIELD_CPU_TIME) ||
        cl_limits_cpu_ns(supervisor->limits, &used) == -ENODATA)
        return r;
    supervisor->millicpus = count_millicpus(plan);
    return add_timer(supervisor, &supervisor->cpu_timer,
                     cpu_look_after(supervisor, plan->limits.cpu_time_ns), on_cpu_time, err);
}

static int add_sources(struct cl_supervisor *supervisor, int signals, int parent,
                       struct cl_error *err)
{
    int r = add(supervisor, &supervisor->init, supervisor->process->pidfd, on_init, err);

    if (r == 0)
        r = add(supervisor, &supervisor->signals, signals, on_signal, err);
    if (r == 0 && parent >= 0)
        r = add(supervisor, &supervisor->parent, parent, on_parent, err);
    if (r == 0 && (supervisor->plan->tty || supervisor->awaits_start))
        r = add(supervisor, &supervisor->channel, supervisor->process->channel, on_channel, err);
    if (r == 0)
        r = add_clocks(supervisor, err);
    if (r < 0)
        return r;
    int listener = cl_control_listen(supervisor->entry, err);
    if (listener < 0)
        return listener;
    r = add(supervisor, &supervisor->control, listener, cl_requests_serve, err);
    if (r < 0 || supervisor->plan->image_kind != CL_IMAGE_MODULES)
        return r;
    listener = cl_clients_listen(supervisor, err);
    return listener < 0 ? listener
                        : add(supervisor, &supervisor->clients, listener, cl_clients_accept, err);
}

/* Output that is lost is no success, whatever the command says. */
static int check_streams(const struct cl_supervisor *supervisor, struct cl_error *err)
{
    static const char *const names[] = {"input", "output", "error"};

    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        int failed = supervisor->relays[fd].failed;

        if (failed < 0)
            return cl_fail(err, failed, "carry the command's standard %s", names[fd]);
    }
    return 0;
}

static void say_exec(void *context)
{
    cl_supervisor_say(context, CL_EVENT_EXEC);
}

/* Who stays holds no directory of his caller's. */
static int leave_directory(const struct cl_plan *plan, struct cl_error *err)
{
    int r = cl_plan_is_recorded(plan) ? cl_sys_chdir("/") : 0;

    return r < 0 ? cl_fail(err, r, "change to /") : 0;
}

int cl_supervisor_run(struct cl_supervisor *supervisor, int signals, int parent,
                      struct cl_error *err)
{
    const struct cl_plan *plan = supervisor->plan;
    int r;

    supervisor->terminal = CL_TERMINAL_INIT;
    supervisor->pty = -1;
    supervisor->timer.fd = -1;
    supervisor->cpu_timer.fd = -1;
    supervisor->control.fd = -1;
    supervisor->clients.fd = -1;
    supervisor->admits.fd = -1;
    supervisor->held = -1;
    supervisor->budget.limit =
        cl_plan_has(plan, CL_FIELD_OUTPUT) ? plan->limits.output_bytes : UINT64_MAX;
    cl_visitors_init(&supervisor->visitors, &supervisor->loop, supervisor->wall,
                     supervisor->process);
    supervisor->visitors.on_exec = say_exec;
    supervisor->visitors.context = supervisor;
    r = cl_loop_init(&supervisor->loop, err);
    if (r == 0)
        r = add_sources(supervisor, signals, parent, err);
    if (r == 0)
        r = start_pipes(supervisor, err);
    if (r == 0)
        r = leave_directory(plan, err);
    if (r == 0)
        r = supervisor->wall->shrink(plan, err);
    if (r == 0) {
        cl_pages_forget_code(); /* most of it was for the start, and we may live long */
        r = cl_loop_run(&supervisor->loop, err);
    }
    return r < 0 ? r : check_streams(supervisor, err);
}

int cl_supervisor_rest(struct cl_supervisor *supervisor, struct cl_error *err)
{
    cl_loop_remove(&supervisor->loop, &supervisor->parent); /* it may go now */
    supervisor->loop.stopped = 0;                           /* it goes on */
    return cl_loop_run(&supervisor->loop, err);
}

void cl_supervisor_done(struct cl_supervisor *supervisor)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(supervisor->relays); i++)
        cl_relay_done(&supervisor->relays[i]);
    cl_terminal_restore(&supervisor->terminal);
    cl_fd_close(&supervisor->pty);
    cl_fd_close(&supervisor->timer.fd);
    cl_fd_close(&supervisor->cpu_timer.fd);
    cl_fd_close(&supervisor->control.fd);
    if (supervisor->clients.fd >= 0)
        cl_clients_stop(supervisor);
    cl_fd_close(&supervisor->clients.fd);
    cl_fd_close(&supervisor->admits.fd);
    cl_fd_close(&supervisor->held);
    for (size_t i = 0; i < CL_ARRAY_SIZE(supervisor->stdio); i++)
        cl_fd_close(&supervisor->stdio[i]);
    cl_supervisor_release(supervisor);
    cl_visitors_done(&supervisor->visitors);
    cl_loop_done(&supervisor->loop);
}
