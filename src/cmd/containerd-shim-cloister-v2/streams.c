/* A process's streams: between the FIFOs that containerd names, or a file, and pipes or the master
 * of a terminal.
 *
 * A FIFO for output is held open for reading, too: so writing to it has no end when containerd is
 * away, and it has what was written when that comes back. Who reads it has its end when the
 * process's has come.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/shim.h"
#include "containerd/stdio.h"

/* --- what the process gets ------------------------------------------------------------------- */

static int make_pipe(struct cl_shim_streams *streams, enum cl_shim_stream stream,
                     struct cl_error *err)
{
    int ends[2];
    int r = cl_sys_pipe2(ends, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    streams->theirs[stream] = ends[stream == CL_SHIM_IN ? 0 : 1];
    streams->ours[stream] = ends[stream == CL_SHIM_IN ? 1 : 0];
    r = cl_sys_fcntl(streams->ours[stream], F_SETFL, O_NONBLOCK);
    return r < 0 ? cl_fail(err, r, "make a pipe non-blocking") : 0;
}

/* Where cloister-oci connects to, in a directory that is ours. */
static int make_console(struct cl_shim_streams *streams, struct cl_error *err)
{
    static unsigned int number;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(streams->console_path, sizeof(streams->console_path),
                   geteuid() == 0 ? "/run/cloister-shim/s/c%d-%u" : "/tmp/cloister-shim-c%d-%u",
                   (int)getpid(), number++);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", streams->console_path);
    streams->console = cl_sys_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = streams->console < 0
                ? streams->console
                : cl_sys_bind(streams->console, (const struct sockaddr *)&address, sizeof(address));
    if (r == 0)
        r = cl_sys_listen(streams->console, 1);
    return r < 0 ? cl_fail(err, r, "make the terminal's socket") : 0;
}

/* It is one for both, whatever the other one says. */
static const char logger_scheme[] = "binary://";

int cl_shim_streams_open(struct cl_shim_process *process, struct cl_error *err)
{
    struct cl_shim_streams *streams = &process->streams;
    const char *out = streams->paths[CL_SHIM_OUT];
    const size_t size = strlen(logger_scheme);
    const int has_logger = strncmp(out, logger_scheme, size) == 0;
    int r = streams->terminal ? make_console(streams, err) : 0;

    if (r == 0 && has_logger)
        r = cl_shim_logger_start(process, out + size, err);
    for (enum cl_shim_stream stream = 0; r == 0 && stream < CL_SHIM_STREAMS; stream++) {
        if (streams->terminal && stream == CL_SHIM_ERR)
            continue;
        if (streams->paths[stream][0] == '\0' && streams->outer[stream] < 0)
            continue;
        if (streams->outer[stream] < 0)
            streams->outer[stream] =
                cl_containerd_open_stream(stream == CL_SHIM_IN, streams->paths[stream], err);
        if (streams->outer[stream] < 0)
            return streams->outer[stream];
        if (!streams->terminal)
            r = make_pipe(streams, stream, err);
    }
    return r;
}

/* --- carrying -------------------------------------------------------------------------------- */

static void end_relay(struct cl_relay *relay)
{
    struct cl_shim_streams *streams = relay->context;

    streams->on_end(streams->context);
}

static void end_stream(struct cl_shim_streams *streams, enum cl_shim_stream stream)
{
    if (streams->relays[stream] != NULL)
        cl_relay_done(streams->relays[stream]);
    free(streams->relays[stream]);
    streams->relays[stream] = NULL;
    cl_fd_close(&streams->outer[stream]);
}

void cl_shim_streams_tidy(struct cl_shim_streams *streams)
{
    for (enum cl_shim_stream stream = 0; stream < CL_SHIM_STREAMS; stream++) {
        if (streams->relays[stream] != NULL && !streams->relays[stream]->active)
            end_stream(streams, stream);
    }
}

static int carry(struct cl_shim_streams *streams, enum cl_shim_stream stream, int ours,
                 struct cl_error *err)
{
    CL_CLEANUP_FD int owned = ours;
    struct cl_relay *relay = cl_calloc(1, sizeof(*relay));

