#include "sandbox/exec.h"

#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/channel.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/steps.h"
#include "base/sys.h"
#include "sandbox/call.h"
#include "sandbox/relay.h"
#include "sandbox/result.h"
#include "sandbox/stdio.h"
#include "sandbox/supervisor.h"
#include "sandbox/terminal.h"
#include "walls/wall.h"

enum {
    REST_MS = 200, /* for what is still in a pty that others keep open */
    INTERRUPTS_TO_KILL = 3,
    SANDBOX_ENDED = 137,
    OUTPUT_ENDED = 137,
    TIME_ENDED = 124,
    NOT_EXECUTABLE = 126,
    NOT_FOUND = 127,
};

struct client {
    const struct cl_found *found;
    const struct cl_plan *plan;
    const struct cl_exec_options *options;
    const struct cl_wall *wall;
    int session; /* ours */
    int ours[3];
    int theirs[3];
    int signals;
    int pty; /* the master, kept to the end */
    struct cl_terminal terminal;
    struct cl_loop loop;
    struct cl_source events;
    struct cl_source signal_source;
    struct cl_source rest;
    struct cl_source clock; /* the command's time, or the grace after an interrupt */
    struct cl_relay relays[3];
    int interrupts;
    int started;
    int ended;
    int status; /* once ended: to exit with */
    struct cl_exec_end end;
    struct cl_error why;
};

/* --- what is made for the command ------------------------------------------------------ */

static int make_streams(void *context, struct cl_error *err)
{
    struct client *client = context;
    int r = 0;

    if (client->plan->tty || client->options->detach)
        return 0;
    const int has_input = client->plan->interactive || cl_stdio_has_input(STDIN_FILENO);
    for (int fd = has_input ? 0 : 1; r == 0 && fd < 3; fd++) {
        struct cl_stdio_pipe pipe = CL_STDIO_PIPE_INIT;

        r = cl_stdio_make_pipe(fd, client->found->status.uid_base, client->plan, &pipe, err);
        client->ours[fd] = pipe.ours;
        client->theirs[fd] = pipe.theirs;
    }
    if (r < 0)
        return r;
    const struct cl_wall_start start = {
        .plan = &client->found->plan,
        .id = client->found->entry.id,
        .uid_base = client->found->status.uid_base,
        .cgroup = -1,
        .stdio = {client->theirs[0], client->theirs[1], client->theirs[2]},
    };
    return client->wall->lend(&start, err);
}

/* --- asking ---------------------------------------------------------------------------- */

static void set_size(struct cl_call *call)
{
    const struct winsize size = cl_terminal_callers_size();

    call->rows = size.ws_row;
    call->columns = size.ws_col;
}

/* Whose end the command's streams have to show is theirs alone from here on. */
static void give_up_theirs(struct client *client)
{
    for (int fd = 0; fd < 3; fd++)
        cl_fd_close(&client->theirs[fd]);
}

static int ask(void *context, struct cl_error *err)
{
    struct client *client = context;
    struct cl_call call = {
        .found = client->found,
        .plan = client->plan,
        .flags = client->options->detach ? CL_EXEC_DETACH : 0,
        .streams = {client->theirs[0], client->theirs[1], client->theirs[2]},
    };

    if (client->plan->tty) {
        call.flags |= CL_EXEC_TTY;
        set_size(&call);
    }
    client->session = cl_call_make(&call, err);
    give_up_theirs(client);
    return client->session < 0 ? client->session : 0;
}

/* --- streams --------------------------------------------------------------------------- */

static void stop_when_idle(struct client *client)
{
    if (client->ended && !client->relays[1].active && !client->relays[2].active)
        cl_loop_stop(&client->loop);
}

static int end_by_us(struct client *client, enum cl_exec_reason reason, int status,
                     struct cl_error *err);

static void on_stream_end(struct cl_relay *relay)
{
    struct client *client = relay->context;
    const struct cl_output_budget *budget = client->options->budget;
    struct cl_error ignored = {0}; /* only a pty's rest can fail, which is not waited for then */

    if (budget != NULL && budget->exceeded && !client->ended)
        (void)end_by_us(client, CL_EXEC_OUTPUT, OUTPUT_ENDED, &ignored);
    else
        stop_when_idle(client);
}

static int start_output(struct client *client, int index, int in, int out, struct cl_error *err)
{
    struct cl_relay *relay = &client->relays[index];

    relay->on_end = on_stream_end;
    relay->context = client;
    relay->budget = client->options->budget;
    return cl_relay_start_output(relay, &client->loop, in, out, err);
}

