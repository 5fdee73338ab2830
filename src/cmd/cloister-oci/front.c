/* A command in the foreground: signals go to it, its terminal's bytes to ours and back, and its end
 * is ours. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/loop.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"
#include "sandbox/relay.h"
#include "sandbox/terminal.h"

struct front {
    struct cl_loop loop;
    struct cl_source signals;
    struct cl_source ended;
    struct cl_bundle_process *process;
    struct cl_terminal terminal;
    struct cl_relay output;
    struct cl_relay input;
    int master; /* of the relay that writes to us; -1 */
    int is_carrying;
    int has_ended;
    int status;
};

/* --- consoles --------------------------------------------------------------------------------- */

int cl_oci_make_console(int *ret_ours, struct cl_error *err)
{
    int ends[2];
    int r = cl_sys_socketpair(SOCK_SEQPACKET, ends);

    if (r < 0)
        return cl_fail(err, r, "socketpair");
    *ret_ours = ends[0];
    return ends[1];
}

void cl_oci_take_size(struct cl_spec *process)
{
    const struct winsize size = cl_terminal_callers_size();

    if (!process->terminal || cl_spec_has(process, CL_SPEC_ROWS))
        return;
    process->rows = size.ws_row;
    process->columns = size.ws_col;
}

int cl_oci_take_master(int ours, struct cl_error *err)
{
    char name[64];
    struct cl_packet packet = {.data = name, .size = sizeof(name), .fd_count = 1};
    int r = cl_channel_receive(ours, &packet, MSG_DONTWAIT);

    if (r == 0 && packet.fd_count != 1)
        r = -EPROTO;
    return r < 0 ? cl_fail(err, r, "receive the container's terminal") : packet.fds[0];
}

/* --- events ------------------------------------------------------------------------------------
 */

static void stop_when_done(struct front *front)
{
    if (front->has_ended && !front->is_carrying)
        cl_loop_stop(&front->loop);
}

static int take_signal(struct cl_source *source, CL_UNUSED uint32_t events,
                       CL_UNUSED struct cl_error *err)
{
    struct front *front = source->context;
    struct signalfd_siginfo info;

    if (cl_sys_read(source->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return 0;
    if (info.ssi_signo == SIGCHLD)
        return 0;
    if (info.ssi_signo == SIGWINCH && front->master >= 0)
        cl_terminal_copy_callers_size(front->master);
    else
        (void)cl_sys_pidfd_send_signal(front->process->pidfd,
                                       (int)info.ssi_signo); /* or it ended */
    return 0;
}

static int take_end(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    struct front *front = source->context;
    int status = 0;
    int r = cl_sys_wait_for(front->process->pid, &status);

    if (r < 0)
        return cl_fail(err, r, "wait for the container");
    front->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    front->has_ended = 1;
    cl_loop_remove(&front->loop, source);
    if (front->is_carrying)
        cl_relay_finish(&front->output);
    stop_when_done(front);
    return 0;
}

static void end_output(struct cl_relay *relay)
{
    struct front *front = relay->context;

    front->is_carrying = 0;
    stop_when_done(front);
}

/* --- setting up ----------------------------------------------------------------------------------
 */

int cl_oci_hold_signals(struct cl_error *err)
{
    const uint64_t all = ~0ULL;
    int r = cl_sys_rt_sigprocmask(SIG_BLOCK, &all, NULL);

    return r < 0 ? cl_fail(err, r, "block signals") : 0;
}

static int watch_signals(struct front *front, struct cl_error *err)
{
    const uint64_t all = ~0ULL;

    front->signals.fd = cl_sys_signalfd(&all);
    if (front->signals.fd < 0)
        return cl_fail(err, front->signals.fd, "signalfd");
    front->signals.events = EPOLLIN;
    front->signals.on_event = take_signal;
    front->signals.context = front;
    return cl_loop_add(&front->loop, &front->signals, err);
}

static int watch_end(struct front *front, struct cl_error *err)
{
    front->ended.fd = front->process->pidfd;
    front->ended.events = EPOLLIN;
    front->ended.on_event = take_end;
    front->ended.context = front;
    return cl_loop_add(&front->loop, &front->ended, err);
}

static int carry(struct front *front, int master, struct cl_error *err)
{
    int input = -1;

    if (master < 0)
        return 0;
    front->master = master;
    int r = cl_terminal_attach(&front->terminal, master, 1, &input, err);
    if (r < 0) {
        cl_fd_close(&master);
        return r;
    }
    front->output.on_end = end_output;
    front->output.context = front;
    front->output.in_is_pty = 1;
    front->is_carrying = 1;
    r = cl_relay_start_output(&front->output, &front->loop, master, STDOUT_FILENO, err);
    if (r == 0)
        r = cl_relay_start_input(&front->input, &front->loop, STDIN_FILENO, input, err);
    return r;
}

static int wait_in_front(struct front *ret, struct cl_bundle_process *process, int master,
                         struct cl_error *err)
{
    *ret = (struct front){
        .process = process,
        .signals = {.fd = -1},
        .terminal = CL_TERMINAL_INIT,
        .master = -1,
    };
    int r = cl_loop_init(&ret->loop, err);

    if (r < 0) {
        cl_fd_close(&master);
        return r;
    }
    r = watch_signals(ret, err);
    if (r == 0)
        r = carry(ret, master, err);
    if (r == 0)
        r = watch_end(ret, err);
    if (r == 0)
        r = cl_loop_run(&ret->loop, err);
    if (r == 0 &&
        ret->output.failed < 0) /* what is lost is no success, whatever the command says */
        r = cl_fail(err, ret->output.failed, "carry the terminal's output");
    if (ret->master >= 0) {
        cl_relay_done(&ret->output);
        cl_relay_done(&ret->input);
    }
    cl_terminal_restore(&ret->terminal);
    cl_fd_close(&ret->signals.fd);
    cl_loop_done(&ret->loop);
    return r;
}

int cl_oci_wait(struct cl_bundle_process *process, int master, struct cl_error *err)
{
    static struct front front; /* its relays are large */
    int r = wait_in_front(&front, process, master, err);
    int status;

    if (r == 0)
        return front.status;
    if (!front.has_ended) { /* whose end nobody would be told */
        (void)cl_sys_pidfd_send_signal(process->pidfd, SIGKILL);
        (void)cl_sys_wait_for(process->pid, &status);
    }
    return r;
}