    if (relay == NULL)
        return cl_fail_memory(err);
    streams->relays[stream] = relay;
    relay->on_end = end_relay;
    relay->context = streams;
    relay->in_is_pty = streams->terminal && stream != CL_SHIM_IN;
    return stream == CL_SHIM_IN ? cl_relay_start_input(relay, streams->loop, streams->outer[stream],
                                                       CL_TAKE_FD(owned), err)
                                : cl_relay_start_output(relay, streams->loop, CL_TAKE_FD(owned),
                                                        streams->outer[stream], err);
}

/* cloister-oci has sent it before it ended. */
static int take_master(struct cl_shim_streams *streams, struct cl_error *err)
{
    char name[64];
    struct cl_packet packet = {.data = name, .size = sizeof(name), .fd_count = 1};
    CL_CLEANUP_FD int connection = cl_sys_accept(streams->console, SOCK_NONBLOCK);

    if (connection < 0)
        return cl_fail(err, connection, "take the terminal's connection");
    int r = cl_channel_receive(connection, &packet, MSG_DONTWAIT);
    if (r == 0 && packet.fd_count != 1)
        r = -EPROTO;
    if (r < 0)
        return cl_fail(err, r, "receive the terminal");
    streams->master = packet.fds[0];
    r = cl_sys_fcntl(streams->master, F_SETFL, O_RDWR | O_NONBLOCK);
    return r < 0 ? cl_fail(err, r, "make the terminal non-blocking") : 0;
}

static void close_console(struct cl_shim_streams *streams)
{
    if (streams->console >= 0)
        (void)cl_sys_unlinkat(AT_FDCWD, streams->console_path, 0); /* gone is fine */
    cl_fd_close(&streams->console);
}

static int begin_terminal(struct cl_shim_streams *streams, struct cl_error *err)
{
    int r = take_master(streams, err);

    close_console(streams);
    for (enum cl_shim_stream stream = 0; r == 0 && stream < CL_SHIM_ERR; stream++) {
        if (streams->outer[stream] < 0)
            continue;
        int copy = cl_sys_fcntl(streams->master, F_DUPFD_CLOEXEC, 3);
        r = copy < 0 ? cl_fail(err, copy, "copy the terminal's descriptor")
                     : carry(streams, stream, copy, err);
    }
    return r;
}

static int begin_pipes(struct cl_shim_streams *streams, struct cl_error *err)
{
    int r = 0;

    for (enum cl_shim_stream stream = 0; r == 0 && stream < CL_SHIM_STREAMS; stream++) {
        cl_fd_close(&streams->theirs[stream]);
        if (streams->ours[stream] >= 0)
            r = carry(streams, stream, CL_TAKE_FD(streams->ours[stream]), err);
    }
    return r;
}

int cl_shim_streams_begin(struct cl_shim_streams *streams, struct cl_error *err)
{
    int r = streams->terminal ? begin_terminal(streams, err) : begin_pipes(streams, err);

    if (r == 0 && streams->input_ends)
        cl_shim_streams_close_input(streams);
    return r;
}

void cl_shim_streams_finish(struct cl_shim_streams *streams)
{
    for (enum cl_shim_stream stream = CL_SHIM_OUT; stream < CL_SHIM_STREAMS; stream++) {
        if (streams->relays[stream] != NULL && streams->relays[stream]->active)
            cl_relay_finish(streams->relays[stream]);
    }
}

int cl_shim_streams_are_busy(const struct cl_shim_streams *streams)
{
    for (enum cl_shim_stream stream = CL_SHIM_OUT; stream < CL_SHIM_STREAMS; stream++) {
        if (streams->relays[stream] != NULL && streams->relays[stream]->active)
            return 1;
    }
    return streams->logger != 0;
}

void cl_shim_streams_close_input(struct cl_shim_streams *streams)
{
    struct cl_relay *relay = streams->relays[CL_SHIM_IN];

    streams->input_ends = 1; /* also where it hasn't begun */
    if (relay != NULL && relay->active)
        cl_relay_finish(relay);
}

int cl_shim_streams_resize(const struct cl_shim_streams *streams, uint32_t width, uint32_t height,
                           struct cl_error *err)
{
    struct winsize size = {.ws_row = (uint16_t)height, .ws_col = (uint16_t)width};

    if (streams->master < 0)
        return 0; /* there is nothing to be resized, or not yet */
    int r = cl_sys_ioctl(streams->master, TIOCSWINSZ, &size);
    return r < 0 ? cl_fail(err, r, "set the terminal's size") : 0;
}

void cl_shim_streams_done(struct cl_shim_streams *streams)
{
    for (enum cl_shim_stream stream = 0; stream < CL_SHIM_STREAMS; stream++) {
        end_stream(streams, stream);
        cl_fd_close(&streams->theirs[stream]);
        cl_fd_close(&streams->ours[stream]);
    }
    close_console(streams);
    cl_fd_close(&streams->master);
    cl_fd_close(&streams->ready); /* a logger that is still at work goes on */
}