static int start_pipes(struct client *client, struct cl_error *err)
{
    int r = 0;

    for (int fd = STDOUT_FILENO; r == 0 && fd <= STDERR_FILENO; fd++) {
        if (client->ours[fd] >= 0)
            r = start_output(client, fd, CL_TAKE_FD(client->ours[fd]), fd, err);
    }
    if (r < 0 || client->ours[0] < 0)
        return r;
    return cl_relay_start_input(&client->relays[0], &client->loop, STDIN_FILENO,
                                CL_TAKE_FD(client->ours[0]), err);
}

static void end_terminal_input(struct cl_relay *relay)
{
    const struct client *client = relay->context;

    cl_terminal_end_input(client->pty);
}

/* The pty has come: its master carries both ways. */
static int start_terminal(struct client *client, int pty, struct cl_error *err)
{
    CL_CLEANUP_FD int master = pty;
    CL_CLEANUP_FD int input = -1;
    const int wants_input = client->plan->interactive || !isatty(STDIN_FILENO);
    int r = cl_terminal_attach(&client->terminal, master, wants_input, &input, err);

    if (r < 0)
        return r;
    client->pty = cl_sys_fcntl(master, F_DUPFD_CLOEXEC, 3);
    if (client->pty < 0)
        return cl_fail(err, client->pty, "duplicate the pty");
    client->relays[1].in_is_pty = 1;
    r = start_output(client, 1, CL_TAKE_FD(master), STDOUT_FILENO, err);
    if (r < 0 || input < 0)
        return r;
    if (!isatty(STDIN_FILENO)) {
        client->relays[0].on_end = end_terminal_input;
        client->relays[0].context = client;
    }
    return cl_relay_start_input(&client->relays[0], &client->loop, STDIN_FILENO, CL_TAKE_FD(input),
                                err);
}

/* --- the session ------------------------------------------------------------------------ */

static int on_rest(struct cl_source *source, CL_UNUSED uint32_t events,
                   CL_UNUSED struct cl_error *err)
{
    struct client *client = source->context;

    cl_loop_stop(&client->loop);
    return 0;
}

/* Somebody else inside may keep the streams open, and is not waited for: what the command itself
 * wrote is in its pipes by now. A pty may be a moment late. */
static int carry_rest(struct client *client, struct cl_error *err)
{
    const struct itimerspec after = {.it_value = {.tv_nsec = REST_MS * (long)CL_NS_PER_MS}};

    cl_relay_done(&client->relays[0]);
    if (client->pty < 0) {
        cl_relay_finish(&client->relays[1]);
        cl_relay_finish(&client->relays[2]);
        stop_when_idle(client);
        return 0;
    }
    stop_when_idle(client);
    client->rest = (struct cl_source){.fd = cl_sys_timerfd_create(CLOCK_BOOTTIME),
                                      .events = EPOLLIN,
                                      .on_event = on_rest,
                                      .context = client};
    int r =
        client->rest.fd < 0 ? client->rest.fd : cl_sys_timerfd_settime(client->rest.fd, 0, &after);
    return r < 0 ? cl_fail(err, r, "make a timer") : cl_loop_add(&client->loop, &client->rest, err);
}

static int end_with(struct client *client, int status, struct cl_error *err)
{
    cl_loop_remove(&client->loop, &client->events);
    if (client->clock.fd >= 0)
        cl_loop_remove(&client->loop, &client->clock);
    client->ended = 1;
    client->status = status;
    return carry_rest(client, err);
}

/* The command ends with the session, when we let go of that. */
static int end_by_us(struct client *client, enum cl_exec_reason reason, int status,
                     struct cl_error *err)
{
    client->end.reason = reason;
    return end_with(client, status, err);
}

static int lose_session(struct client *client, struct cl_error *err)
{
    client->end.reason = CL_EXEC_LOST;
    (void)cl_refuse(&client->why, ESRCH, "the sandbox has ended");
    return end_with(client, SANDBOX_ENDED, err);
}

/* What init said of a command that doesn't run. */
static int take_failure(struct client *client, const struct cl_session_event *event,
                        struct cl_error *err)
{
    struct cl_error failure = {.code = event->value};

    memcpy(failure.msg, event->message, sizeof(failure.msg));
    (void)cl_error_check(&failure);
    if (event->kind == CL_SESSION_FAILED) {
        *err = failure;
        return -failure.code;
    }
    client->why = failure;
    return end_with(client,
                    failure.code == ENOENT || failure.code == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE,
                    err);
}

static int take_end(struct client *client, int status, struct cl_error *err)
{
    struct cl_result result = {
        .plan = client->plan, .status = CL_STATUS_SIGNALED, .signal = WTERMSIG(status)};
    char why[256] = "";

    if (WIFEXITED(status))
        return end_with(client, WEXITSTATUS(status), err);
    client->end.signal = result.signal;
    cl_result_explain(&result, why);
    if (why[0] != '\0')
        (void)cl_refuse(&client->why, ECANCELED, "%s", why);
    return end_with(client, 128 + result.signal, err);
}

static int take_event(struct client *client, const struct cl_session_event *event, int fd,
                      struct cl_error *err)
{
    CL_CLEANUP_FD int taken = fd;

    switch ((int)event->kind) {
    case CL_SESSION_TERMINAL:
        if (taken < 0 || client->pty >= 0 || !client->plan->tty)
            break;
        return start_terminal(client, CL_TAKE_FD(taken), err);
    case CL_SESSION_STARTED:
        client->started = 1;
        return client->options->detach ? end_with(client, 0, err) : 0;
    case CL_SESSION_FAILED:
    case CL_SESSION_NO_EXEC:
        return take_failure(client, event, err);
    case CL_SESSION_ENDED:
        return take_end(client, event->value, err);
    default:
        break;
    }
    return cl_refuse(err, EPROTO, "sandbox %s answers in another version", client->found->entry.id);
}

static int on_session(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    struct client *client = source->context;
    struct cl_session_event event = {0};
    struct cl_packet packet = {.data = &event, .size = sizeof(event), .fds = {-1}, .fd_count = 1};
    int r = cl_channel_receive(source->fd, &packet, MSG_DONTWAIT);

    if (r == -EAGAIN)
        return 0;
    if (r == -EPIPE)
        return lose_session(client, err);
    if (r == 0 && packet.size != sizeof(event))
        r = -EPROTO;
    if (r < 0)
        return cl_fail(err, r, "hear from sandbox %s", client->found->entry.id);
    return take_event(client, &event, packet.fd_count > 0 ? packet.fds[0] : -1, err);
}

/* --- its time --------------------------------------------------------------------------- */

static int on_clock(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    struct client *client = source->context;

    if (client->end.interrupt != 0)
        return end_by_us(client, CL_EXEC_INTERRUPTED, 128 + client->end.interrupt, err);
    return end_by_us(client, CL_EXEC_TIMEOUT, TIME_ENDED, err);
}

static int set_clock(struct client *client, uint64_t after_ns)
{
    const struct itimerspec after = {
        .it_value = {.tv_sec = (time_t)(after_ns / CL_NS_PER_S),
                     .tv_nsec = (long)(after_ns % CL_NS_PER_S) + (after_ns == 0)}};

    return cl_sys_timerfd_settime(client->clock.fd, 0, &after);
}

static int start_clock(struct client *client, struct cl_error *err)
{
    const struct cl_exec_options *options = client->options;

    if (options->timeout_ns == 0 && !options->ends_when_interrupted)
        return 0;
    client->clock = (struct cl_source){.fd = cl_sys_timerfd_create(CLOCK_BOOTTIME),
                                       .events = EPOLLIN,
                                       .on_event = on_clock,
                                       .context = client};
    int r = client->clock.fd < 0 ? client->clock.fd : 0;
    if (r == 0 && options->timeout_ns > 0)
        r = set_clock(client, options->timeout_ns);
    return r < 0 ? cl_fail(err, r, "make a timer")
                 : cl_loop_add(&client->loop, &client->clock, err);
}

/* --- signals ---------------------------------------------------------------------------- */

static void note_interrupt(struct client *client, int signal)
{
    client->interrupts++;
    if (client->end.interrupt != 0)
        return;
    client->end.interrupt = signal;
    if (client->options->ends_when_interrupted && !client->ended)
        (void)set_clock(client, client->options->grace_ns); /* a third one still ends it */
}

/* Whether the command runs: init says so, and what it writes may be here before. */
static int is_running(const struct client *client)
{
    return client->started || client->relays[STDOUT_FILENO].total > 0 ||
           client->relays[STDERR_FILENO].total > 0;
}

static void take_signal(struct client *client, int signal)
{
    struct cl_session_order order = {.signal = signal};
    const int is_interrupt = signal == SIGINT || signal == SIGTERM;

    if (signal == SIGWINCH) {
        if (client->pty >= 0)
            cl_terminal_copy_callers_size(client->pty);
        return;
    }
    if (signal == SIGCHLD || signal == SIGPIPE)
        return;
    if (is_interrupt)
        note_interrupt(client, signal);
    if (client->interrupts >= INTERRUPTS_TO_KILL)
        order.signal = SIGKILL;
    (void)cl_sys_send(client->session, &order, sizeof(order), MSG_DONTWAIT);
    if (is_interrupt && (client->ended || !is_running(client) ||
                         client->interrupts > INTERRUPTS_TO_KILL)) { /* we wait no longer */
        if (!client->ended)
            client->status = 128 + signal;
        cl_loop_stop(&client->loop);
    }
}

static int on_signal(struct cl_source *source, CL_UNUSED uint32_t events,
                     CL_UNUSED struct cl_error *err)
{
    struct signalfd_siginfo info;

    if (cl_sys_read(source->fd, &info, sizeof(info)) == sizeof(info))
        take_signal(source->context, (int)info.ssi_signo);
    return 0;
}

static int take_signals(void *context, struct cl_error *err)
{
    struct client *client = context;

    client->signals = cl_supervisor_take_signals(err);
    return client->signals < 0 ? client->signals : 0;
}

/* --- all of it -------------------------------------------------------------------------- */

static int attend(void *context, struct cl_error *err)
{
    struct client *client = context;
    int r = cl_loop_init(&client->loop, err);

    client->events = (struct cl_source){
        .fd = client->session, .events = EPOLLIN, .on_event = on_session, .context = client};
    client->signal_source = (struct cl_source){
        .fd = client->signals, .events = EPOLLIN, .on_event = on_signal, .context = client};
    if (r == 0)
        r = cl_loop_add(&client->loop, &client->events, err);
    if (r == 0)
        r = cl_loop_add(&client->loop, &client->signal_source, err);
    if (r == 0)
        r = start_clock(client, err);
    if (r == 0)
        r = start_pipes(client, err);
    return r < 0 ? r : cl_loop_run(&client->loop, err);
}

/* Signals are taken over when there is something to forward them to: until then they end the
 * client, and with its session what it asked for. */
static const struct cl_step steps[] = {
    {"streams", make_streams, NULL},
    {"command", ask, NULL},
    {"signals", take_signals, NULL},
    {"command", attend, NULL},
};

static void client_done(struct client *client)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(client->relays); i++)
        cl_relay_done(&client->relays[i]);
    cl_terminal_restore(&client->terminal);
    give_up_theirs(client);
    cl_fd_close(&client->session);
    cl_fd_close(&client->signals);
    cl_fd_close(&client->pty);
    cl_fd_close(&client->rest.fd);
    cl_fd_close(&client->clock.fd);
    for (int fd = 0; fd < 3; fd++)
        cl_fd_close(&client->ours[fd]);
    cl_loop_done(&client->loop);
}

/* Output that is lost is no success, whatever the command says. */
static int check_streams(const struct client *client, struct cl_error *err)
{
    static const char *const names[] = {"input", "output", "error"};

    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (client->relays[fd].failed < 0)
            return cl_fail(err, client->relays[fd].failed, "carry the command's standard %s",
                           names[fd]);
    }
    return 0;
}

int cl_exec_run(const struct cl_found *found, const struct cl_plan *plan,
                const struct cl_exec_options *options, struct cl_error *err)
{
    static struct client client; /* 50 KiB of stream buffers: not for the stack */
    int r = 0;

    *err = (struct cl_error){0};
    client = (struct client){
        .found = found,
        .plan = plan,
        .options = options,
        .wall = cl_wall_get((enum cl_wall_kind)found->plan.wall),
        .session = -1,
        .ours = {-1, -1, -1},
        .theirs = {-1, -1, -1},
        .signals = -1,
        .pty = -1,
        .terminal = CL_TERMINAL_INIT,
        .loop = {.epfd = -1},
        .rest = {.fd = -1},
        .clock = {.fd = -1},
    };
    if (client.wall == NULL)
        return cl_refuse(err, ENOTSUP, "the wall of sandbox %s is not built", found->entry.id);
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(steps); i++)
        r = steps[i].run(&client, err);
    if (r == 0)
        r = check_streams(&client, err);
    client_done(&client);
    if (options->end != NULL)
        *options->end = client.end;
    if (r < 0)
        return r;
    if (client.why.code != 0)
        *err = client.why;
    return client.status;
}
